"""I3D: Inception-v1 inflated to three dimensions, on rgb and on flow.

J. Carreira, A. Zisserman: Quo Vadis, Action Recognition? A New Model and the
Kinetics Dataset. CVPR 2017, arXiv 1705.07750. Endpoints, names and padding
as in DeepMind's code (kinetics-i3d), so that its checkpoints fit: every
kernel and pool is padded as TensorFlow's SAME does, and the normalisation
has an offset and no scale.

    Conv3d_1a_7x7      7x7x7/2 64            32 x 112 x 112   (T = 64)
    MaxPool3d_2a_3x3   1x3x3/(1,2,2)         32 x 56 x 56
    Conv3d_2b_1x1, Conv3d_2c_3x3             32 x 56 x 56 x 192
    MaxPool3d_3a_3x3   1x3x3/(1,2,2)         32 x 28 x 28
    Mixed_3b, 3c                             32 x 28 x 28 x 480
    MaxPool3d_4a_3x3   3x3x3/2               16 x 14 x 14
    Mixed_4b to 4f                           16 x 14 x 14 x 832
    MaxPool3d_5a_2x2   2x2x2/2                8 x 7 x 7
    Mixed_5b, 5c                              8 x 7 x 7 x 1024
    Logits             average of 2x7x7, 1x1x1, mean over time
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import layers

from keras_twostream.layers import (
    BatchNormalization,
    MaxPooling3D,
    classifier,
    stream_inputs,
)
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    clip_length=64,
    flow_length=1,
    flow_algorithm="tvl1",
    resize_filter="bilinear",
)

# === Parts ===


def _unit(x, name: str, filters: int, size: int = 1, stride: int = 1):
    """Convolution, normalisation without scale ("_bn"), ReLU ("_relu")."""
    x = layers.Conv3D(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        data_format="channels_last",
        name=name,
    )(x)
    x = BatchNormalization(
        axis=-1,
        momentum=0.999,
        epsilon=1e-3,
        scale=False,
        name=f"{name}_bn",
    )(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _max_pool(x, name: str, size, strides):
    return MaxPooling3D(size, strides, "same", name=name)(x)


def _mixed(x, name: str, one, three, double, pooled):
    """An Inception module; its Branch_2 has 3x3x3 where the 2-D net has 5x5."""
    # The checkpoints call this one unit differently.
    last = "Conv3d_0a_3x3" if name.endswith("5b") else "Conv3d_0b_3x3"
    branches = [f"{name}_Branch_{index}" for index in range(4)]
    a = _unit(x, f"{branches[0]}_Conv3d_0a_1x1", one)
    b = _unit(x, f"{branches[1]}_Conv3d_0a_1x1", three[0])
    b = _unit(b, f"{branches[1]}_Conv3d_0b_3x3", three[1], 3)
    c = _unit(x, f"{branches[2]}_Conv3d_0a_1x1", double[0])
    c = _unit(c, f"{branches[2]}_{last}", double[1], 3)
    d = _max_pool(x, f"{branches[3]}_MaxPool3d_0a_3x3", 3, 1)
    d = _unit(d, f"{branches[3]}_Conv3d_0b_1x1", pooled)
    return layers.Concatenate(axis=-1, name=name)([a, b, c, d])


PARTS: dict[str, Callable] = {
    "Conv3d": _unit,
    "MaxPool3d": _max_pool,
    "Mixed": _mixed,
}

ENDPOINTS = {
    "Conv3d_1a_7x7": (64, 7, 2),
    "MaxPool3d_2a_3x3": ((1, 3, 3), (1, 2, 2)),
    "Conv3d_2b_1x1": (64, 1),
    "Conv3d_2c_3x3": (192, 3),
    "MaxPool3d_3a_3x3": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": (64, (96, 128), (16, 32), 32),
    "Mixed_3c": (128, (128, 192), (32, 96), 64),
    "MaxPool3d_4a_3x3": (3, 2),
    "Mixed_4b": (192, (96, 208), (16, 48), 64),
    "Mixed_4c": (160, (112, 224), (24, 64), 64),
    "Mixed_4d": (128, (128, 256), (24, 64), 64),
    "Mixed_4e": (112, (144, 288), (32, 64), 64),
    "Mixed_4f": (256, (160, 320), (32, 128), 128),
    "MaxPool3d_5a_2x2": (2, 2),
    "Mixed_5b": (256, (160, 320), (32, 128), 128),
    "Mixed_5c": (384, (192, 384), (48, 128), 128),
}


def _tower(x, stream: str):
    """Conv3d_1a_7x7 to Mixed_5c."""
    for endpoint, row in ENDPOINTS.items():
        part = PARTS[endpoint.split("_")[0]]
        x = part(x, f"{stream}_{endpoint}", *row)
    return x


def _pool(x, stream: str, window: tuple[int, ...], dropout: float):
    """The mean over time and place of the window's averages."""
    # In float32: PyTorch averages no bfloat16 volumes on a CPU.
    x = layers.AveragePooling3D(
        window,
        strides=1,
        dtype="float32",
        data_format="channels_last",
        name=f"{stream}_Logits_AvgPool3d_0a_7x7",
    )(x)
    x = layers.Dropout(dropout, name=f"{stream}_Logits_Dropout_0b")(x)
    # The published net averages logits: the same, as they are linear in this.
    return layers.GlobalAveragePooling3D(
        data_format="channels_last", name=f"{stream}_Logits_mean"
    )(x)


def _window(spec: ClipSpec) -> tuple[int, ...]:
    """2x7x7, or all there is of a clip shorter or smaller than the paper's."""
    sizes = (-(-spec.clip_length // 8), *(-(-side // 32) for side in spec.crop))
    return tuple(map(min, sizes, (2, 7, 7)))


# === Network ===


@register_model(
    paper=(
        "Carreira, Zisserman: Quo Vadis, Action Recognition? A New Model and "
        "the Kinetics Dataset, CVPR 2017"
    )
)
def i3d(
    num_classes: int = 400,
    *,
    streams: Sequence[str] = ("rgb", "flow"),
    clip_length: int = 64,
    dropout: float = 0.5,
    normalization: str = "half",
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Two-stream I3D (Carreira & Zisserman 2017), with random weights.

    Trainable parameters with 400 classes: rgb 12,689,984, flow 12,668,032.

    Args:
        num_classes: Classes of the head.
        streams: "rgb", "flow" or both.
        clip_length: T. The paper trains with 64 and tests on whole videos;
            weights fit any T.
        dropout: Rate before the logits.
        normalization: A name in `layers.NORMALIZATIONS`.
            "half" gives -1..1 for rgb and for flow within 20 pixels.
        heads: Dict from data set to number of classes, for several heads.
        outputs: "fused", or "streams" for a dict from stream to logits.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's. A
            `crop` below 224 shrinks the last pool.

    Returns:
        A model from `rgb` (B, T, H, W, 3) and `flow` (B, T, H, W, 2) to
        logits (B, num_classes): the mean of both streams' logits. The
        published code adds them, so that its logits are twice ours: the
        same classes with sharper probabilities. Height and width may be
        the spec's `crop` or larger: logits are averaged over time and over
        the places of the last pool. The taps are the endpoints of the
        table, with `_relu` behind a convolution's name.

    Raises:
        SpecError: If an option is not one of its choices.

    Example:

    ```python
    model = keras_twostream.models.i3d(streams=("flow",), clip_length=79)
    ```
    """
    spec = SPEC.replace(streams=streams, clip_length=clip_length).replace(
        **(clip_spec or {})
    )
    inputs, x = stream_inputs(spec, normalization)
    for stream, clip in x.items():
        features = _tower(clip, stream)
        x[stream] = _pool(features, stream, _window(spec), dropout)
    scores = classifier(
        x,
        num_classes,
        fusion=spec.score_fusion,
        stream_weights=spec.stream_weights,
        heads=heads,
        outputs=outputs,
        activation=classifier_activation,
        name="Logits_Conv3d_0c_1x1",
    )
    return keras.Model(inputs, scores, name="i3d")
