"""FstCN: 2-D kernels below, 1-D kernels through time above.

L. Sun, K. Jia, D.-Y. Yeung, B. E. Shi: Human Action Recognition using
Factorized Spatio-Temporal Convolutional Networks. ICCV 2015, arXiv
1510.00562. There is no public code of the authors. The spatial layers run on
one frame (a random one in training, the middle one in test) and, with the
same weights, on absolute differences of frames nine apart:

                              parallel conv - pool - fc - fc
    frame        \\           /                               \\
                  SCL1 - SCL4                                  fc - softmax
    differences  /           \\                               /
                              parallel conv - pool - P - TCL - fc - fc

The paper describes the temporal layers (TCL) twice. Its abstract speaks of
"1D temporal kernels in the upper layers": `transformation="line"` convolves
over time with kernels of 3 and 5 that mix all channels and are shared by all
positions, as the public reimplementations do. Its section 3.1 lets the
transformation-and-permutation operator turn features into a plane of time and
channel, on which kernels span both: `transformation="plane"` convolves 3x3
and 5x5 there, with the 16 positions as input channels, which gives the first
dense layer 168 million weights. In both, the permutation P is a matrix that
mixes the 128 channels and starts as the identity.

Training has three stages (section 4). `auxiliary=True` builds the network of
the first two: SCL1 to SCL4 and the spatial path on single frames or images,
with a head of its own. In the first stage all of it trains, on images or
frames; in the second its last three layers, on frames of videos. In the third,
`training.copy_stream` brings its layers into the whole network, which trains.

What we assume: rectifiers after the dense layers; local response
normalisation over 5 channels with k = 2, alpha = 5e-4, beta = 0.75, constants
of a public reimplementation, with alpha divided by 5 as in Caffe; the frame
of the spatial path is the first of the two stacked at its step, as its
partner only serves the difference.

The test takes 18 crops of each clip, averages them by their sparsity
concentration (SCI), and gives each class the score of the clip where it is
largest: `evaluate --crops 18-crop`.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import keras
from keras import layers

from keras_twostream.errors import SpecError, check_choice
from keras_twostream.layers import (
    AbsoluteDifference,
    ChannelPermutation,
    DrawStep,
    FoldTime,
    LocalResponseNormalization,
    MaxPooling2D,
    TakeSteps,
    TemporalConv,
    UnfoldTime,
    classifier,
    stream_inputs,
)
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    streams=("rgb",),
    clip_length=5,
    temporal_stride=5,
    train_strides=(5, 5),
    frames_per_step=2,
    frame_gap=9,
    crop=(204, 204),
    score_fusion="sci_max",
)
# What the auxiliary network of the first two training stages takes.
FRAME_SPEC = SPEC.replace(
    clip_length=1,
    temporal_stride=1,
    train_strides=(1, 1),
    frames_per_step=1,
    frame_gap=1,
)

SMALLEST = 53

# === Parts ===


def _conv(x, name: str, filters: int, size: int, stride: int = 1):
    x = layers.ZeroPadding2D(
        size // 2, data_format="channels_last", name=f"{name}_pad"
    )(x)
    return layers.Conv2D(
        filters,
        size,
        strides=stride,
        activation="relu",
        kernel_initializer="he_uniform",
        data_format="channels_last",
        name=name,
    )(x)


def _pool(x, name: str, stride: int):
    return MaxPooling2D(3, stride, name=name)(x)


def _spatial_layers(x):
    """SCL1 to SCL4: 204 x 204 to 12 x 12 x 512."""
    for name, filters, size in (("rgb_SCL1", 96, 7), ("rgb_SCL2", 256, 5)):
        x = _conv(x, name, filters, size, stride=2)
        x = LocalResponseNormalization(alpha=5e-4, name=f"{name}_norm")(x)
        x = _pool(x, f"{name}_pool", stride=2)
    x = _conv(x, "rgb_SCL3", 512, 3)
    return _conv(x, "rgb_SCL4", 512, 3)


def _parallel(x, path: str):
    """The convolution at the start of a path: to 4 x 4 x 128."""
    x = FoldTime(name=f"{path}_fold")(x)
    x = _conv(x, f"{path}_conv", 128, 3)
    return _pool(x, f"{path}_pool", stride=3)


def _line(x, name: str, size: int):
    """A convolution through time at each position of (B, T, h, w, 128)."""
    return TemporalConv(32, size, use_bias=True, name=name)(x)


def _plane(x, name: str, size: int):
    """A convolution over the plane of time and channel, (B, T, 128, h * w)."""
    return layers.Conv2D(
        32, size, padding="same", data_format="channels_last", name=name
    )(x)


TRANSFORMATIONS = {"line": _line, "plane": _plane}


def _temporal(
    x, steps: int, transformation: str, permutation: bool, dropout: float
):
    """The paper's T-P operator and temporal layers (TCL)."""
    x = UnfoldTime(steps, name="rgb_temporal_unfold")(x)
    if permutation:
        x = ChannelPermutation(name="rgb_temporal_P")(x)
    if transformation == "plane":
        time, height, width, channels = x.shape[1:]
        x = layers.Reshape(
            (time, height * width, channels), name="rgb_temporal_positions"
        )(x)
        x = layers.Permute((1, 3, 2), name="rgb_temporal_plane")(x)
    branches = []
    for size in (3, 5):
        name = f"rgb_TCL_{size}"
        y = TRANSFORMATIONS[transformation](x, name, size)
        y = layers.ReLU(name=f"{name}_relu")(y)
        branches.append(layers.Dropout(dropout, name=f"{name}_dropout")(y))
    return layers.Concatenate(axis=-1, name="rgb_TCL")(branches)


def _dense(x, path: str, units: Sequence[int], dropout: float):
    x = layers.Flatten(data_format="channels_last", name=f"{path}_flat")(x)
    for index, width in enumerate(units, 1):
        name = f"{path}_fc{index}"
        x = layers.Dense(width, activation="relu", name=name)(x)
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return x


def _frame_and_differences(clip):
    """One frame, then the T differences: (B, 1 + T, H, W, 3)."""
    frame = DrawStep(channels=3, name="rgb_frame")(clip)
    differences = AbsoluteDifference(name="rgb_differences")(clip)
    return layers.Concatenate(axis=1, name="rgb_frame_and_differences")(
        [frame, differences]
    )


def _features(clip, steps: int, options: Mapping[str, Any]):
    """Both paths and their fusion: (B, 2048)."""
    dropout = options["dropout"]
    x = _frame_and_differences(clip)
    x = _spatial_layers(FoldTime(name="rgb_fold")(x))
    x = UnfoldTime(1 + steps, name="rgb_unfold")(x)
    spatial = TakeSteps(0, 1, name="rgb_spatial")(x)
    temporal = TakeSteps(1, 1 + steps, name="rgb_temporal")(x)
    spatial = _parallel(spatial, "rgb_spatial")
    temporal = _temporal(_parallel(temporal, "rgb_temporal"), steps, **options)
    paths = [
        _dense(spatial, "rgb_spatial", (4096, 2048), dropout),
        _dense(temporal, "rgb_temporal", (4096, 2048), dropout),
    ]
    x = layers.Concatenate(name="rgb_paths")(paths)
    return _dense(x, "rgb_fusion", (2048,), dropout)


def _auxiliary_features(clip, steps: int, dropout: float):
    """The spatial path alone, on each frame: (B, T, 2048)."""
    frames = TakeSteps(0, steps, channels=3, name="rgb_frames")(clip)
    x = _spatial_layers(FoldTime(name="rgb_fold")(frames))
    x = UnfoldTime(steps, name="rgb_unfold")(x)
    x = _parallel(x, "rgb_spatial")
    x = _dense(x, "rgb_spatial", (4096, 2048), dropout)
    return UnfoldTime(steps, name="rgb_spatial_unfold")(x)


# === Network ===


@register_model(
    paper=(
        "Sun, Jia, Yeung, Shi: Human Action Recognition using Factorized "
        "Spatio-Temporal Convolutional Networks, ICCV 2015"
    )
)
def fstcn(
    num_classes: int = 101,
    *,
    streams: Sequence[str] = ("rgb",),
    clip_length: int | None = None,
    transformation: str = "line",
    permutation: bool = True,
    auxiliary: bool = False,
    dropout: float = 0.5,
    normalization: str = "imagenet",
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """FstCN (Sun et al. 2015), with random weights.

    Trainable parameters with 101 classes: 60,145,189 on lines, 60,128,805
    without the permutation; 206,930,469 on the plane.

    Args:
        num_classes: Classes of the head.
        streams: ("rgb",) only; motion is seen in frame differences.
        clip_length: T, steps five frames apart; the paper's 5 when None, 1
            for the auxiliary network.
        transformation: "line" for temporal kernels of one dimension, as the
            abstract says, or "plane" for kernels over time and channels, as
            section 3.1 does.
        permutation: Learn the matrix P that mixes channels before the
            temporal layers; it starts as the identity.
        auxiliary: Build the network of the first two training stages: the
            spatial path alone, with a head of its own, on single frames.
        dropout: Rate after the temporal and the dense layers.
        normalization: A name in `layers.NORMALIZATIONS`.
        heads: Dict from data set to number of classes, for several heads.
        outputs: "fused", or "streams" for a dict from stream to logits.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's.

    Returns:
        A model from `rgb` (B, T, 204, 204, 6), at each step a frame and the
        one nine later, to logits (B, num_classes); the auxiliary one from
        (B, T, 204, 204, 3), each frame scored by itself. The taps are
        differences, SCL1 to SCL4, TCL, spatial_fc2, temporal_fc2 and
        fusion_fc1.

    Raises:
        SpecError: If an option is not one of its choices, or the clip does
            not stack frames.

    Example:

    ```python
    model = keras_twostream.models.fstcn(51, transformation="plane")
    ```
    """
    check_choice("transformation", transformation, TRANSFORMATIONS)
    base = FRAME_SPEC if auxiliary else SPEC
    spec = base.replace(
        streams=streams, clip_length=clip_length or base.clip_length
    ).replace(**(clip_spec or {}))
    _check_spec(spec, auxiliary)
    inputs, x = stream_inputs(
        spec, normalization, fixed_size=True, smallest=SMALLEST
    )
    if auxiliary:
        features = partial(_auxiliary_features, dropout=dropout)
    else:
        temporal = {
            "transformation": transformation,
            "permutation": permutation,
            "dropout": dropout,
        }
        features = partial(_features, options=temporal)
    scores = classifier(
        {"rgb": features(x["rgb"], spec.clip_length)},
        num_classes,
        fusion=spec.score_fusion,
        stream_weights=spec.stream_weights,
        heads=heads,
        outputs=outputs,
        activation=classifier_activation,
        name="auxiliary_fc" if auxiliary else "fc",
        average_steps=auxiliary,
    )
    return keras.Model(inputs, scores, name="fstcn")


def _check_spec(spec: ClipSpec, auxiliary: bool) -> None:
    if spec.streams != ("rgb",):
        raise SpecError(
            "`streams` must be rgb alone: fstcn sees motion as differences "
            f"of frames. Received: streams={spec.streams!r}"
        )
    if spec.frames_per_step < 2 and not auxiliary:
        raise SpecError(
            "fstcn compares the frames stacked at each step, so "
            "frames_per_step must be 2 or more. Received: "
            f"frames_per_step={spec.frames_per_step}"
        )
