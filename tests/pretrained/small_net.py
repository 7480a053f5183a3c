"""A two-stream network that builds in no time, and what to feed it."""

import keras
import numpy as np

from keras_twostream.layers import FoldTime, UnfoldTime, classifier
from keras_twostream.layers import stream_inputs as inputs_of
from keras_twostream.spec import ClipSpec

CLASSES = ["bend", "jump", "run"]


def tiny(
    num_classes=101,
    *,
    streams=("rgb", "flow"),
    width=8,
    stride=2,
    clip_length=2,
    flow_length=2,
    dropout=0.0,
    heads=None,
    clip_spec=None,
):
    """One convolution per stream, batch-normalised, and a head."""
    spec = ClipSpec(
        streams=streams, clip_length=clip_length, flow_length=flow_length
    ).replace(**(clip_spec or {}))
    inputs, x = inputs_of(spec)
    for stream, clip in x.items():
        frames = FoldTime(name=f"{stream}_fold")(clip)
        frames = keras.layers.Conv2D(
            width, 7, stride, name=f"{stream}_conv1",
            data_format="channels_last", use_bias=False,
        )(frames)  # fmt: skip
        frames = keras.layers.BatchNormalization(name=f"{stream}_bn1")(frames)
        frames = keras.layers.GlobalAveragePooling2D(
            data_format="channels_last", name=f"{stream}_pool"
        )(keras.layers.ReLU(name=f"{stream}_relu")(frames))
        x[stream] = keras.layers.Dropout(dropout, name=f"{stream}_drop")(
            UnfoldTime(clip_length, name=f"{stream}_unfold")(frames)
        )
    scores = classifier(
        x, num_classes, fusion=spec.score_fusion, average_steps=True,
        stream_weights=spec.stream_weights, heads=heads,
    )  # fmt: skip
    return keras.Model(inputs, scores, name="tiny")


def randomize(model, seed=0):
    """Give every variable its own small random values."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        values = rng.uniform(0.5, 1.5, variable.shape)
        if variable.path.endswith("kernel"):
            values = rng.normal(0, 0.1, variable.shape)
        variable.assign(values.astype("float32"))


def clips(seed=0):
    """A batch of two clips of 32 x 32 pixels."""
    rng = np.random.default_rng(seed)
    return {
        "rgb": rng.uniform(0, 255, (2, 2, 32, 32, 3)),
        "flow": rng.uniform(-3, 3, (2, 2, 32, 32, 4)),
    }


def logits(model, batch=None):
    return keras.ops.convert_to_numpy(model(batch or clips()))
