"""TV-L1 on arrays: the texture of each frame once, then pair by pair.

Both are compiled once for each image size and set of parameters.
"""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from keras_twostream._cpus import available_cpus
from keras_twostream.flow._tvl1 import TEXTURE, textured, tvl1

# One pair at a time keeps a CPU's caches warm; a GPU wants work to share out.
_CPU_BATCH = 1
_GPU_BATCH = 32


def tvl1_pairs(
    grey: np.ndarray,
    pairs: np.ndarray,
    *,
    texture: float = TEXTURE,
    **parameters: Any,
) -> np.ndarray:
    """Compute `flow.tvl1` between chosen frames, in batches of one size.

    Args:
        grey: (T, H, W) grey frames, 0..255.
        pairs: (N, 2) int frame numbers.
        texture: As in `flow.tvl1`.
        **parameters: The others.

    Returns:
        (N, H, W, 2) float32 in pixels.

    Raises:
        SpecError: If a parameter is not as in `flow.tvl1`.
    """
    images = np.asarray(grey, np.float32)
    if texture != 0:
        images = _textures(images, np.unique(pairs), texture)
    solve = _compiled(tvl1, texture=0.0, **parameters)
    fields = np.empty((len(pairs), *images.shape[1:], 2), np.float32)
    first, second = pairs.T
    _in_batches(lambda n: solve(images[first[n]], images[second[n]]), fields)
    return fields


def _textures(
    images: np.ndarray, frames: np.ndarray, share: float
) -> np.ndarray:
    """Return images of which the numbered ones are reduced to texture."""
    reduce = _compiled(textured, share=share)
    reduced = np.empty((len(frames), *images.shape[1:]), np.float32)
    _in_batches(lambda n: reduce(images[frames[n]]), reduced)
    images = images.copy()
    images[frames] = reduced
    return images


def _in_batches(
    solve: Callable[[np.ndarray], np.ndarray], results: np.ndarray
) -> None:
    """Fill the rows of `results` with what `solve` gives for their numbers."""
    size = batch_size()

    def fill(start: int) -> None:
        # The last batch repeats its last row: one shape is compiled.
        rows = np.arange(start, start + size).clip(max=len(results) - 1)
        wanted = results[start : start + size]
        wanted[:] = solve(rows)[: len(wanted)]

    starts = range(0, len(results), size)
    fill(0)  # compiles
    with ThreadPoolExecutor(_threads()) as pool:
        list(pool.map(fill, starts[1:]))  # raises what a thread raised


def _threads() -> int:
    """Return how many batches to solve at once.

    A program of small loops fills one core of a CPU and half of the next.
    """
    compiles = keras.backend.backend() != "torch"
    return available_cpus() if compiles and batch_size() == _CPU_BATCH else 1


@functools.cache
def batch_size() -> int:
    """Return the number of pairs to solve at once on Keras's device."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        accelerated = bool(tf.config.list_logical_devices("GPU"))
    elif backend == "jax":
        import jax

        accelerated = jax.default_backend() != "cpu"
    else:
        import torch

        accelerated = torch.cuda.is_available()
    return _GPU_BATCH if accelerated else _CPU_BATCH


@functools.lru_cache(maxsize=32)
def _compiled(
    function: Callable[..., Any], **parameters: Any
) -> Callable[..., np.ndarray]:
    """Return the function of (B, H, W) arrays, compiled, with parameters."""
    function = functools.partial(function, **parameters)
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(function, jit_compile=True, autograph=False)
        return lambda *images: compiled(*map(tf.constant, images)).numpy()
    if backend == "jax":
        import jax

        compiled = jax.jit(function)
        return lambda *images: np.asarray(compiled(*images))
    return functools.partial(_in_torch, function)


def _in_torch(function: Callable[..., Any], *images: np.ndarray) -> np.ndarray:
    import torch

    with torch.no_grad():
        result = function(*map(keras.ops.convert_to_tensor, images))
    return keras.ops.convert_to_numpy(result)
