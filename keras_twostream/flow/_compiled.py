"""TV-L1 on arrays, compiled once for each image size and set of parameters."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_twostream.flow._tvl1 import stages, tvl1

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
    images = np.asarray(grey, np.float32)
    key = tuple(sorted(parameters.items()))
    size = batch_size()
    if size == 1:
        return _pair_by_pair(images, pairs, *_in_two(key))
    return _batch_by_batch(images, pairs, _whole(key), size)


def _pair_by_pair(
    images: np.ndarray, pairs: np.ndarray, prepare: Callable, match: Callable
) -> np.ndarray:
    fields = np.empty((len(pairs), *images.shape[1:], 2), np.float32)
    ready: dict[int, Any] = {}
    for place, pair in enumerate(pairs.tolist()):
        # A frame is often the second of one pair and the first of the next.
        ready = {
            number: ready[number]
            if number in ready
            else prepare(images[number : number + 1])
            for number in pair
        }
        first, second = pair
        field = match(ready[first], ready[second])
        fields[place] = ops.convert_to_numpy(field)[0]
    return fields


def _batch_by_batch(
    images: np.ndarray, pairs: np.ndarray, solve: Callable, size: int
) -> np.ndarray:
    fields = []
    for start in range(0, len(pairs), size):
        batch = pairs[start : start + size]
        # The last batch repeats its last pair: one shape is compiled.
        padded = np.pad(batch, ((0, size - len(batch)), (0, 0)), mode="edge")
        solved = solve(images[padded[:, 0]], images[padded[:, 1]])
        fields.append(ops.convert_to_numpy(solved)[: len(batch)])
    return np.concatenate(fields)


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


# === Compilation ===


@functools.lru_cache(maxsize=32)
def _whole(parameters: tuple[tuple[str, Any], ...]) -> Callable[..., Any]:
    """Return a function of two (B, H, W) arrays that returns (B, H, W, 2)."""
    return _compiled(functools.partial(tvl1, **dict(parameters)))


@functools.lru_cache(maxsize=32)
def _in_two(
    parameters: tuple[tuple[str, Any], ...],
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the two functions of `stages`."""
    known = inspect.signature(tvl1).parameters.values()
    defaults = {p.name: p.default for p in known if p.kind is p.KEYWORD_ONLY}
    prepare, match = stages(**{**defaults, **dict(parameters)})
    return _compiled(prepare), _compiled(match)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of arrays that runs on Keras's device."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        run = tf.function(function, jit_compile=True, autograph=False)
    elif backend == "jax":
        import jax

        run = jax.jit(function)
    else:
        run = functools.partial(_in_torch, function)
    return lambda *arrays: run(
        *keras.tree.map_structure(ops.convert_to_tensor, arrays)
    )


def _in_torch(function: Callable[..., Any], *tensors: Any) -> Any:
    import torch

    with torch.no_grad():
        return function(*tensors)
