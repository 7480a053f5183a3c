"""ST-multiplier: motion gates appearance, and time starts as the identity.

C. Feichtenhofer, A. Pinz, R. P. Wildes: Spatiotemporal Multiplier Networks
for Video Action Recognition. CVPR 2017. Where the paper leaves room, the
authors' code decides (feichtenhofer/st-resnet).

    rgb    conv1 - res2a - res2b - ... - res3a - res3b - ...     - fc
                      |    ^                |    ^                  \\
                      x----|------+         x----|------+            mean
                           |relu                 |relu              /
    flow   conv1 - res2a --+-- res2b ... - res3a +-- res3b ...   - fc

At the second block of every stage, the residual branch of the appearance
stream sees a product: the appearance sum before its ReLU, times the motion
stream after its ReLU. The shortcut is not multiplied, so that where nothing
moves the branch is silent and the stream is not. In that block, in both
streams, a 3x1x1 convolution between the 3x3 and the last 1x1 mixes frames; it
starts as the identity.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from keras_twostream.errors import SpecError, check_count
from keras_twostream.layers import (
    FoldTime,
    IdentityThroughTime,
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
    train_strides=(5, 35),
    flow_length=10,
    flow_offset=-5,
)
DROPOUT = {"rgb": 0.0, "flow": 0.8}
MOMENTUM = resnet.SLOW_MOMENTUM

# === Parts ===


def _residual_branch(x, block: resnet.Block, clip_length: int):
    """The convolutions of a block; the second block also mixes frames."""
    steps = resnet.convolutions(block)
    for branch, filters, size, stride in steps[:-1]:
        name = block.part(branch)
        x = resnet.conv(x, name, filters, size, stride)
        x = resnet.batch_norm(x, block.part(branch, "bn"), MOMENTUM)
        x = resnet.relu(x, f"{name}_relu")
    if block.index == 1:
        x = _mix_frames(x, f"{block.name}_temporal", clip_length)
    branch, filters, size, stride = steps[-1]
    x = resnet.conv(x, block.part(branch), filters, size, stride)
    return resnet.batch_norm(x, block.part(branch, "bn"), MOMENTUM)


def _mix_frames(x, name: str, clip_length: int):
    x = UnfoldTime(clip_length, name=f"{name}_unfold")(x)
    x = TemporalConv(
        x.shape[-1],
        use_bias=True,
        kernel_initializer=IdentityThroughTime(),
        name=name,
    )(x)
    return FoldTime(name=f"{name}_fold")(x)


def _block(x, branch_input, block: resnet.Block, clip_length: int):
    """The sum of shortcut and residual branch, before its ReLU."""
    residual = _residual_branch(branch_input, block, clip_length)
    shortcut = resnet.shortcut(x, block, MOMENTUM)
    return layers.Add(name=block.name)([shortcut, residual])


def _stage(
    x: dict[str, Any],
    towers: dict[str, list[resnet.Block]],
    clip_length: int,
) -> dict[str, Any]:
    """One stage of both streams, gated at its second block."""
    sums = {s: _block(x[s], x[s], towers[s][0], clip_length) for s in x}
    x = {s: resnet.rectify(sums[s], towers[s], 0) for s in x}
    gated = dict(x)
    if len(x) == 2:
        name = f"{towers['rgb'][1].name}_gated"
        gated["rgb"] = layers.Multiply(name=name)([sums["rgb"], x["flow"]])
    return {
        s: _rest(x[s], gated[s], tower, clip_length)
        for s, tower in towers.items()
    }


def _rest(x, gated, tower: list[resnet.Block], clip_length: int):
    """Run a stage from its second block, whose branch sees gated input."""
    for block in tower[1:]:
        branch_input = gated if block.index == 1 else x
        x = _block(x, branch_input, block, clip_length)
        x = resnet.rectify(x, tower, block.index)
    return x


def _pool_time(x, stream: str, clip_length: int, temporal_pool: int):
    """The maximum over `temporal_pool` steps."""
    x = UnfoldTime(clip_length, name=f"{stream}_unfold")(x)
    x = MaxPooling3D(
        (min(temporal_pool, clip_length), 1, 1),
        strides=1,
        name=f"{stream}_temporal_pool",
    )(x)
    return x


# === Network ===


@register_model(
    paper=(
        "Feichtenhofer, Pinz, Wildes: Spatiotemporal Multiplier Networks for "
        "Video Action Recognition, CVPR 2017"
    )
)
def spatiotemporal_multiplier(
    num_classes: int = 101,
    *,
    streams: Sequence[str] = ("rgb", "flow"),
    depth: int = 50,
    motion_depth: int | None = None,
    width: int = 64,
    clip_length: int = 5,
    flow_length: int = 10,
    temporal_pool: int = 5,
    pool_window: int | None = None,
    stride_in: str = "1x1",
    pool_padding: str = "both",
    dropout: float | None = None,
    normalization: str = "imagenet",
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """ST-multiplier (Feichtenhofer et al. 2017), with random weights.

    49,574,154 trainable parameters with ResNet-50 twice and 101 classes.

    Args:
        num_classes: Classes of the head.
        streams: "rgb", "flow" or both; one alone has no gate.
        depth: 18, 26, 34, 50, 101 or 152 layers.
        motion_depth: Layers of the flow stream, as many as `depth` when None;
            the paper's best network has 50 (rgb) and 152 (flow).
        width: Channels of conv1; 64 in the paper.
        clip_length: T. The paper trains with 5 and tests with 25; weights
            fit any T.
        flow_length: L, flow fields stacked at each step.
        temporal_pool: Frames of the max pooling after res5, with stride 1,
            T at most.
        pool_window: Side of pool5's windows in cells of 32 pixels, for tests
            on whole frames: the authors average windows of 7 at a stride of
            1 and then those, which equals the mean at 224 pixels. None is
            the mean everywhere.
        stride_in: Convolution of a bottleneck that strides: "1x1" as the
            authors, or "3x3", which torchvision's ImageNet weights need.
        pool_padding: Padding of pool1: on "both" sides, as torchvision,
            or at the "end", as the authors' own weights need it.
        dropout: Rate before the heads; the authors' 0 (rgb) and 0.8 (flow) when
            None.
        normalization: A name in `layers.NORMALIZATIONS`.
        heads: Dict from data set to number of classes, for several heads.
        outputs: "fused", or "streams" for a dict from stream to logits.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's.

    Returns:
        A model from `rgb` (B, T, H, W, 3) and `flow` (B, T, H, W, 2L) to
        logits (B, num_classes): the mean of both streams' logits. The taps
        of each stream are conv1_relu, pool1, res2, res3, res4, res5, pool5.

    Raises:
        SpecError: If an option is not one of its choices, or the streams'
            blocks have different widths.

    Example:

    ```python
    model = keras_twostream.models.spatiotemporal_multiplier(
        51, depth=50, motion_depth=152
    )
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
    depths = {"rgb": depth, "flow": motion_depth or depth}
    _check(depths, temporal_pool)
    resnet.check_window(pool_window)
    inputs, x = stream_inputs(spec, normalization)
    for stream in x:
        x[stream] = FoldTime(name=f"{stream}_fold")(x[stream])
        x[stream] = resnet.stem(
            x[stream], stream, width, pool_padding, MOMENTUM
        )
    for stage in resnet.STAGES:
        towers = {
            stream: resnet.blocks(
                stream,
                stage,
                depth=depths[stream],
                width=width,
                stride_in=stride_in,
            )
            for stream in x
        }
        x = _stage(x, towers, spec.clip_length)
    for stream in x:
        rate = DROPOUT[stream] if dropout is None else dropout
        maps = _pool_time(x[stream], stream, spec.clip_length, temporal_pool)
        x[stream] = resnet.mean(maps, stream, pool_window, spec.crop)
        x[stream] = layers.Dropout(rate, name=f"{stream}_dropout")(x[stream])
    scores = classifier(
        x,
        num_classes,
        fusion=spec.score_fusion,
        stream_weights=spec.stream_weights,
        heads=heads,
        outputs=outputs,
        activation=classifier_activation,
    )
    return keras.Model(inputs, scores, name="spatiotemporal_multiplier")


def _check(depths: Mapping[str, int], temporal_pool: int) -> None:
    if len({depth in resnet.BASIC for depth in depths.values()}) > 1:
        raise SpecError(
            "`depth` and `motion_depth` must both be of basic blocks (18, 34) "
            "or both of bottlenecks, so that their maps multiply. Received: "
            f"depth={depths['rgb']}, motion_depth={depths['flow']}"
        )
    check_count("temporal_pool", temporal_pool)
