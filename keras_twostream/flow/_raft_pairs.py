"""RAFT on arrays: features of each frame once, then pair by pair."""

import functools
import os

import keras
import numpy as np

from keras_twostream import _answers
from keras_twostream._frames import padded
from keras_twostream.flow import _weights
from keras_twostream.flow._compiled import batch_size
from keras_twostream.flow._raft_encoder import STRIDE
from keras_twostream.flow._raft_layer import (
    RAFT,
    UPDATES,
    check_parameters,
    margin,
)

_CHUNK = 32  # pairs whose features are kept at a time
_MOST_CORRELATIONS = 2**29  # of the pairs of a batch, 4 bytes each


def raft_pairs(
    frames: np.ndarray,
    pairs: np.ndarray,
    network: str,
    *,
    updates: int = UPDATES,
    weights: str = _weights.DEFAULT,
) -> np.ndarray:
    """Compute RAFT's flow between chosen frames.

    Args:
        frames: (T, H, W, 3) RGB or (T, H, W) grey frames, 0..255.
        pairs: (N, 2) int frame numbers, ascending.
        network: "raft_small" or "raft_large".
        updates: As in `flow.RAFT`.
        weights: As in `flow.RAFT`.

    Returns:
        (N, H, W, 2) float32 in pixels.

    Raises:
        SpecError: If a parameter is not as above.
        WeightsError: If the weights cannot be fetched or verified.
    """
    check_parameters(network, updates)
    parts = _parts(network, updates, weights)
    height, width = frames.shape[1:3]
    fields = np.empty((len(pairs), height, width, 2), np.float32)
    for start in range(0, len(pairs), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        fields[chunk] = _fields(parts, frames, pairs[chunk])
    return fields


def fetch(
    network: str, *, updates: int = UPDATES, weights: str = _weights.DEFAULT
) -> None:
    """Build a network and fill it, for a long job that should not fail late.

    Args:
        network: "raft_small" or "raft_large".
        updates: As in `flow.RAFT`.
        weights: As in `flow.RAFT`.

    Raises:
        SpecError: If a parameter is not as above.
        WeightsError: If the weights cannot be fetched or verified.
    """
    check_parameters(network, updates)
    _parts(network, updates, weights)


def _parts(network: str, updates: int, weights: str) -> list[keras.Model]:
    """Return models of features, of context, and of flow from both."""
    return _built(network, updates, weights, _mark(weights))


def _mark(weights: str) -> tuple[int, int] | None:
    """Return what changes with a file of weights; None of published ones."""
    try:
        status = os.stat(os.path.expanduser(weights))
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


@functools.lru_cache(maxsize=4)
def _built(
    network: str, updates: int, weights: str, mark: tuple[int, int] | None
) -> list[keras.Model]:
    del mark  # it only tells the function's cache that the file changed
    layer = RAFT(network, updates=updates, weights=weights)
    image = keras.Input((None, None, 3))
    features = layer.feature_encoder(image)
    context = layer.context_encoder(image)
    three = [
        keras.Input((None, None, tensor.shape[-1]))
        for tensor in (features, features, context)
    ]
    return [
        keras.Model(image, features),
        keras.Model(image, context),
        keras.Model(three, layer.refinement(*three)),
    ]


def _fields(
    parts: list[keras.Model], frames: np.ndarray, pairs: np.ndarray
) -> np.ndarray:
    encode, give_context, refine = parts
    height, width = frames.shape[1:3]
    seen, places = np.unique(pairs, return_inverse=True)
    starts, start_places = np.unique(pairs[:, 0], return_inverse=True)
    first, second = places.reshape(pairs.shape).T
    images = _enlarged(frames[seen])
    size = _pairs_at_once(*images.shape[1:3])
    features = _in_batches(encode, size, images)
    context = _in_batches(
        give_context, size, images[np.searchsorted(seen, starts)]
    )
    fields = _in_batches(
        refine, size, features[first], features[second], context[start_places]
    )
    top, left = margin(height)[0], margin(width)[0]
    return fields[:, top : top + height, left : left + width]


def _enlarged(frames: np.ndarray) -> np.ndarray:
    """Return frames in RGB, with sides that the network takes."""
    if frames.ndim == 3:
        frames = np.repeat(frames[..., None], 3, axis=-1)
    sides = [margin(size) for size in frames.shape[1:3]]
    return np.pad(frames, [(0, 0), *sides, (0, 0)], mode="edge")


def _pairs_at_once(height: int, width: int) -> int:
    """Return a batch size whose correlations fit into memory."""
    places = height * width // STRIDE**2
    return max(1, min(batch_size(), _MOST_CORRELATIONS // places**2))


def _in_batches(
    model: keras.Model, size: int, *arrays: np.ndarray
) -> np.ndarray:
    """Return the model's output for long arrays, in batches of one size."""
    results = []
    for start in range(0, len(arrays[0]), size):
        batch = [array[start : start + size] for array in arrays]
        count = len(batch[0])
        # The last batch repeats its last item: one shape is compiled.
        batch = [padded(array, size) for array in batch]
        output = _answers.answer(model, batch if batch[1:] else batch[0])
        results.append(np.asarray(output)[:count])
    return np.concatenate(results)
