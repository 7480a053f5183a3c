"""Single-frame, early, late and slow fusion, and context and fovea streams.

A. Karpathy, G. Toderici, S. Shetty, T. Leung, R. Sukthankar, L. Fei-Fei:
Large-scale Video Classification with Convolutional Neural Networks. CVPR
2014. No code was published; the padding, which the paper leaves out, is the
one that gives its 7 x 7 x 256 both for 170 and for 89 pixels.

    single  frame ------- conv1 .. conv5 - fc6 - fc7 - fc8
    early   10 frames --- conv1 sees all of them - ...
    late    2 frames ---- conv1 .. conv5 of each, shared - fc6 sees both
    slow    10 frames --- conv1 sees 4, conv2 2, conv3 2 of what is before it

    multiresolution       context - conv1 .. conv5 \\
                          fovea --- conv1 .. conv5 - fc6 - fc7 - fc8
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_twostream.errors import check_choice
from keras_twostream.layers import (
    ContextFovea,
    FoldTime,
    LocalResponseNormalization,
    StackFrames,
    UnfoldTime,
    classifier,
    stream_inputs,
)
from keras_twostream.models.backbones import units
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    streams=("rgb",),
    short_side=200,
    cut_to=(200, 200),
    crop=(170, 170),
    sampling="uniform",
    score_fusion="softmax",
)
FOVEA_CROP = (178, 178)
# T and the frames between two steps, by kind of fusion (section 3.1).
CLIPS = {"single": (1, 1), "early": (10, 1), "late": (2, 15), "slow": (10, 1)}
# Frames that a convolution sees, and its stride in time.
SLOW = {"conv1": (4, 2), "conv2": (2, 2), "conv3": (2, 2)}
# Filters, kernel, stride, and whether normalisation and pooling follow.
CONVOLUTIONS = {
    "conv1": (96, 11, 3, True, True),
    "conv2": (256, 5, 1, True, True),
    "conv3": (384, 3, 1, False, False),
    "conv4": (384, 3, 1, False, False),
    "conv5": (256, 3, 1, False, True),
}

# Layers whose biases start at 1, as in Krizhevsky et al. 2012, section 5.
READY = ("conv2", "conv4", "conv5", "fc6", "fc7")

SMALLEST = 22

# === Parts ===


def _start(layer: str) -> dict[str, Any]:
    """Return the initialisers of a layer.

    They are those of Krizhevsky et al., whose network the paper changes: they
    suit inputs of -117 to 138, which others turn into scores of hundreds.
    """
    return {
        "kernel_initializer": keras.initializers.RandomNormal(stddev=0.01),
        "bias_initializer": "ones" if layer in READY else "zeros",
    }


def _tower(clip, prefix: str, windows: Mapping, last_pool: bool):
    """conv1 to conv5: (B, T, H, W, 3) to (B * steps, 7, 7, 256), steps."""
    steps = clip.shape[1]
    x = FoldTime(name=f"{prefix}_fold")(clip)
    for conv, (filters, size, stride, norm, pool) in CONVOLUTIONS.items():
        name = f"{prefix}_{conv}"
        if conv in windows:
            x, steps = _see_more_frames(x, name, steps, *windows[conv])
        x = units.conv(x, name, filters, size, stride, **_start(conv))
        if norm:
            # An alpha of 1e-4 for the window's sum, as the paper writes it.
            x = LocalResponseNormalization(
                alpha=5e-4, beta=0.5, name=name.replace("conv", "norm")
            )(x)
        if pool and (last_pool or conv != "conv5"):
            x = units.max_pool(x, name.replace("conv", "pool"), 2, 2)
    return x, steps


def _see_more_frames(x, name: str, steps: int, length: int, stride: int):
    """Stack windows of frames as channels of the next convolution.

    A 2-D convolution of stacked frames is one through time, too.
    """
    x = UnfoldTime(steps, name=f"{name}_unfold")(x)
    x = StackFrames(length, stride, name=f"{name}_window")(x)
    return FoldTime(name=f"{name}_fold")(x), x.shape[1]


def _pixels(clip, stream: str, windows: Mapping, multiresolution: bool):
    """Run the whole frame through a tower, or context and fovea each."""
    if not multiresolution:
        return _tower(clip, stream, windows, last_pool=True)
    halves = ContextFovea(name=f"{stream}_crops")(clip)
    ends = []
    for half, part in zip(halves, ("context", "fovea"), strict=True):
        x, steps = _tower(half, f"{stream}_{part}", windows, last_pool=False)
        ends.append(x)
    return units.concat(ends, f"{stream}_context_fovea"), steps


def _dense(x, stream: str, dropout: float, input_dropout: float):
    x = units.flatten(x, f"{stream}_flat")
    if input_dropout:
        x = units.dropout(x, f"{stream}_flat_dropout", input_dropout)
    for layer in ("fc6", "fc7"):
        x = units.dense(x, f"{stream}_{layer}", 4096, **_start(layer))
        x = units.dropout(x, f"{stream}_{layer}_dropout", dropout)
    return x


# === Network ===


@register_model(
    paper=(
        "Karpathy, Toderici, Shetty, Leung, Sukthankar, Fei-Fei: Large-scale "
        "Video Classification with Convolutional Neural Networks, CVPR 2014"
    )
)
def context_fovea(
    num_classes: int = 487,
    *,
    streams: Sequence[str] = ("rgb",),
    fusion: str = "single",
    multiresolution: bool = False,
    clip_length: int | None = None,
    dropout: float = 0.5,
    input_dropout: float = 0.0,
    normalization: str = "constant",
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """The networks of Karpathy et al. 2014, with random weights.

    Trainable parameters with 487 classes: single 73,908,071, early
    74,221,703, late 125,288,295, slow 75,511,751; with context and fovea,
    single 129,035,495 and slow 132,242,855.

    Args:
        num_classes: Classes of the head; Sports-1M has 487.
        streams: ("rgb",) only; the paper has no flow.
        fusion: "single", "early", "late" or "slow" (section 3.1).
        multiresolution: Context and fovea streams of 89 pixels (3.2) instead
            of one of 170.
        clip_length: T; the paper's 1, 10, 2, 10 when None. Scores of single
            frames are averaged; late and slow fusion take no other T.
        dropout: Rate after fc6 and fc7.
        input_dropout: Rate before fc6, for when all three dense layers are
            retrained (section 5).
        normalization: A name in `layers.NORMALIZATIONS`.
        heads: Dict from data set to number of classes, for several heads.
        outputs: "fused", or "streams" for a dict from stream to logits.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's.

    Returns:
        A model from `rgb` (B, T, 170, 170, 3), or (B, T, 178, 178, 3) with
        context and fovea, to logits (B, num_classes).

    Raises:
        SpecError: If an option is not one of its choices, or the fusion does
            not know the clip length.

    Example:

    ```python
    model = keras_twostream.models.context_fovea(
        101, fusion="slow", multiresolution=True
    )
    ```
    """
    check_choice("fusion", fusion, CLIPS)
    check_choice("streams", tuple(streams), [("rgb",)])
    length, stride = CLIPS[fusion]
    spec = SPEC.replace(
        streams=streams,
        clip_length=clip_length or length,
        temporal_stride=stride,
        train_strides=(stride, stride),
        crop=FOVEA_CROP if multiresolution else SPEC.crop,
    ).replace(**(clip_spec or {}))
    if fusion in ("late", "slow"):
        check_choice("clip_length", spec.clip_length, [length])
    inputs, x = stream_inputs(
        spec, normalization, fixed_size=True, smallest=SMALLEST
    )
    early = {"conv1": (spec.clip_length, 1)}
    windows = {"early": early, "slow": SLOW}.get(fusion, {})
    frames, steps = _pixels(x["rgb"], "rgb", windows, multiresolution)
    if fusion == "late":
        frames = UnfoldTime(steps, name="rgb_late")(frames)
        steps = 1
    frames = _dense(frames, "rgb", dropout, input_dropout)
    x["rgb"] = UnfoldTime(steps, name="rgb_unfold")(frames)
    scores = classifier(
        x,
        num_classes,
        fusion=spec.score_fusion,
        stream_weights=spec.stream_weights,
        heads=heads,
        outputs=outputs,
        activation=classifier_activation,
        name="fc8",
        average_steps=True,
    )
    return keras.Model(inputs, scores, name="context_fovea")
