"""RAFT's table of networks, its convolutions and its encoders of images.

Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow",
ECCV 2020, appendix A; the numbers of layers and channels are torchvision's,
whose weights fit.
"""

import dataclasses
from typing import Any

import keras
from keras import ops

STRIDE = 8  # pixels of the image from one place to the next
_EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class Size:
    """One row of the table of networks (paper, appendix A).

    Attributes:
        widths: Channels of the encoders' stem and three stages.
        bottleneck: Whether the encoders' blocks are bottlenecks.
        features: Channels that are correlated.
        hidden: Channels of the recurrent unit's state.
        context: Channels of the context.
        context_norm: Whether the context encoder normalises by batches.
        radius: Places around a point whose correlations are looked up.
        of_correlation: Channels of the motion encoder's convolutions of
            correlations, the first with 1x1 and the others with 3x3 kernels.
        of_flow: The same for flow, with 7x7 and 3x3 kernels.
        motion: Channels of the motion encoder's output, flow included.
        kernels: Kernels of the recurrent units, one unit after the other.
        head: Channels inside the flow head.
        convex: Whether flow is enlarged by weights that the network
            predicts (section 3.3) or bilinearly.
    """

    widths: tuple[int, int, int, int]
    bottleneck: bool
    features: int
    hidden: int
    context: int
    context_norm: bool
    radius: int
    of_correlation: tuple[int, ...]
    of_flow: tuple[int, int]
    motion: int
    kernels: tuple[tuple[int, int], ...]
    head: int
    convex: bool


SIZES = {
    "raft_small": Size(
        widths=(32, 32, 64, 96),
        bottleneck=True,
        features=128,
        hidden=96,
        context=64,
        context_norm=False,
        radius=3,
        of_correlation=(96,),
        of_flow=(64, 32),
        motion=82,
        kernels=((3, 3),),
        head=128,
        convex=False,
    ),
    "raft_large": Size(
        widths=(64, 64, 96, 128),
        bottleneck=False,
        features=256,
        hidden=128,
        context=128,
        context_norm=True,
        radius=4,
        of_correlation=(256, 192),
        of_flow=(128, 64),
        motion=128,
        kernels=((1, 5), (5, 1)),
        head=256,
        convex=True,
    ),
}


# === Convolutions ===


class Convolution(keras.layers.Conv2D):
    """A convolution with PyTorch's padding: half a kernel on every side.

    Its variables are there from the start, as weights are loaded before any
    image is seen.

    Args:
        inputs: Channels that come in.
        filters: Channels that go out.
        kernel_size: (height, width), both odd.
        strides: Places from one output to the next.
        name: Name of the layer.
    """

    def __init__(
        self,
        inputs: int,
        filters: int,
        kernel_size: tuple[int, int],
        strides: int = 1,
        *,
        name: str,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding="valid",
            data_format="channels_last",
            kernel_initializer="he_normal",
            dtype="float32",
            name=name,
        )
        self.build((None, None, None, inputs))

    def call(self, images: Any) -> Any:
        convolved = convolve(images, self.kernel, self.strides[0])
        return convolved + self.bias


def convolve(images: Any, kernel: Any, strides: int = 1) -> Any:
    """Convolve images padded by half a kernel of zeros on every side."""
    height, width = kernel.shape[:2]
    if strides == 1:
        padding = "same"
    else:  # Keras's "same" would pad by what the stride leaves over
        padding = "valid"
        sides = [(height // 2, height // 2), (width // 2, width // 2)]
        images = ops.pad(images, [(0, 0), *sides, (0, 0)])
    return ops.conv(
        images, kernel, strides, padding, data_format="channels_last"
    )


def _instance_norm(images: Any) -> Any:
    """Normalise each channel of each image to mean 0 and variance 1."""
    mean = ops.mean(images, axis=(1, 2), keepdims=True)
    centred = images - mean
    variance = ops.mean(ops.square(centred), axis=(1, 2), keepdims=True)
    return centred * ops.rsqrt(variance + _EPSILON)


# === Encoders ===


class Encoder(keras.layers.Layer):
    """An encoder from images to features at 1/8 of their size (appendix A).

    Args:
        size: The network's row.
        channels: Channels of the features.
        norm: "instance", "batch" or "none". Batch normalisation always has
            its stored statistics: the authors freeze it after the first of
            their data sets.
        name: Prefix of the names of its layers.

    Input shape:
        (B, H, W, 3), 0..255; H and W divisible by 8.

    Output shape:
        (B, H / 8, W / 8, channels).
    """

    def __init__(self, size: Size, channels: int, norm: str, name: str) -> None:
        super().__init__(dtype="float32", name=name)
        self._norm = norm
        self._units: dict[str, Convolution] = {}
        self._norms: dict[str, keras.layers.BatchNormalization] = {}
        stem, *stages = size.widths
        self._add_unit("convnormrelu", 3, stem, 7, strides=2)
        self._blocks = []
        inputs = stem
        for number, width in enumerate(stages, 1):
            for block in range(2):
                strides = 2 if number > 1 and block == 0 else 1
                path = f"layer{number}_{block}"
                add = self._add_bottleneck if size.bottleneck else self._add_two
                add(path, inputs, width, strides)
                self._blocks.append((path, 3 if size.bottleneck else 2))
                inputs = width
        self._last = Convolution(inputs, channels, (1, 1), name=f"{name}_conv")
        self.built = True

    def _add_two(self, path: str, inputs: int, width: int, strides: int):
        self._add_unit(f"{path}_convnormrelu1", inputs, width, 3, strides)
        self._add_unit(f"{path}_convnormrelu2", width, width, 3)
        self._add_shortcut(path, inputs, width, strides)

    def _add_bottleneck(self, path: str, inputs: int, width: int, strides: int):
        inner = width // 4
        self._add_unit(f"{path}_convnormrelu1", inputs, inner, 1)
        self._add_unit(f"{path}_convnormrelu2", inner, inner, 3, strides)
        self._add_unit(f"{path}_convnormrelu3", inner, width, 1)
        self._add_shortcut(path, inputs, width, strides)

    def _add_shortcut(self, path: str, inputs: int, width: int, strides: int):
        if strides > 1:
            self._add_unit(f"{path}_downsample", inputs, width, 1, strides)

    def _add_unit(
        self, path: str, inputs: int, width: int, kernel: int, strides: int = 1
    ) -> None:
        """Add a convolution and its normalisation under torchvision's names."""
        name = f"{self.name}_{path}"
        self._units[path] = Convolution(
            inputs, width, (kernel, kernel), strides, name=f"{name}_0"
        )
        if self._norm == "batch":
            norm = keras.layers.BatchNormalization(
                epsilon=_EPSILON, dtype="float32", name=f"{name}_1"
            )
            norm.build((None, None, None, width))
            self._norms[path] = norm

    def call(self, images: Any) -> Any:
        images = ops.cast(images, "float32") / 127.5 - 1
        x = ops.relu(self._unit("convnormrelu", images))
        for path, units in self._blocks:
            shortcut = x
            if f"{path}_downsample" in self._units:
                shortcut = self._unit(f"{path}_downsample", x)
            for number in range(1, units + 1):
                x = ops.relu(self._unit(f"{path}_convnormrelu{number}", x))
            x = ops.relu(x + shortcut)
        return self._last(x)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        batch, height, width, _ = input_shape
        sides = (None if n is None else n // STRIDE for n in (height, width))
        return (batch, *sides, self._last.filters)

    def _unit(self, path: str, x: Any) -> Any:
        x = self._units[path](x)
        if self._norm == "instance":
            return _instance_norm(x)
        if self._norm == "batch":
            return self._norms[path](x, training=False)
        return x
