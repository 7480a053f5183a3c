"""The end of an action's precondition and the start of its effect.

X. Wang, A. Farhadi, A. Gupta: Actions ~ Transformations. CVPR 2016: the
answer is the class and the boundaries whose distance is the least.
"""

import keras
import numpy as np
from keras import ops

from keras_twostream.errors import SpecError
from keras_twostream.inspection import clip_spec
from keras_twostream.layers import ActionTransformations, boundaries
from keras_twostream.scoring.scorer import weights_of
from keras_twostream.timeline import States

DISTANCES = "distances"


def distances_of(model: keras.Model) -> keras.KerasTensor | None:
    """Return the distances of all boundaries and classes, if there are any.

    Returns:
        (B, P, E, n), the weighted mean over the streams; None where a model
        has no transformations.
    """
    spec = clip_spec(model)
    layers = [x for x in model.layers if isinstance(x, ActionTransformations)]
    weights = weights_of(spec)
    shares = [weights[layer.name.split("_")[0]] for layer in layers]
    if not layers:
        return None
    scaled = [
        layer.output * (share / sum(shares))
        for layer, share in zip(layers, shares, strict=True)
    ]
    return ops.sum(ops.stack(scaled), axis=0)


def states(distances: np.ndarray, times: np.ndarray) -> States:
    """Return the class and the boundaries that lie closest.

    Args:
        distances: (P, E, n), from the model's tap "transformation"; the
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
