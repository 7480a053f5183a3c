"""Very deep two-stream networks with Inception v3 in both streams.

The recipe of L. Wang, Y. Xiong, Z. Wang, Y. Qiao: Towards Good Practices for
Very Deep Two-Stream ConvNets, 2015, arXiv 1507.02159, on the tower of C.
Szegedy et al.: Rethinking the Inception Architecture for Computer Vision,
CVPR 2016, arXiv 1512.00567, which has public ImageNet weights.

    Conv2d_1a .. maxpool2 - Mixed_5b .. 5d - Mixed_6a .. 6e
    - Mixed_7a .. 7c - pool - dropout - fc         one such tower per stream
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from keras_twostream.layers import (
    FoldTime,
    UnfoldTime,
    classifier,
    stream_inputs,
)
from keras_twostream.models.backbones import inception_v3
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    clip_length=1,
    short_side=342,
    crop=(299, 299),
    flow_length=10,
    sampling="uniform",
    score_fusion="softmax",
    stream_weights=(1.0, 2.0),
)
DROPOUT = {"rgb": 0.8, "flow": 0.7}

# === Network ===


@register_model(
    paper=(
        "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception "
        "Architecture for Computer Vision, CVPR 2016"
    )
)
def two_stream_inception_v3(
    num_classes: int = 101,
    *,
    streams: Sequence[str] = ("rgb", "flow"),
    clip_length: int = 1,
    flow_length: int = 10,
    count_padding: bool = True,
    dropout: float | None = None,
    normalization: str = "half",
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Two-stream Inception v3, with random weights.

    Trainable parameters with 101 classes: rgb 21,992,517, flow
    21,997,413.

    Args:
        num_classes: Classes of the head.
        streams: "rgb", "flow" or both.
        clip_length: T frames, or stacks, whose scores are averaged.
        flow_length: L, flow fields stacked.
        count_padding: Whether the modules' averages count their zero
            padding: True for torchvision's weights, False for those of
            keras.applications.
        dropout: Rate before the heads; 0.8 (rgb) and 0.7 (flow) when None.
        normalization: A name in `layers.NORMALIZATIONS`;
            the public weights want "half".
        heads: Dict from data set to number of classes, for several heads.
        outputs: "fused", or "streams" for a dict from stream to logits.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from these: 299 pixels
            from a short side of 342.

    Returns:
        A model from `rgb` (B, T, H, W, 3) and `flow` (B, T, H, W, 2L), of
        75 pixels or more, to logits (B, num_classes): the log of the
        streams' mean class probability, flow counting twice.

    Raises:
        SpecError: If an option is not one of its choices.

    Example:

    ```python
    model = keras_twostream.models.two_stream_inception_v3(51)
    ```
    """
    spec = SPEC.replace(
        streams=streams,
        clip_length=clip_length,
        flow_length=flow_length,
    ).replace(**(clip_spec or {}))
    inputs, x = stream_inputs(
        spec, normalization, smallest=inception_v3.SMALLEST
    )
    for stream, clip in x.items():
        rate = DROPOUT[stream] if dropout is None else dropout
        frames = FoldTime(name=f"{stream}_fold")(clip)
        frames = inception_v3.features(frames, stream, count_padding)
        frames = layers.Dropout(rate, name=f"{stream}_dropout")(frames)
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
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
        average_steps=True,
    )
    return keras.Model(inputs, scores, name="two_stream_inception_v3")
