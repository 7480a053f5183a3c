"""Action Tubes: the network that scores regions, one at a time.

G. Gkioxari, J. Malik: Finding Action Tubes. CVPR 2015, arXiv 1411.6031.
Layers as in the authors' Caffe file (gkioxari/ActionTubes): wider than
AlexNet, with a 7x7 first kernel, pooling before normalisation and two groups
in conv2, conv4 and conv5. Both streams have the same network.

    conv1  7x7/2 96    111 x 111      conv3  3x3 512         13 x 13
    pool1, norm1        55 x 55       conv4  3x3 512, 2 gr.  13 x 13
    conv2  5x5/2 384    26 x 26       conv5  3x3 384, 2 gr.  13 x 13
           2 groups                   pool5                   6 x 6
    pool2, norm2        13 x 13       fc6, fc7 4096, fc8

A batch counts regions, each warped to 227 x 227. Their flow is not scaled by
the warp: the network sees it as a colour image of |f|, v and u, 16 levels to
the pixel. Biases start at 1 in conv2, conv4, conv5, fc6 and fc7.

The networks are trained with fc8 on top, one class more than there are
actions (`head="softmax"`; fused logits are the mean of the two fc8). A
detector has linear SVMs instead (`head="svm"`): fc7 of each stream is scaled
to a mean norm of 20, and one Dense layer on both streams has a column per
action. The option `regions` says how regions are found and linked.

The paper's streams start from trained networks. From random weights, a narrow
network on regions in 0..255 answers "background" for thousands of steps. With
`batch_norm=True` every layer but the last is normalised over the batch, in
place of the local response normalisation.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from keras_twostream.errors import SpecError, check_choice
from keras_twostream.layers import (
    BatchNormalization,
    CeilMaxPooling2D,
    FlowImage,
    FoldTime,
    GroupedConv2D,
    LocalResponseNormalization,
    Rescale,
    classifier,
    stream_inputs,
)
from keras_twostream.regions import RegionSpec
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    clip_length=1,
    flow_length=1,
    flow_bound=8.0,
    crop=(227, 227),
)

SMALLEST = 49
HEADS = ("softmax", "svm")

# === Parts ===


def _conv(
    x,
    name: str,
    filters: int,
    size: int,
    width: float,
    *,
    groups: int = 1,
    stride: int = 1,
    padding: str = "same",
    bias: str = "zeros",
    batch_norm: bool = False,
):
    x = GroupedConv2D(
        _even(filters * width),
        size,
        groups,
        strides=stride,
        padding=padding,
        activation=None if batch_norm else "relu",
        kernel_initializer=_kernels(0.01, width),
        bias_initializer=bias,
        name=name,
    )(x)
    return _normalised(x, name) if batch_norm else x


def _normalised(x, name: str):
    """Batch normalisation ("_bn") and the ReLU after it ("_relu")."""
    x = BatchNormalization(
        axis=-1, momentum=0.9, epsilon=1e-3, name=f"{name}_bn"
    )(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _even(number: float) -> int:
    """Return the nearest even number, as two groups share the channels."""
    return max(2, 2 * round(number / 2))


def _kernels(stddev: float, width: float) -> keras.initializers.Initializer:
    """Return the authors' Gaussian, or He's for a narrower network.

    Features of a narrow network would vanish under the authors' small kernels.
    """
    if width == 1.0:
        return keras.initializers.RandomNormal(stddev=stddev)
    return keras.initializers.HeNormal()


def _pool_norm(x, stream: str, index: int, batch_norm: bool):
    x = CeilMaxPooling2D(3, 2, name=f"{stream}_pool{index}")(x)
    if batch_norm:
        return x
    return LocalResponseNormalization(k=1.0, name=f"{stream}_norm{index}")(x)


def _convolutions(x, stream: str, width: float, batch_norm: bool):
    """conv1 to pool5: 227 x 227 to 6 x 6 x 384."""

    def conv(x, index: int, filters: int, size: int, **options: Any):
        name = f"{stream}_conv{index}"
        options["batch_norm"] = batch_norm
        return _conv(x, name, filters, size, width, **options)

    x = conv(x, 1, 96, 7, stride=2, padding="valid")
    x = _pool_norm(x, stream, 1, batch_norm)
    x = conv(x, 2, 384, 5, groups=2, stride=2, padding="valid", bias="ones")
    x = _pool_norm(x, stream, 2, batch_norm)
    x = conv(x, 3, 512, 3)
    x = conv(x, 4, 512, 3, groups=2, bias="ones")
    x = conv(x, 5, 384, 3, groups=2, bias="ones")
    return CeilMaxPooling2D(3, 2, name=f"{stream}_pool5")(x)


def _dense(x, stream: str, dropout: float, width: float, batch_norm: bool):
    """fc6 and fc7."""
    x = layers.Flatten(data_format="channels_last", name=f"{stream}_flat")(x)
    for name in (f"{stream}_fc6", f"{stream}_fc7"):
        x = layers.Dense(
            _even(4096 * width),
            activation=None if batch_norm else "relu",
            kernel_initializer=_kernels(0.005, width),
            bias_initializer="ones",
            name=name,
        )(x)
        x = _normalised(x, name) if batch_norm else x
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return x


def _svms(features: Mapping[str, Any], num_classes: int):
    """Linear SVMs, one against the rest, on fc7 of all streams."""
    scaled = [
        Rescale(name=f"{stream}_scale")(x) for stream, x in features.items()
    ]
    stem = "fused" if len(scaled) > 1 else next(iter(features))
    x = scaled[0]
    if len(scaled) > 1:
        x = layers.Concatenate(name="fused_fc7")(scaled)
    return layers.Dense(num_classes, dtype="float32", name=f"{stem}_svm")(x)


# === Network ===


@register_model(
    paper="Gkioxari, Malik: Finding Action Tubes, CVPR 2015",
)
def action_tubes(
    num_classes: int = 22,
    *,
    streams: Sequence[str] = ("rgb", "flow"),
    include_top: bool = True,
    head: str = "softmax",
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float = 0.5,
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
    regions: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Action Tubes (Gkioxari & Malik 2015), with random weights.

    77,809,302 trainable parameters in each stream with 22 outputs.

    Args:
        num_classes: Outputs of the head: 22 for J-HMDB's 21 actions and the
            background; the 21 actions alone where the head is SVMs.
        streams: "rgb", "flow" or both.
        include_top: False for the features of fc7 instead of scores, for
            the SVM: a dict from stream to (B, 4096).
        head: "softmax" for fc8 of each stream, to train the network, or
            "svm" for the detector's linear SVMs.
        width: Width of every layer as a share of the paper's. Networks of
            another width start from He et al.'s initialisation.
        batch_norm: Batch normalisation of every layer but the last, in place
            of local response normalisation, to train from random weights.
        dropout: Rate after fc6 and fc7.
        heads: Dict from data set to number of outputs, for several heads.
        outputs: "fused", or "streams" for a dict from stream to logits.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's.
        regions: Fields of the RegionSpec that differ from the authors'.

    Returns:
        A model from regions `rgb` (B, 1, 227, 227, 3) and `flow` (B, 1, 227,
        227, 2) to logits (B, num_classes). The taps are conv1 to conv5,
        norm1, norm2, pool5, fc6 and fc7.

    Raises:
        SpecError: If an option is not one of its choices, or the clip has
            more than one step.

    Example:

    ```python
    model = keras_twostream.models.action_tubes(12, include_top=False)
    ```
    """
    spec = SPEC.replace(streams=streams).replace(**(clip_spec or {}))
    RegionSpec.from_json(regions or {})
    _check(spec, head, width)
    if head == "svm":
        _check_svm(heads, outputs, classifier_activation)
    inputs, x = stream_inputs(
        spec, "action_tubes", fixed_size=True, smallest=SMALLEST
    )
    for stream, region in x.items():
        image = FoldTime(name=f"{stream}_fold")(region)
        if stream == "flow":
            image = FlowImage(name="flow_image")(image)
        image = _convolutions(image, stream, width, batch_norm)
        x[stream] = _dense(image, stream, dropout, width, batch_norm)
    if not include_top:
        return keras.Model(inputs, x, name="action_tubes")
    if head == "svm":
        return keras.Model(inputs, _svms(x, num_classes), name="action_tubes")
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
    return keras.Model(inputs, scores, name="action_tubes")


def _check(spec: ClipSpec, head: str, width: float) -> None:
    if spec.clip_length != 1 or spec.flow_length != 1:
        raise SpecError(
            "action_tubes scores single regions: clip_length and flow_length "
            f"must be 1. Received: clip_length={spec.clip_length}, "
            f"flow_length={spec.flow_length}"
        )
    check_choice("head", head, HEADS)
    if not 0 < width <= 4:
        raise SpecError(
            "`width` is a share of the paper's widths, greater than 0 and 4 "
            f"at most. Received: width={width!r}"
        )


def _check_svm(
    heads: Mapping[str, int] | None, outputs: str, activation: str | None
) -> None:
    if heads or outputs != "fused" or activation is not None:
        raise SpecError(
            "The SVMs are one layer on all streams: `heads`, `outputs` and "
            "`classifier_activation` are options of head='softmax'. Received: "
            f"heads={heads!r}, outputs={outputs!r}, "
            f"classifier_activation={activation!r}"
        )
