"""Very deep two-stream networks: VGG-16 in both streams.

L. Wang, Y. Xiong, Z. Wang, Y. Qiao: Towards Good Practices for Very Deep
Two-Stream ConvNets. 2015, arXiv 1507.02159. Dropout and the heads'
initialisation follow the authors' files (yjxiong/caffe, action_recog).

    conv1_1 .. pool1 - conv2_1 .. pool2 - ... - conv5_3 - pool5
    - fc6 - dropout - fc7 - dropout - fc8        one such tower per stream
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
from keras_twostream.models.backbones import vgg
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    clip_length=1,
    flow_length=10,
    sampling="uniform",
    score_fusion="softmax",
    stream_weights=(1.0, 2.0),
)
# After fc6 and fc7, in the authors' files.
DROPOUT = {"rgb": (0.9, 0.9), "flow": (0.9, 0.8)}

# === Network ===


@register_model(
    paper=(
        "Wang, Xiong, Wang, Qiao: Towards Good Practices for Very Deep "
        "Two-Stream ConvNets, arXiv 2015"
    )
)
def two_stream_vgg16(
    num_classes: int = 101,
    *,
    streams: Sequence[str] = ("rgb", "flow"),
    clip_length: int = 1,
    flow_length: int = 10,
    dropout: float | None = None,
    normalization: str = "imagenet",
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Two-stream VGG-16 (Wang et al. 2015), with random weights.

    Trainable parameters with 101 classes: rgb 134,674,341, flow 134,684,133.

    Args:
        num_classes: Classes of the head.
        streams: "rgb", "flow" or both.
        clip_length: T frames, or stacks, whose scores are averaged.
        flow_length: L, flow fields stacked.
        dropout: Rate after fc6 and fc7; the authors' 0.9 (flow's second 0.8)
            when None.
        normalization: A name in `layers.NORMALIZATIONS`;
            "caffe" for the authors' own weights.
        heads: Dict from data set to number of classes, for several heads.
        outputs: "fused", or "streams" for a dict from stream to logits.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's.

    Returns:
        A model from `rgb` (B, T, H, W, 3) and `flow` (B, T, H, W, 2L) to
        logits (B, num_classes): the log of the streams' mean class
        probability, flow counting twice. Frames larger than the crop of 224
        are seen whole: fc6 runs as a 7x7 convolution, and the answers of its
        places are averaged.

    Raises:
        SpecError: If an option is not one of its choices.

    Example:

    ```python
    model = keras_twostream.models.two_stream_vgg16(51, flow_length=5)
    ```
    """
    spec = SPEC.replace(
        streams=streams,
        clip_length=clip_length,
        flow_length=flow_length,
    ).replace(**(clip_spec or {}))
    inputs, x = stream_inputs(spec, normalization, smallest=vgg.SMALLEST)
    for stream, clip in x.items():
        rates = DROPOUT[stream] if dropout is None else (dropout, dropout)
        frames = FoldTime(name=f"{stream}_fold")(clip)
        for step in vgg.steps(stream, rates, spec.crop).values():
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
        name="fc8",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
        average_steps=True,
    )
    return keras.Model(inputs, scores, name="two_stream_vgg16")
