"""C3D: 3x3x3 convolutions all the way.

D. Tran, L. Bourdev, R. Fergus, L. Torresani, M. Paluri: Learning
Spatiotemporal Features with 3D Convolutional Networks. ICCV 2015, arXiv
1412.0767. Layer by layer as in the authors' Caffe files
(facebookarchive/C3D), whose pools round up: pool5 takes 2 x 7 x 7 to
1 x 4 x 4 by one cell at the far end, not by a symmetric padding.

    conv1a  pool1  conv2a  pool2  conv3a,b  pool3  conv4a,b  pool4  conv5a,b
    64      1x2x2  128     2x2x2  256       2x2x2  512       2x2x2  512
    pool5  fc6   fc7   fc8
    2x2x2  4096  4096  classes

The authors subtract a mean volume, one value for each pixel and step, whose
file is not public any more. We assume constants in its place, the mean of
each channel over ImageNet as Caffe gives it (BGR 104, 117, 123); their later
code (C3D v1.1) has a constant of 128 throughout.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from keras_twostream.errors import SpecError, check_choice
from keras_twostream.layers import (
    BatchNormalization,
    MaxPooling3D,
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
    flow_length=1,
    score_fusion="softmax",
)

# Channels of the convolutions "a", "b" of each group, and of fc6 and fc7.
# "small" is the authors' network for UCF-101 from scratch.
VARIANTS = {
    "original": (((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2), 4096),
    "small": (((64,), (128,), (256,), (256,), (256,)), 2048),
}

POOL_PADDINGS = ("end", "both")

# === Parts ===


def _conv(x, name: str, filters: int, *, batch_norm: bool, bias: float):
    x = layers.Conv3D(
        filters,
        3,
        padding="same",
        activation=None if batch_norm else "relu",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=keras.initializers.Constant(bias),
        data_format="channels_last",
        name=name,
    )(x)
    if not batch_norm:
        return x
    x = BatchNormalization(
        axis=-1, momentum=0.9, epsilon=1e-3, name=f"{name}_bn"
    )(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _pool(x, name: str, group: int):
    # With windows of 2 and steps of 2, "same" is Caffe's rounding up.
    size = (1, 2, 2) if group == 1 else 2
    return MaxPooling3D(size, padding="same", name=name)(x)


def _pool_both_sides(x, name: str):
    """pool5 as OpenMMLab pads it: by one on each side of height and width."""
    x = layers.ZeroPadding3D(
        (0, 1, 1), data_format="channels_last", name=f"{name}_pad"
    )(x)
    # After a ReLU, zeros pad as well as -inf.
    return MaxPooling3D(2, name=name)(x)


def _convolutions(x, stream: str, groups, batch_norm: bool, pool_padding: str):
    """conv1a to pool5: 16 x 112 x 112 to 1 x 4 x 4."""
    for group, widths in enumerate(groups, 1):
        for letter, filters in zip("ab", widths, strict=False):
            x = _conv(
                x,
                f"{stream}_conv{group}{letter}",
                filters,
                batch_norm=batch_norm,
                bias=0.0 if group == 1 else 1.0,
            )
        if group == len(groups) and pool_padding == "both":
            x = _pool_both_sides(x, f"{stream}_pool{group}")
        else:
            x = _pool(x, f"{stream}_pool{group}", group)
    return x


def _dense(x, stream: str, units: int, dropout: float):
    """fc6 and fc7."""
    x = layers.Flatten(data_format="channels_last", name=f"{stream}_flat")(x)
    for name in (f"{stream}_fc6", f"{stream}_fc7"):
        x = layers.Dense(
            units,
            activation="relu",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.005),
            bias_initializer="ones",
            name=name,
        )(x)
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return x


# === Network ===


@register_model(
    paper=(
        "Tran, Bourdev, Fergus, Torresani, Paluri: Learning Spatiotemporal "
        "Features with 3D Convolutional Networks, ICCV 2015"
    )
)
def c3d(
    num_classes: int = 487,
    *,
    streams: Sequence[str] = ("rgb",),
    clip_length: int = 16,
    variant: str = "original",
    batch_norm: bool = False,
    pool_padding: str = "end",
    dropout: float = 0.5,
    normalization: str = "caffe",
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """C3D (Tran et al. 2015), with random weights.

    79,991,015 trainable parameters with the 487 classes of Sports-1M,
    78,409,573 with 101; 17,444,965 for the small variant with 101.

    Args:
        num_classes: Classes of the head.
        streams: "rgb" as in the paper; "flow" gives the same tower two
            channels.
        clip_length: T, consecutive frames.
        variant: "original", or "small": one convolution per group, the
            network the authors train on UCF-101 from scratch.
        batch_norm: Normalise before each convolution's ReLU, as the authors
            did later (facebookresearch/VMZ).
        pool_padding: Padding of pool5: at the "end", as the authors'
            Caffe rounds up, or on "both" sides, as OpenMMLab trained it.
        dropout: Rate after fc6 and fc7.
        normalization: A name in `layers.NORMALIZATIONS`.
        heads: Dict from data set to number of classes, for several heads.
        outputs: "fused", or "streams" for a dict from stream to logits.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's.

    Returns:
        A model from `rgb` (B, T, 112, 112, 3) to logits (B, num_classes).
        The taps are conv1a to conv5b, pool1 to pool5, fc6 and fc7.

    Raises:
        SpecError: If an option is not one of its choices.

    Example:

    ```python
    model = keras_twostream.models.c3d(101, variant="small")
    ```
    """
    check_choice("pool_padding", pool_padding, POOL_PADDINGS)
    check_choice("variant", variant, VARIANTS)
    spec = SPEC.replace(streams=streams, clip_length=clip_length).replace(
        **(clip_spec or {})
    )
    _check(spec, pool_padding)
    groups, units = VARIANTS[variant]
    inputs, x = stream_inputs(spec, normalization, fixed_size=True)
    for stream, clip in x.items():
        features = _convolutions(clip, stream, groups, batch_norm, pool_padding)
        x[stream] = _dense(features, stream, units, dropout)
    scores = classifier(
        x,
        num_classes,
        fusion=spec.score_fusion,
        stream_weights=spec.stream_weights,
        heads=heads,
        outputs=outputs,
        activation=classifier_activation,
        name="fc8",
    )
    return keras.Model(inputs, scores, name="c3d")


def _check(spec: ClipSpec, pool_padding: str) -> None:
    if pool_padding == "both" and spec.clip_length <= 8:
        raise SpecError(
            "pool_padding='both' pads no time, and pool5 takes two of the "
            "steps that three pools leave: clip_length must be 9 or more. "
            f"Received: clip_length={spec.clip_length}"
        )
