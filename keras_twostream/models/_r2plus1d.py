"""R(2+1)D: every 3-D convolution split into space, then time.

D. Tran, H. Wang, L. Torresani, J. Ray, Y. LeCun, M. Paluri: A Closer Look at
Spatiotemporal Convolutions for Action Recognition. CVPR 2018, arXiv
1711.11248. Layers bear torchvision's names (r2plus1d_18).

    stem    1x7x7/(1,2,2) 45 - 3x1x1 64                     T x 56 x 56
    layer1  blocks of 64                                    T x 56 x 56
    layer2  blocks of 128, stride 2                       T/2 x 28 x 28
    layer3  blocks of 256, stride 2                       T/4 x 14 x 14
    layer4  blocks of 512, stride 2                       T/8 x 7 x 7
    avgpool over time and space, fc

    block   conv1 - bn - relu - conv2 - bn - (+ shortcut) - relu
    conv    1x3x3 to M channels - bn - relu - 3x1x1

A stride acts on space in the first of the two convolutions and on time in
the second.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from keras_twostream.errors import check_choice
from keras_twostream.layers import (
    BatchNormalization,
    SpatialConv,
    TemporalConv,
    classifier,
    stream_inputs,
)
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    streams=("rgb",),
    clip_length=16,
    short_side=128,
    resize_to=(128, 171),
    resize_filter="bilinear",
    crop=(112, 112),
    crop_rounding="round",
    flow_length=1,
    flow_algorithm="farneback",
    score_fusion="softmax",
)

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}

# Epsilon of the batch normalisation in either code base.
MIDPLANES = {"torchvision": 1e-5, "vmz": 1e-3}

# === Parts ===


def middle_channels(inputs: int, outputs: int) -> int:
    """M, so that 1x3x3 and 3x1x1 hold as many weights as 3x3x3 (3.5)."""
    return (inputs * outputs * 27) // (inputs * 9 + 3 * outputs)


def _conv_2plus1d(
    x, name: str, middle: int, filters: int, stride: int, epsilon: float
):
    x = SpatialConv(
        middle, 3, stride, kernel_initializer=_he(), name=name + "_0"
    )(x)
    x = _bn_relu(x, f"{name}_1", f"{name}_2", epsilon)
    return _temporal(x, f"{name}_3", filters, stride)


def _temporal(x, name: str, filters: int, stride: int):
    if stride == 1:
        return TemporalConv(filters, kernel_initializer=_he(), name=name)(x)
    # One frame on both sides, as PyTorch; "same" would pad the end alone.
    x = layers.ZeroPadding3D(
        (1, 0, 0), data_format="channels_last", name=f"{name}_pad"
    )(x)
    return layers.Conv3D(
        filters,
        (3, 1, 1),
        strides=(stride, 1, 1),
        use_bias=False,
        kernel_initializer=_he(),
        data_format="channels_last",
        name=name,
    )(x)


def _he():
    return keras.initializers.VarianceScaling(
        2.0, "fan_out", "untruncated_normal"
    )


def _bn(x, name: str, epsilon: float):
    return BatchNormalization(
        axis=-1, momentum=0.9, epsilon=epsilon, name=name
    )(x)


def _bn_relu(x, name: str, relu: str, epsilon: float):
    return layers.ReLU(name=relu)(_bn(x, name, epsilon))


def _stem(x, stream: str, epsilon: float):
    """1x7x7 to 45 channels, 3x1x1 to 64: a quarter of the pixels."""
    name = f"{stream}_stem"
    x = SpatialConv(45, 7, 2, kernel_initializer=_he(), name=f"{name}_0")(x)
    x = _bn_relu(x, f"{name}_1", f"{name}_2", epsilon)
    x = _temporal(x, f"{name}_3", 64, stride=1)
    return _bn_relu(x, f"{name}_4", name, epsilon)


def _shortcut(x, name: str, filters: int, stride: int, epsilon: float):
    if stride == 1:
        return x
    x = layers.Conv3D(
        filters,
        1,
        strides=stride,
        use_bias=False,
        kernel_initializer=_he(),
        data_format="channels_last",
        name=f"{name}_downsample_0",
    )(x)
    return _bn(x, f"{name}_downsample_1", epsilon)


def _block(x, name: str, filters: int, stride: int, convention: str, relu: str):
    epsilon = MIDPLANES[convention]
    middle = middle_channels(x.shape[-1], filters)
    y = _conv_2plus1d(x, f"{name}_conv1_0", middle, filters, stride, epsilon)
    y = _bn_relu(y, f"{name}_conv1_1", f"{name}_conv1_2", epsilon)
    if convention == "vmz":
        middle = middle_channels(filters, filters)
    y = _conv_2plus1d(y, f"{name}_conv2_0", middle, filters, 1, epsilon)
    y = _bn(y, f"{name}_conv2_1", epsilon)
    x = _shortcut(x, name, filters, stride, epsilon)
    x = layers.Add(name=f"{name}_sum")([x, y])
    return layers.ReLU(name=relu)(x)


def _tower(x, stream: str, depth: int, convention: str):
    """stem to avgpool."""
    x = _stem(x, stream, MIDPLANES[convention])
    for stage, count in enumerate(BLOCKS[depth], 1):
        stage_name = f"{stream}_layer{stage}"
        for index in range(count):
            name = f"{stage_name}_{index}"
            x = _block(
                x,
                name,
                filters=32 * 2**stage,
                stride=2 if stage > 1 and index == 0 else 1,
                convention=convention,
                relu=stage_name if index == count - 1 else f"{name}_relu",
            )
    return layers.GlobalAveragePooling3D(
        data_format="channels_last", name=f"{stream}_avgpool"
    )(x)


# === Network ===


@register_model(
    paper=(
        "Tran, Wang, Torresani, Ray, LeCun, Paluri: A Closer Look at "
        "Spatiotemporal Convolutions for Action Recognition, CVPR 2018"
    )
)
def r2plus1d(
    num_classes: int = 400,
    *,
    streams: Sequence[str] = ("rgb",),
    depth: int = 18,
    midplanes: str = "torchvision",
    clip_length: int = 16,
    dropout: float = 0.0,
    normalization: str = "kinetics",
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """R(2+1)D (Tran et al. 2018), with random weights.

    Trainable parameters with 400 classes, "torchvision" / "vmz": 31,505,325
    / 33,370,839 at depth 18, 61,831,661 / 63,697,175 at depth 34.

    Args:
        num_classes: Classes of the head.
        streams: "rgb", "flow" or both, fused by score (section 4.4).
        depth: 18 or 34 layers.
        midplanes: How M of a block's second convolution is set:
            "torchvision" keeps that of the first one; "vmz", the authors'
            code, computes it again. Weights fit only one of the two.
        clip_length: T, consecutive frames; any from 1. The paper has 8, 16
            and 32.
        dropout: Rate before the head.
        normalization: A name in `layers.NORMALIZATIONS`.
        heads: Dict from data set to number of classes, for several heads.
        outputs: "fused", or "streams" for a dict from stream to logits.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's.

    Returns:
        A model from `rgb` (B, T, H, W, 3) and `flow` (B, T, H, W, 2) to
        logits (B, num_classes). The taps are stem, layer1 to layer4 and
        avgpool.

    Raises:
        SpecError: If an option is not one of its choices.

    Example:

    ```python
    model = keras_twostream.models.r2plus1d(101, streams=("rgb", "flow"))
    ```
    """
    check_choice("depth", depth, BLOCKS)
    check_choice("midplanes", midplanes, MIDPLANES)
    spec = SPEC.replace(streams=streams, clip_length=clip_length).replace(
        **(clip_spec or {})
    )
    inputs, x = stream_inputs(spec, normalization)
    for stream, clip in x.items():
        x[stream] = _tower(clip, stream, depth, midplanes)
        if dropout:
            x[stream] = layers.Dropout(dropout, name=f"{stream}_dropout")(
                x[stream]
            )
    scores = classifier(
        x,
        num_classes,
        fusion=spec.score_fusion,
        stream_weights=spec.stream_weights,
        heads=heads,
        outputs=outputs,
        activation=classifier_activation,
    )
    return keras.Model(inputs, scores, name="r2plus1d")
