"""A small network and what to feed it, for the weight tests."""

import keras
import numpy as np

OPTIONS = {"depth": 26, "width": 4, "flow_length": 2, "clip_length": 2}
CLASSES = ["bend", "jump", "run"]


def randomize(model, seed=0):
    """Give every variable its own small random values."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        values = rng.uniform(0.5, 1.5, variable.shape)
        if variable.path.endswith("kernel"):
            values = rng.normal(0, 0.1, variable.shape)
        variable.assign(values.astype("float32"))


def clips(seed=0, **shape):
    """A batch of two clips of 32 x 32 pixels."""
    rng = np.random.default_rng(seed)
    channels = {"rgb": 3, "flow": 4, **shape}
    return {
        stream: rng.uniform(
            -3, 255 if stream == "rgb" else 3, (2, 2, 32, 32, c)
        )
        for stream, c in channels.items()
    }


def logits(model, batch=None):
    return keras.ops.convert_to_numpy(model(batch or clips()))
