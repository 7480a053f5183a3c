"""Flow of whole clips, by algorithm name."""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from keras_twostream._frames import as_bytes, checked_frames
from keras_twostream.errors import SpecError, check_choice
from keras_twostream.flow import _opencv_flow
from keras_twostream.flow._camera import without_camera
from keras_twostream.flow._frames import to_grey
from keras_twostream.spec import FLOW_ALGORITHMS

_Solver = Callable[[np.ndarray, np.ndarray], np.ndarray]

_PAIRWISE: dict[str, Callable[..., np.ndarray]] = {
    "dis": _opencv_flow.dis,
    "farneback": _opencv_flow.farneback,
    "tvl1_opencv": _opencv_flow.tvl1_opencv,
}
_LEARNED = ("raft_small", "raft_large")
ALGORITHMS = FLOW_ALGORITHMS


def compute(
    frames: np.ndarray, algorithm: str = "dis", **parameters: Any
) -> np.ndarray:
    """Compute optical flow between each frame and the next.

    Args:
        frames: (T, H, W, 3) RGB or (T, H, W, 1) grey frames, uint8 or float,
            0..255. Grey ones may be (T, H, W), where T is not 3.
        algorithm: "dis" (Kroeger et al. 2016), "farneback" (2003), "tvl1"
            (Zach et al. 2007, on the Keras backend), "tvl1_opencv" (needs
            opencv-contrib-python), or "raft_small" or "raft_large" (Teed and
            Deng 2020, on the Keras backend with torchvision's weights, which
            the first call downloads).
        **parameters: Parameters of the algorithm that differ from its
            defaults: `preset="medium"` for DIS; see `flow.tvl1` for TV-L1;
            `updates=12` and `weights="default"` for RAFT, see `flow.RAFT`.
            `warped=True`, with any of them, takes the camera's motion out
            first (warped flow; Wang et al. 2016, section 3.2).

    Returns:
        (T-1, H, W, 2) float32 displacement in pixels, x then y.

    Raises:
        SpecError: If frames, algorithm or parameters are not as above.
        WeightsError: If RAFT's weights cannot be fetched or verified.

    Example:
        >>> flow.compute(frames, algorithm="dis", preset="fast")
    """
    frames = checked_frames(frames, grey=True)
    start = np.arange(max(len(frames) - 1, 0))
    pairs = np.stack([start, start + 1], axis=-1)
    return _of_pairs(frames, pairs, algorithm, parameters)


def compute_pairs(
    frames: np.ndarray,
    pairs: np.ndarray,
    algorithm: str = "dis",
    **parameters: Any,
) -> np.ndarray:
    """Compute optical flow between chosen pairs of frames, each once.

    Args:
        frames: (T, H, W, 3) RGB or (T, H, W, 1) grey frames, uint8 or float,
            0..255. Grey ones may be (T, H, W), where T is not 3.
        pairs: (..., 2) int array of frame numbers (from, to), such as
            `ClipSpec.flow_pairs()` gives. A pair may appear many times.
        algorithm: As in `compute`.
        **parameters: As in `compute`.

    Returns:
        (..., H, W, 2) float32 displacement in pixels, x then y.

    Raises:
        SpecError: If frames, pairs, algorithm or parameters are not as above.
        WeightsError: If RAFT's weights cannot be fetched or verified.
    """
    frames = checked_frames(frames, grey=True)
    return _of_pairs(frames, pairs, algorithm, parameters)


def _of_pairs(
    frames: np.ndarray,
    pairs: np.ndarray,
    algorithm: str,
    parameters: dict[str, Any],
) -> np.ndarray:
    """Return the flow of `compute_pairs`, from checked frames."""
    warped = parameters.pop("warped", False)
    check_choice("warped", warped, (False, True))
    solve = _solver(algorithm, parameters)
    if frames.dtype != np.uint8:
        frames = frames.astype(np.float32)
    pairs = _check_pairs(pairs, len(frames))
    shape = (*pairs.shape[:-1], *frames.shape[1:3], 2)
    if not pairs.size:
        return np.zeros(shape, np.float32)
    distinct, place = np.unique(
        pairs.reshape(-1, 2), axis=0, return_inverse=True
    )
    fields = solve(frames, distinct)
    if warped:
        fields = without_camera(frames, distinct, fields, solve)
    if len(distinct) < place.size or (np.diff(place.reshape(-1)) < 0).any():
        fields = fields[place.reshape(-1)]
    return fields.reshape(shape)


def _solver(algorithm: str, parameters: dict[str, Any]) -> _Solver:
    """Return a function of checked frames and distinct, ascending pairs."""
    check_choice("algorithm", algorithm, ALGORITHMS)
    if algorithm == "tvl1":
        # Keras is slow to import; the other algorithms do without it.
        from keras_twostream.flow import _compiled, _tvl1

        _check_parameters(algorithm, _tvl1.tvl1, parameters)
        return lambda frames, pairs: _compiled.tvl1_pairs(
            to_grey(frames), pairs, **parameters
        )
    if algorithm in _LEARNED:
        from keras_twostream.flow._raft_pairs import raft_pairs

        solve = functools.partial(raft_pairs, network=algorithm)
        _check_parameters(algorithm, solve, parameters)
        return functools.partial(solve, **parameters)
    function = _PAIRWISE[algorithm]
    _check_parameters(algorithm, function, parameters)
    return lambda frames, pairs: _one_by_one(
        function, to_grey(frames), pairs, parameters
    )


def _one_by_one(
    function: Callable[..., np.ndarray],
    grey: np.ndarray,
    pairs: np.ndarray,
    parameters: dict[str, Any],
) -> np.ndarray:
    images = as_bytes(grey)
    fields = np.empty((len(pairs), *grey.shape[1:], 2), np.float32)
    for place, (first, second) in enumerate(pairs.tolist()):
        fields[place] = function(images[first], images[second], **parameters)
    return fields


# === Checks ===


def _check_pairs(pairs: np.ndarray, length: int) -> np.ndarray:
    pairs = np.asarray(pairs)
    if pairs.shape == (0,):  # an empty list
        pairs = np.zeros((0, 2), int)
    integral = np.issubdtype(pairs.dtype, np.integer)
    if not integral or pairs.ndim < 2 or pairs.shape[-1] != 2:
        raise SpecError(
            "`pairs` must be an integer array of shape (..., 2), frame "
            f"numbers (from, to). Received: shape={pairs.shape}, "
            f"dtype={pairs.dtype}"
        )
    if pairs.size and (pairs.min() < 0 or pairs.max() >= length):
        raise SpecError(
            f"`pairs` must name frames from 0 to {length - 1}, the last of "
            f"the {length} given. Received: frames {pairs.min()} to "
            f"{pairs.max()}"
        )
    return pairs


def _check_parameters(
    algorithm: str, function: Callable[..., Any], parameters: dict[str, Any]
) -> None:
    known = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return
    choices = [name for name in list(known)[2:] if name != "network"]
    check_names(algorithm, parameters, choices)


def check_names(
    algorithm: str, parameters: Iterable[str], choices: Sequence[str]
) -> None:
    """Refuse parameters that an algorithm does not have."""
    for name in parameters:
        if name not in choices:
            raise SpecError(
                f"algorithm={algorithm!r} has no parameter {name!r}. "
                f"It takes: {', '.join(choices)}."
            )
