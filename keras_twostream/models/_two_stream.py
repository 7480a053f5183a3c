"""The original two-stream network.

K. Simonyan, A. Zisserman: Two-Stream Convolutional Networks for Action
Recognition in Videos. NIPS 2014, arXiv 1406.2199. Both towers are CNN-M-2048
(Chatfield et al., BMVC 2014); the temporal one lacks the second
normalisation (section 5).

    tower  conv1 - norm1 - pool1 - conv2 - (norm2) - pool2
           - conv3 - conv4 - conv5 - pool5 - full6 - full7 - softmax
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_twostream.layers import (
    FoldTime,
    UnfoldTime,
    classifier,
    stream_inputs,
)
from keras_twostream.models.backbones import cnn_m
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    clip_length=1,
    flow_length=10,
    sampling="uniform",
    score_fusion="softmax",
)

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
        stacking: "forward", "bidirectional", "trajectory" or
            "bidirectional_trajectory" (section 3.1).
        mean_subtraction: Subtract each flow field's mean vector, which is
            that of the whole frame (3.1); where clips are cut, not in the
            network.
        dropout: Rate after full6 and full7.
        normalization: A name in `layers.NORMALIZATIONS`.
        heads: Dict from data set to number of classes, for multi-task learning
            (section 4).
        outputs: "fused", or "streams" for a dict from stream to logits.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's.

    Returns:
        A model from `rgb` (B, T, H, W, 3) and `flow` (B, T, H, W, 2L) to
        logits (B, num_classes): the log of the streams' mean class
        probability. Frames larger than the crop of 224 are seen whole.

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
        mean_subtraction=mean_subtraction,
    ).replace(**(clip_spec or {}))
    inputs, x = stream_inputs(spec, normalization, smallest=cnn_m.SMALLEST)
    for stream, clip in x.items():
        frames = FoldTime(name=f"{stream}_fold")(clip)
        steps = cnn_m.steps(stream, (dropout, dropout), spec.crop)
        for step in steps.values():
            frames = step(frames)
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
