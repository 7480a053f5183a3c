"""Where an action's precondition ends and where its effect begins.

X. Wang, A. Farhadi, A. Gupta: Actions ~ Transformations. CVPR 2016: the
answer is the class and the boundaries whose distance is the least.
"""

import dataclasses

import numpy as np

from keras_twostream.errors import SpecError
from keras_twostream.layers import boundaries


@dataclasses.dataclass(frozen=True)
class States:
    """The two states of the world that an action lies between.

    Attributes:
        action: Number of the class.
        precondition: First and last second of the state before the action.
        effect: First and last second of the state after it.
        distance: Cosine distance of the transformed precondition to the
            effect, 0 to 2.
    """

    action: int
    precondition: tuple[float, float]
    effect: tuple[float, float]
    distance: float


def states(distances: np.ndarray, times: np.ndarray) -> States:
    """Return the class and the boundaries that lie closest.

    Args:
        distances: (P, E, n), of the model's tap "transformation"; the
            weighted mean where there are two streams.
        times: (T + 1,) seconds at which the clip's frames begin, and at
            which the last one ends.

    Returns:
        The precondition, frames 1 to z_p, and the effect, frames z_e to T.

    Raises:
        SpecError: If the distances are not those of T frames' boundaries.

    Example:

    ```python
    taps = keras_twostream.taps(model, ["rgb.transformation"])
    (distances,) = taps.predict_on_batch(clip)["rgb.transformation"]
    found = states(distances, times)
    ```
    """
    before, after = boundaries(len(times) - 1)
    if distances.ndim != 3 or distances.shape[:2] != (len(before), len(after)):
        raise SpecError(
            f"Clips of {len(times) - 1} frames have distances of shape "
            f"({len(before)}, {len(after)}, n). Received: {distances.shape}"
        )
    p, e, action = np.unravel_index(np.argmin(distances), distances.shape)
    (first, end), (start, last) = before[p], after[e]
    return States(
        action=int(action),
        precondition=(float(times[first]), float(times[end])),
        effect=(float(times[start]), float(times[last])),
        distance=float(distances[p, e, action]),
    )
