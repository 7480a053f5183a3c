"""The parts of a residual network (He et al., CVPR 2016), named as in Caffe.

Parts, not a network: ST-ResNet, ST-multiplier and temporal segments each wire
them their own way. All of them see frames, `(B * T, H, W, C)`.
"""

import dataclasses

from keras import KerasTensor, layers

from keras_twostream.errors import SpecError, check_choice
from keras_twostream.layers import (
    BatchNormalization,
    CeilMaxPooling2D,
    FoldTime,
    MaxPooling2D,
    UnfoldTime,
)

# Blocks per stage (He et al., table 1). 26 is our small bottleneck network.
BLOCKS = {
    18: (2, 2, 2, 2),
    26: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
BASIC = (18, 34)
STAGES = (2, 3, 4, 5)
POOL_PADDINGS = ("both", "end")
# Of moving averages: PyTorch's usual, and that of MatConvNet, where a step's
# moments count by 0.05 (Feichtenhofer et al.).
MOMENTUM, SLOW_MOMENTUM = 0.9, 0.95
# Of fewer channels than this, oneDNN writes past its memory in the gradient of
# a 1x1 convolution that strides (github.com/uxlfoundation/oneDNN/issues/6035).
_NARROW = 16


@dataclasses.dataclass(frozen=True)
class Block:
    """One residual block of one stream.

    Attributes:
        name: "<stream>_res<stage><block>", as "rgb_res2a".
        stage: 2 to 5.
        index: 0 for the first block of the stage.
        filters: Channels of the 3x3 convolutions.
        basic: Two 3x3 convolutions instead of a bottleneck.
        stride: Stride of the whole block.
        stride_in: Convolution of a bottleneck that strides: "1x1" (He et
            al., Caffe) or "3x3" (torchvision's weights).
    """

    name: str
    stage: int
    index: int
    filters: int
    basic: bool
    stride: int
    stride_in: str

    @property
    def outputs(self) -> int:
        """Channels that the block gives out."""
        return self.filters * (1 if self.basic else 4)

    def part(self, branch: str, kind: str = "res") -> str:
        """The Caffe name of a layer, as "rgb_bn2a_branch2b"."""
        return f"{self.name.replace('res', kind)}_branch{branch}"


def blocks(
    stream: str, stage: int, *, depth: int, width: int, stride_in: str
) -> list[Block]:
    """The blocks of one stage, in order.

    Raises:
        SpecError: If the depth or the stride's place is not one of the
            choices.
    """
    _check(depth, stride_in)
    count = BLOCKS[depth][stage - 2]
    return [
        Block(
            name=f"{stream}_res{stage}{_letter(index, count)}",
            stage=stage,
            index=index,
            filters=width * 2 ** (stage - 2),
            basic=depth in BASIC,
            stride=2 if index == 0 and stage > 2 else 1,
            stride_in=stride_in,
        )
        for index in range(count)
    ]


def stem(
    x: KerasTensor,
    stream: str,
    width: int = 64,
    pool_padding: str = "both",
    momentum: float = MOMENTUM,
):
    """conv1 and pool1: 224 x 224 to 56 x 56 x width.

    Args:
        x: Frames (B, H, W, C).
        stream: Prefix of the layers' names.
        width: Channels of conv1.
        pool_padding: Padding of pool1: on "both" sides, as the weights
            of torchvision and keras.applications want it, or at the "end",
            below and to the right, as Caffe's (He et al.) and the authors'.
            The windows of one lie a pixel beside those of the other.
        momentum: See `batch_norm`.

    Raises:
        SpecError: If pool_padding is not one of its choices.
    """
    check_choice("pool_padding", pool_padding, POOL_PADDINGS)
    x = layers.ZeroPadding2D(
        3, data_format="channels_last", name=f"{stream}_conv1_pad"
    )(x)
    x = conv(x, f"{stream}_conv1", width, 7, 2)
    x = batch_norm(x, f"{stream}_bn_conv1", momentum)
    x = relu(x, f"{stream}_conv1_relu")
    if pool_padding == "end":
        return CeilMaxPooling2D(3, 2, name=f"{stream}_pool1")(x)
    # After a ReLU, zeros pad as well as -inf.
    x = layers.ZeroPadding2D(
        1, data_format="channels_last", name=f"{stream}_pool1_pad"
    )(x)
    return MaxPooling2D(3, 2, name=f"{stream}_pool1")(x)


def shortcut(x: KerasTensor, block: Block, momentum: float = MOMENTUM):
    """The identity, or the 1x1 projection at the start of a stage."""
    if block.index or (x.shape[-1] == block.outputs and block.stride == 1):
        return x
    x = conv(x, block.part("1"), block.outputs, 1, block.stride)
    return batch_norm(x, block.part("1", "bn"), momentum)


def convolutions(block: Block) -> list[tuple[str, int, int, int]]:
    """(branch, filters, kernel size, stride) of the residual branch."""
    if block.basic:
        return [
            ("2a", block.filters, 3, block.stride),
            ("2b", block.filters, 3, 1),
        ]
    first = block.stride if block.stride_in == "1x1" else 1
    return [
        ("2a", block.filters, 1, first),
        ("2b", block.filters, 3, block.stride // first),
        ("2c", block.outputs, 1, 1),
    ]


def conv(x: KerasTensor, name: str, filters: int, size: int, stride: int = 1):
    """A convolution without bias, padded symmetrically as in Caffe."""
    if size == 1 and stride > 1 and x.shape[-1] < _NARROW:
        x = MaxPooling2D(1, stride, name=f"{name}_every_{stride}")(x)
        stride = 1
    if size == 3 and stride > 1:
        x = layers.ZeroPadding2D(
            1, data_format="channels_last", name=f"{name}_pad"
        )(x)
    return layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same" if size == 3 and stride == 1 else "valid",
        use_bias=False,
        kernel_initializer="he_uniform",
        data_format="channels_last",
        name=name,
    )(x)


def batch_norm(x: KerasTensor, name: str, momentum: float = MOMENTUM):
    """Batch normalisation over frames and pixels.

    Args:
        x: Frames (B, H, W, C).
        name: Name of the layer.
        momentum: Share of the old moving averages that a step keeps.
    """
    return BatchNormalization(
        axis=-1, momentum=momentum, epsilon=1e-5, name=name
    )(x)


def relu(x: KerasTensor, name: str):
    """A ReLU as a layer of its own, so that it can be tapped."""
    return layers.ReLU(name=name)(x)


def rectify(x: KerasTensor, tower: list[Block], index: int):
    """The ReLU after a block; the last one bears the stage's name."""
    block = tower[index]
    last = index == len(tower) - 1
    name = block.name.split("_")[0] + f"_res{block.stage}"
    return relu(x, name if last else f"{block.name}_relu")


def mean(
    x: KerasTensor,
    stream: str,
    window: int | None,
    crop: tuple[int, int],
    over_time: bool = True,
):
    """pool5: the mean over time and places, of windows' means where given.

    Args:
        x: Maps (B, T, H, W, C).
        stream: Prefix of the layers' names.
        window: Side of the windows, which move by one cell, or None. On
            whole frames the cells in the middle then count more than those
            at the border, which fewer windows see.
        crop: (height, width) of the frames; windows are no larger than
            their maps.
        over_time: Whether steps are averaged, too.

    Returns:
        (B, C), or (B, T, C) of every step.
    """
    if window is not None:
        sides = (min(window, -(-side // 32)) for side in crop)
        x = layers.AveragePooling3D(
            (1, *sides),
            strides=1,
            dtype="float32",  # PyTorch averages no bfloat16 volumes on a CPU
            data_format="channels_last",
            name=f"{stream}_pool5_windows",
        )(x)
    if over_time:
        return layers.GlobalAveragePooling3D(
            data_format="channels_last", name=f"{stream}_pool5"
        )(x)
    maps = FoldTime(name=f"{stream}_pool5_fold")(x)
    maps = layers.GlobalAveragePooling2D(
        data_format="channels_last", name=f"{stream}_pool5"
    )(maps)
    return UnfoldTime(x.shape[1], name=f"{stream}_pool5_unfold")(maps)


def check_window(window: int | None) -> None:
    """Refuse a window of no cell.

    Raises:
        SpecError: If it is neither None nor 1 or more.
    """
    if window is not None and window < 1:
        raise SpecError(
            "`pool_window` must be None or 1 cell or more. "
            f"Received: pool_window={window!r}"
        )


def features(
    x: KerasTensor, stream: str, *, depth: int, stride_in: str, width: int = 64
):
    """The whole network on frames: (B, H, W, C) to (B, D), through pool5."""
    x = stem(x, stream, width)
    for stage in STAGES:
        tower = blocks(
            stream, stage, depth=depth, width=width, stride_in=stride_in
        )
        for index, block in enumerate(tower):
            residual = _residual(x, block)
            x = layers.Add(name=block.name)([shortcut(x, block), residual])
            x = rectify(x, tower, index)
    return layers.GlobalAveragePooling2D(
        data_format="channels_last", name=f"{stream}_pool5"
    )(x)


def _residual(x, block: Block):
    steps = convolutions(block)
    for branch, filters, size, stride in steps:
        name = block.part(branch)
        x = conv(x, name, filters, size, stride)
        x = batch_norm(x, block.part(branch, "bn"))
        if branch != steps[-1][0]:
            x = relu(x, f"{name}_relu")
    return x


def _letter(index: int, count: int) -> str:
    """a, b, c ... as in ResNet-50; a, b1, b2 ... in the long stages."""
    if count <= 6 or index == 0:
        return "abcdef"[index]
    return f"b{index}"


def _check(depth: int, stride_in: str) -> None:
    check_choice("depth", depth, BLOCKS)
    if stride_in not in ("1x1", "3x3"):
        raise SpecError(
            "`stride_in` must be 1x1 (He et al.) or 3x3 (torchvision). "
            f"Received: stride_in={stride_in!r}"
        )
