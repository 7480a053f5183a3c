"""ST-ResNet: residual connections across the streams and through time.

C. Feichtenhofer, A. Pinz, R. P. Wildes: Spatiotemporal Residual Networks for
Video Action Recognition. NIPS 2016, arXiv 1611.02155. Where the paper leaves
room, the authors' code decides (feichtenhofer/st-resnet).

    rgb    conv1 - res2a - res2b - ... - res3a - res3b - ...     - fc
                      |    ^                |    ^                  \\
                      +----|------+         +----|------+            mean
                           |relu                 |relu              /
    flow   conv1 - res2a --+-- res2b ... - res3a +-- res3b ...   - fc

At the second block of every stage the motion stream is added to the appearance
sum before its ReLU, in the residual branch only. The first and last 1x1
convolutions of that block see three frames, in both streams, and start as an
average over them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from keras_twostream.errors import SpecError
from keras_twostream.layers import (
    AverageThroughTime,
    FoldTime,
    MaxPooling3D,
    TemporalConv,
    UnfoldTime,
    classifier,
    stream_inputs,
)
from keras_twostream.models.backbones import resnet
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    clip_length=5,
    temporal_stride=15,
    train_strides=(5, 15),
    flow_length=10,
    flow_offset=-5,
)
MOMENTUM = resnet.SLOW_MOMENTUM

# === Parts ===


def _residual_branch(x, block: resnet.Block, clip_length: int):
    """The convolutions of a block; lifted through time in the second one."""
    steps = resnet.convolutions(block)
    for branch, filters, size, stride in steps:
        name = block.part(branch)
        if block.index == 1 and _is_lifted(block, branch):
            x = _lifted(x, name, filters, size, clip_length)
        else:
            x = resnet.conv(x, name, filters, size, stride)
        x = resnet.batch_norm(x, block.part(branch, "bn"), MOMENTUM)
        if branch != steps[-1][0]:
            x = resnet.relu(x, f"{name}_relu")
    return x


def _is_lifted(block: resnet.Block, branch: str) -> bool:
    # Depths 18 and 34 have no 1x1 to lift: the second 3x3 is our extension.
    return branch in (("2b",) if block.basic else ("2a", "2c"))


def _lifted(x, name: str, filters: int, size: int, clip_length: int):
    """A convolution over three frames that starts as their average."""
    x = UnfoldTime(clip_length, name=f"{name}_unfold")(x)
    init = AverageThroughTime("he_uniform")
    if size == 1:
        x = TemporalConv(filters, kernel_initializer=init, name=name)(x)
    else:
        x = layers.Conv3D(
            filters,
            (3, size, size),
            padding="same",
            use_bias=False,
            kernel_initializer=init,
            data_format="channels_last",
            name=name,
        )(x)
    return FoldTime(name=f"{name}_fold")(x)


def _inject(appearance, motion, name: str):
    """The appearance sum before its ReLU, plus the motion after its own."""
    return layers.Add(name=f"{name}_injected")([appearance, motion])


def _stage(
    x: dict[str, Any], stage: int, clip_length: int, options: dict[str, Any]
) -> dict[str, Any]:
    """One stage of both streams, with the injection at its second block."""
    towers = {s: resnet.blocks(s, stage, **options) for s in x}
    sums: dict[str, Any] = {}
    for index in range(len(next(iter(towers.values())))):
        branch_inputs = dict(x)
        if index == 1 and len(x) == 2:
            name = towers["rgb"][index].name
            branch_inputs["rgb"] = _inject(sums["rgb"], x["flow"], name)
        for stream, tower in towers.items():
            block = tower[index]
            residual = _residual_branch(
                branch_inputs[stream], block, clip_length
            )
            sums[stream] = layers.Add(name=block.name)(
                [resnet.shortcut(x[stream], block, MOMENTUM), residual]
            )
        x = {s: resnet.rectify(sums[s], towers[s], index) for s in x}
    return x


def _pool_time(x, stream: str, clip_length: int, temporal_pool: int | None):
    """The maximum over time, which the second stage of training adds."""
    x = UnfoldTime(clip_length, name=f"{stream}_unfold")(x)
    if temporal_pool is not None:
        x = MaxPooling3D(
            (temporal_pool, 1, 1),
            strides=(2, 1, 1),
            name=f"{stream}_temporal_pool",
        )(x)
    return x


# === Network ===


@register_model(
    paper=(
        "Feichtenhofer, Pinz, Wildes: Spatiotemporal Residual Networks for "
        "Video Action Recognition, NIPS 2016"
    )
)
def spatiotemporal_resnet(
    num_classes: int = 101,
    *,
    streams: Sequence[str] = ("rgb", "flow"),
    depth: int = 50,
    width: int = 64,
    clip_length: int = 5,
    flow_length: int = 10,
    temporal_pool: int | None = None,
    pool_window: int | None = None,
    stride_in: str = "1x1",
    pool_padding: str = "both",
    dropout: float = 0.0,
    normalization: str = "imagenet",
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """ST-ResNet (Feichtenhofer et al. 2016), with random weights.

    58,624,394 trainable parameters as published (ResNet-50, 101 classes).

    Args:
        num_classes: Classes of the head.
        streams: "rgb", "flow" or both; one alone has no injection.
        depth: 18, 26, 34, 50, 101 or 152 layers.
        width: Channels of conv1; 64 in the paper.
        clip_length: T. The paper trains with 5, then 11, and tests with 25;
            weights fit any T.
        flow_length: L, flow fields stacked at each step.
        temporal_pool: Frames of the max pooling after res5, with stride 2
            (5 in training's second stage), or None for none (first stage).
        pool_window: Side of pool5's windows in cells of 32 pixels, for tests
            on whole frames: the authors average windows of 7 at a stride of
            1 and then those, which equals the mean at 224 pixels. None is
            the mean everywhere.
        stride_in: Convolution of a bottleneck that strides: "1x1" as the
            authors, or "3x3", which torchvision's ImageNet weights need.
        pool_padding: Padding of pool1: on "both" sides, as torchvision,
            or at the "end", as the authors' own weights need it.
        dropout: Rate before the heads.
        normalization: A name in `layers.NORMALIZATIONS`.
        heads: Dict from data set to number of classes, for several heads.
        outputs: "fused"; "streams" for a dict from stream to logits; or
            "steps" for a dict from stream to the logits of every step, (B,
            steps, num_classes), each of which has a loss of its own, as the
            authors train.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's.

    Returns:
        A model from `rgb` (B, T, H, W, 3) and `flow` (B, T, H, W, 2L) to
        logits (B, num_classes): the mean of both streams' logits. The taps
        of each stream are conv1_relu, pool1, res2, res3, res4, res5, pool5.

    Raises:
        SpecError: If an option is not one of its choices, or temporal_pool
            exceeds clip_length.

    Example:

    ```python
    model = keras_twostream.models.spatiotemporal_resnet(51, depth=18)
    ```
    """
    spec = SPEC.replace(
        **{
            "streams": streams,
            "clip_length": clip_length,
            "flow_length": flow_length,
            **(clip_spec or {}),
        }
    )
    _check(temporal_pool, spec.clip_length)
    resnet.check_window(pool_window)
    inputs, x = stream_inputs(spec, normalization)
    for stream in x:
        x[stream] = FoldTime(name=f"{stream}_fold")(x[stream])
        x[stream] = resnet.stem(
            x[stream], stream, width, pool_padding, MOMENTUM
        )
    tower = {"depth": depth, "width": width, "stride_in": stride_in}
    for stage in resnet.STAGES:
        x = _stage(x, stage, spec.clip_length, tower)
    for stream in x:
        maps = _pool_time(x[stream], stream, spec.clip_length, temporal_pool)
        x[stream] = resnet.mean(
            maps, stream, pool_window, spec.crop, outputs != "steps"
        )
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
    return keras.Model(inputs, scores, name="spatiotemporal_resnet")


def _check(temporal_pool: int | None, clip_length: int) -> None:
    if temporal_pool is not None and not 1 <= temporal_pool <= clip_length:
        raise SpecError(
            "`temporal_pool` must be None or from 1 to clip_length. "
            f"Received: temporal_pool={temporal_pool}, "
            f"clip_length={clip_length}"
        )
