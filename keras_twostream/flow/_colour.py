"""Flow as colours: hue is direction, saturation is speed.

The wheel is that of the Middlebury benchmark (Baker et al. 2011): six hues,
spaced so that directions look equally far apart; standing still is white.
"""

import numpy as np

from keras_twostream.errors import SpecError

_HUES = np.array(
    [
        (255, 0, 0),  # to the right
        (255, 255, 0),
        (0, 255, 0),
        (0, 255, 255),
        (0, 0, 255),
        (255, 0, 255),
        (255, 0, 0),
    ],
    np.float32,
)
_STEPS_BETWEEN_HUES = (15, 6, 4, 11, 13, 6)
_PLACES = np.cumsum((0, *_STEPS_BETWEEN_HUES)) / sum(_STEPS_BETWEEN_HUES)
_PERCENTILE = 99


def to_rgb(flow: np.ndarray, max_px: float | None = None) -> np.ndarray:
    """Return flow as an RGB image.

    Args:
        flow: (..., H, W, 2) in pixels.
        max_px: Displacement shown in full colour. By default the 99th
            percentile of the given fields, at least 1 px so that noise
            stays pale. Give it to compare images.

    Returns:
        (..., H, W, 3) uint8.

    Raises:
        SpecError: If the shape or `max_px` is not as above.
    """
    flow = np.asarray(flow, np.float32)
    if flow.ndim < 3 or flow.shape[-1] != 2:
        raise SpecError(
            "`flow` must have shape (..., H, W, 2). "
            f"Received: shape={flow.shape}"
        )
    if max_px is not None and not max_px > 0:
        raise SpecError(
            f"`max_px` must be greater than 0. Received: max_px={max_px!r}"
        )
    if max_px is None:
        max_px = max(fast_speed(flow), 1.0)
    hue = np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi) % 1
    colour = np.empty((*hue.shape, 3), np.float32)
    for channel, levels in enumerate(_HUES.T):
        colour[..., channel] = np.interp(hue, _PLACES, levels)
    # In place: pictures of a video are many.
    colour -= 255
    colour *= np.minimum(_speed(flow) / max_px, 1)[..., None]
    colour += 255
    return np.rint(colour, out=colour).astype(np.uint8)


def fast_speed(flow: np.ndarray) -> float:
    """Return the speed in pixels that all but 1 % of points stay below.

    Args:
        flow: (..., 2) in pixels; 0 for none.
    """
    return float(np.percentile(_speed(flow), _PERCENTILE)) if flow.size else 0.0


def _speed(flow: np.ndarray) -> np.ndarray:
    # A sum over an axis of two would take ten times as long.
    along_x, along_y = flow[..., 0], flow[..., 1]
    return np.sqrt(along_x * along_x + along_y * along_y)
