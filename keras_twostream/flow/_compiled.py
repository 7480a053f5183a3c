"""TV-L1 on arrays, compiled once for each image size and set of parameters."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from keras_twostream._cpus import available_cpus
from keras_twostream.flow._tvl1 import tvl1

# One pair at a time keeps a CPU's caches warm; a GPU wants work to share out.
_CPU_BATCH = 1
_GPU_BATCH = 32


def tvl1_pairs(
    grey: np.ndarray, pairs: np.ndarray, **parameters: Any
) -> np.ndarray:
    """Compute `flow.tvl1` between chosen frames, in batches of one size.

    Args:
        grey: (T, H, W) grey frames, 0..255.
        pairs: (N, 2) int frame numbers.
        **parameters: As in `flow.tvl1`.

    Returns:
        (N, H, W, 2) float32 in pixels.
    """
    solve = _compiled(tuple(sorted(parameters.items())))
    images = np.asarray(grey, np.float32)
    size = batch_size()
    fields = np.empty((len(pairs), *images.shape[1:], 2), np.float32)

    def fill(start: int) -> None:
        batch = pairs[start : start + size]
        # The last batch repeats its last pair: one shape is compiled.
        padded = np.pad(batch, ((0, size - len(batch)), (0, 0)), mode="edge")
        solved = solve(images[padded[:, 0]], images[padded[:, 1]])
        fields[start : start + size] = solved[: len(batch)]

    starts = range(0, len(pairs), size)
    fill(0)  # compiles
    with ThreadPoolExecutor(_threads()) as pool:
        list(pool.map(fill, starts[1:]))  # raises what a thread raised
    return fields


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
    parameters: tuple[tuple[str, Any], ...],
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return a function of two (B, H, W) arrays that returns (B, H, W, 2)."""
    function = functools.partial(tvl1, **dict(parameters))
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(function, jit_compile=True, autograph=False)
        return lambda a, b: compiled(
            tf.convert_to_tensor(a), tf.convert_to_tensor(b)
        ).numpy()
    if backend == "jax":
        import jax

        compiled = jax.jit(function)
        return lambda a, b: np.asarray(compiled(a, b))
    return functools.partial(_in_torch, function)


def _in_torch(
    function: Callable[..., Any], first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    import torch

    with torch.no_grad():
        flow = function(
            keras.ops.convert_to_tensor(first),
            keras.ops.convert_to_tensor(second),
        )
    return keras.ops.convert_to_numpy(flow)
