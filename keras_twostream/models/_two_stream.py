"""The original two-stream network.

K. Simonyan, A. Zisserman: Two-Stream Convolutional Networks for Action
Recognition in Videos. NIPS 2014, arXiv 1406.2199. Both towers are CNN-M-2048
(Chatfield et al., BMVC 2014); the temporal one lacks the second
normalisation (section 5). Figure 1 draws 2x2 pooling, the text says 3x3 with
stride 2: the text gives the published sizes.

    tower  conv1 - norm1 - pool1 - conv2 - (norm2) - pool2
           - conv3 - conv4 - conv5 - pool5 - full6 - full7 - softmax
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from keras_twostream.layers import (
    CeilMaxPooling2D,
    FoldTime,
    LocalResponseNormalization,
    UnfoldTime,
    classifier,
    stream_inputs,
)
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    clip_length=1,
    flow_length=10,
    sampling="uniform",
    score_fusion="softmax",
)

# === Parts ===


def _conv(x, name: str, filters: int, size: int, stride: int, pad: int):
    if pad:
        x = layers.ZeroPadding2D(
            pad, data_format="channels_last", name=f"{name}_pad"
        )(x)
    return layers.Conv2D(
        filters,
        size,
        strides=stride,
        activation="relu",
        data_format="channels_last",
        name=name,
    )(x)


def cnn_m_features(x, stream: str):
    """CNN-M up to conv5: 224 x 224 to 13 x 13 x 512."""
    x = _conv(x, f"{stream}_conv1", 96, 7, 2, pad=0)  # 109 x 109
    x = LocalResponseNormalization(name=f"{stream}_norm1")(x)
    x = CeilMaxPooling2D(3, 2, name=f"{stream}_pool1")(x)  # 54 x 54
    x = _conv(x, f"{stream}_conv2", 256, 5, 2, pad=1)  # 26 x 26
    if stream == "rgb":
        x = LocalResponseNormalization(name=f"{stream}_norm2")(x)
    x = CeilMaxPooling2D(3, 2, name=f"{stream}_pool2")(x)  # 13 x 13
    for name in ("conv3", "conv4", "conv5"):
        x = _conv(x, f"{stream}_{name}", 512, 3, 1, pad=1)
    return x


def cnn_m_classifier(x, stream: str, dropout: float):
    """pool5 to full7: 13 x 13 x 512 to 2048."""
    x = CeilMaxPooling2D(3, 2, name=f"{stream}_pool5")(x)  # 6 x 6
    x = layers.Flatten(data_format="channels_last", name=f"{stream}_flat")(x)
    for name, units in (("full6", 4096), ("full7", 2048)):
        x = layers.Dense(units, activation="relu", name=f"{stream}_{name}")(x)
        x = layers.Dropout(dropout, name=f"{stream}_{name}_dropout")(x)
    return x


# === Network ===


@register_model(
    paper=(
        "Simonyan, Zisserman: Two-Stream Convolutional Networks for Action "
        "Recognition in Videos, NIPS 2014"
    )
)
def two_stream(
    num_classes: int = 101,
    *,
    streams: Sequence[str] = ("rgb", "flow"),
    clip_length: int = 1,
    flow_length: int = 10,
    stacking: str = "forward",
    mean_subtraction: bool = True,
    dropout: float = 0.9,
    normalization: str = "imagenet",
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """The two-stream network (Simonyan & Zisserman 2014), random weights.

    Trainable parameters with 101 classes: rgb 90,627,813, flow 90,707,781.

    Args:
        num_classes: Classes of the head.
        streams: "rgb", "flow" or both.
        clip_length: T frames, or stacks, whose scores are averaged.
        flow_length: L, flow fields stacked.
        stacking: "forward", "bidirectional" or "trajectory" (section 3.1).
        mean_subtraction: Subtract each flow field's mean vector (3.1).
        dropout: After full6 and full7.
        normalization: Of the inputs, a name in `layers.NORMALIZATIONS`.
        heads: Classes by data set, for multi-task learning (section 4).
        outputs: "fused", or "streams" for a dict of one head each.
        classifier_activation: "softmax", or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's.

    Returns:
        A model from `rgb` (B, T, 224, 224, 3) and `flow` (B, T, 224, 224,
        2L) to logits (B, num_classes): the log of the streams' mean class
        probability.

    Raises:
        SpecError: If an option is not one of its choices.

    Example:

    ```python
    model = keras_twostream.models.two_stream(51, streams=("flow",))
    ```
    """
    spec = SPEC.replace(
        streams=streams,
        clip_length=clip_length,
        flow_length=flow_length,
        stacking=stacking,
    ).replace(**(clip_spec or {}))
    inputs, x = stream_inputs(
        spec,
        normalization,
        mean_subtraction=mean_subtraction,
        fixed_size=True,
    )
    for stream, clip in x.items():
        frames = FoldTime(name=f"{stream}_fold")(clip)
        frames = cnn_m_features(frames, stream)
        frames = cnn_m_classifier(frames, stream, dropout)
        x[stream] = UnfoldTime(spec.clip_length, name=f"{stream}_unfold")(
            frames
        )
    scores = classifier(
        x,
        num_classes,
        fusion=spec.score_fusion,
        stream_weights=spec.stream_weights,
        heads=heads,
        outputs=outputs,
        activation=classifier_activation,
        name="full8",
        average_steps=True,
    )
    return keras.Model(inputs, scores, name="two_stream")
