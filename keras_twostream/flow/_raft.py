"""RAFT: recurrent all-pairs field transforms, on any Keras backend.

Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow",
ECCV 2020: features of both images at an eighth of their size, the correlation
of every pair of places, and a recurrent unit that looks up correlations around
where the flow points now and corrects it, again and again. The features come
from the encoders of `_raft_encoder`.

Values that stay from update to update are computed once: the features of a
frame that two pairs share, and the context's share in the recurrent unit.

Inside, images and features are (B, h, w, C) with h and w an eighth of the
image's sides, and Q = h w is the number of places.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_twostream.flow._loop import repeat
from keras_twostream.flow._planes import linear_weights
from keras_twostream.flow._raft_encoder import (
    STRIDE,
    Convolution,
    Size,
    convolve,
)

LEVELS = 4  # levels of the pyramid of correlations


# === Correlation ===


def correlation_pyramid(first: Any, second: Any) -> list[Any]:
    """Correlate all places of one image with all places of the other.

    Section 3.2. Coarser levels average the second image's features, which is
    the same as averaging correlations, and cheaper.

    Args:
        first: (B, h, w, C) features.
        second: Features of the same shape.

    Returns:
        One (B, Q, h', w') tensor for each level, finest first.
    """
    batch, height, width, channels = ops.shape(first)
    scale = first.shape[-1] ** -0.5
    first = ops.reshape(first, (batch, height * width, channels)) * scale
    levels = []
    for level in range(LEVELS):
        if level:
            second = ops.average_pool(
                second, 2, 2, "valid", data_format="channels_last"
            )
        _, height, width, _ = ops.shape(second)
        flat = ops.reshape(second, (batch, height * width, channels))
        volume = ops.matmul(first, ops.transpose(flat, (0, 2, 1)))
        levels.append(ops.reshape(volume, (batch, -1, height, width)))
    return levels


def look_up(pyramid: Sequence[Any], points: Any, radius: int) -> Any:
    """Look up correlations in a square around each place's current match.

    The look-up is bilinear, and zero outside (section 3.2). Along each axis
    it is a product with a matrix of weights, which every backend does fast
    and differentiates.

    Args:
        pyramid: As `correlation_pyramid` gives it.
        points: (B, h, w, 2) places in the second image, x then y.
        radius: Radius of the square, in places of each level.

    Returns:
        (B, h, w, levels (2 radius + 1)^2), by level, then x, then y.
    """
    batch, height, width, _ = ops.shape(points)
    points = ops.reshape(points, (batch, height * width, 2))
    offsets = ops.arange(-radius, radius + 1, dtype="float32")
    squares = []
    for level, volume in enumerate(pyramid):
        _, _, rows, columns = ops.shape(volume)
        around = points[..., None] / 2**level + offsets  # (B, Q, 2, side)
        along_x = linear_weights(around[:, :, 0], columns)
        along_y = linear_weights(around[:, :, 1], rows)
        strips = ops.matmul(along_y, volume)
        squares.append(ops.matmul(along_x, ops.swapaxes(strips, -1, -2)))
    side = 2 * radius + 1
    flat = [
        ops.reshape(square, (batch, height, width, side * side))
        for square in squares
    ]
    return ops.concatenate(flat, axis=-1)


# === Updates ===


class MotionEncoder(keras.layers.Layer):
    """Correlations and flow as one tensor of features (appendix A).

    Args:
        size: The network's row.
        name: Prefix of the names of its layers.
    """

    def __init__(self, size: Size, name: str) -> None:
        super().__init__(dtype="float32", name=name)
        inputs = LEVELS * (2 * size.radius + 1) ** 2
        self._of_correlation = []
        for number, width in enumerate(size.of_correlation, 1):
            kernel = (1, 1) if number == 1 else (3, 3)
            unit = f"{name}_convcorr{number}_0"
            self._of_correlation.append(
                Convolution(inputs, width, kernel, name=unit)
            )
            inputs = width
        wide, narrow = size.of_flow
        self._of_flow = [
            Convolution(2, wide, (7, 7), name=f"{name}_convflow1_0"),
            Convolution(wide, narrow, (3, 3), name=f"{name}_convflow2_0"),
        ]
        self._last = Convolution(
            inputs + narrow, size.motion - 2, (3, 3), name=f"{name}_conv_0"
        )
        self.built = True

    def call(self, flow: Any, correlations: Any) -> Any:
        seen, moved = correlations, flow
        for convolution in self._of_correlation:
            seen = ops.relu(convolution(seen))
        for convolution in self._of_flow:
            moved = ops.relu(convolution(moved))
        joint = self._last(ops.concatenate([seen, moved], axis=-1))
        return ops.concatenate([ops.relu(joint), flow], axis=-1)


class RecurrentUnit(keras.layers.Layer):
    """A convolutional gated recurrent unit (section 3.3).

    Its kernels see state, context and motion side by side. The context stays
    the same, so `of_context` convolves it once for all updates.

    Args:
        size: The network's row.
        kernel: (height, width).
        name: Prefix of the names of its layers.
    """

    def __init__(self, size: Size, kernel: tuple[int, int], name: str) -> None:
        super().__init__(dtype="float32", name=name)
        inputs = size.hidden + size.context + size.motion
        self._gates = [
            Convolution(inputs, size.hidden, kernel, name=f"{name}_conv{gate}")
            for gate in "zrq"
        ]
        self._splits = (size.hidden, size.hidden + size.context)
        self.built = True

    def of_context(self, context: Any) -> Any:
        """Return the sum that context and biases add to the three gates."""
        start, end = self._splits
        kernels = [gate.kernel[:, :, start:end] for gate in self._gates]
        added = convolve(context, ops.concatenate(kernels, axis=-1))
        biases = [ops.convert_to_tensor(gate.bias) for gate in self._gates]
        return added + ops.concatenate(biases)

    def call(self, state: Any, motion: Any, of_context: Any) -> Any:
        z, r, q = (self._without_context(gate) for gate in self._gates)
        for_z, for_r, for_q = ops.split(of_context, 3, axis=-1)
        seen = ops.concatenate([state, motion], axis=-1)
        both = convolve(seen, ops.concatenate([z, r], axis=-1))
        of_z, of_r = ops.split(both, 2, axis=-1)
        update = ops.sigmoid(of_z + for_z)
        kept = ops.sigmoid(of_r + for_r) * state
        seen = ops.concatenate([kept, motion], axis=-1)
        proposed = ops.tanh(convolve(seen, q) + for_q)
        return state + update * (proposed - state)

    def _without_context(self, gate: Convolution) -> Any:
        start, end = self._splits
        parts = [gate.kernel[:, :, :start], gate.kernel[:, :, end:]]
        return ops.concatenate(parts, axis=2)


class Refinement(keras.layers.Layer):
    """Refine the flow between two images from features, update by update.

    Args:
        size: The network's row.
        updates: Number of corrections of the flow.

    Input shape:
        Features of both images, (B, h, w, size.features) each, and those of
        the context encoder, (B, h, w, size.hidden + size.context).

    Output shape:
        (B, 8 h, 8 w, 2) in pixels, x then y.
    """

    def __init__(self, size: Size, updates: int) -> None:
        super().__init__(dtype="float32", name="refinement")
        self._size, self.updates = size, updates
        block = "update_block"
        self._motion = MotionEncoder(size, f"{block}_motion_encoder")
        self._units = [
            RecurrentUnit(
                size, kernel, f"{block}_recurrent_block_convgru{number}"
            )
            for number, kernel in enumerate(size.kernels, 1)
        ]
        head = f"{block}_flow_head"
        self._head = [
            Convolution(size.hidden, size.head, (3, 3), name=f"{head}_conv1"),
            Convolution(size.head, 2, (3, 3), name=f"{head}_conv2"),
        ]
        self._mask = []
        if size.convex:
            weights = 9 * STRIDE**2
            self._mask = [
                Convolution(
                    size.hidden, 256, (3, 3), name="mask_predictor_convrelu_0"
                ),
                Convolution(256, weights, (1, 1), name="mask_predictor_conv"),
            ]
        self.built = True

    def call(self, first: Any, second: Any, context: Any) -> Any:
        pyramid = correlation_pyramid(first, second)
        state = ops.tanh(context[..., : self._size.hidden])
        context = ops.relu(context[..., self._size.hidden :])
        of_context = [unit.of_context(context) for unit in self._units]
        places = _places(first)

        def update(state: Any, flow: Any) -> tuple[Any, Any]:
            # As in the paper, no gradient flows through the look-up's points.
            flow = ops.stop_gradient(flow)
            seen = look_up(pyramid, places + flow, self._size.radius)
            motion = self._motion(flow, seen)
            for unit, added in zip(self._units, of_context, strict=True):
                state = unit(state, motion, added)
            return state, flow + self._correction(state)

        still = ops.zeros_like(context[..., :2])
        state, flow = repeat(self.updates, update, (state, still))
        return self._enlarged(flow, state)

    def _correction(self, state: Any) -> Any:
        wide, narrow = self._head
        return narrow(ops.relu(wide(state)))

    def _enlarged(self, flow: Any, state: Any) -> Any:
        if not self._size.convex:
            return enlarge(flow)
        wide, narrow = self._mask
        # The authors scale by a quarter, to weaken this branch's gradients.
        return enlarge_convex(flow, 0.25 * narrow(ops.relu(wide(state))))

    def compute_output_shape(
        self,
        first_shape: tuple[int | None, ...],
        second_shape: tuple[int | None, ...],
        context_shape: tuple[int | None, ...],
    ) -> tuple[int | None, ...]:
        batch, height, width, _ = first_shape
        sides = (None if n is None else n * STRIDE for n in (height, width))
        return (batch, *sides, 2)


def _places(features: Any) -> Any:
    """Return the places of a grid as (1, h, w, 2), x then y."""
    _, height, width, _ = ops.shape(features)
    x = ops.arange(width, dtype="float32")
    y = ops.arange(height, dtype="float32")
    return ops.stack(ops.meshgrid(x, y), axis=-1)[None]


# === From an eighth to full size ===


def enlarge(flow: Any) -> Any:
    """Enlarge flow in places bilinearly to flow in pixels.

    (B, h, w, 2) becomes (B, 8 h, 8 w, 2). The corners of both grids coincide,
    as torchvision has it.
    """
    _, height, width, _ = ops.shape(flow)
    rows, columns = _between_corners(height), _between_corners(width)
    planes = ops.transpose(flow, (0, 3, 1, 2))
    planes = ops.matmul(ops.matmul(rows, planes), ops.transpose(columns))
    return STRIDE * ops.transpose(planes, (0, 2, 3, 1))


def _between_corners(size: Any) -> Any:
    """Return (8 size, size) weights that enlarge an axis."""
    steps = ops.arange(STRIDE * size, dtype="float32")
    scale = ops.cast((size - 1) / (STRIDE * size - 1), "float32")
    return linear_weights(steps * scale, size)


def enlarge_convex(flow: Any, mask: Any) -> Any:
    """Enlarge flow by convex combinations of 3x3 places around each pixel.

    Section 3.3 and appendix B.

    Args:
        flow: (B, h, w, 2) in places.
        mask: (B, h, w, 9 * 64) logits of the weights: by neighbour, then by
            the pixel's row and column within its place.

    Returns:
        (B, 8 h, 8 w, 2) in pixels.
    """
    batch, height, width, _ = ops.shape(flow)
    padded = ops.pad(STRIDE * flow, [(0, 0), (1, 1), (1, 1), (0, 0)])
    around = [
        padded[:, row : row + height, column : column + width]
        for row in range(3)
        for column in range(3)
    ]
    # TensorFlow's oneDNN refuses the softmax of more than five axes.
    mask = ops.reshape(mask, (batch, height, width, 9, STRIDE**2))
    weights = ops.softmax(mask, axis=3)
    pixels = sum(
        weights[:, :, :, k, :, None] * flow[:, :, :, None]
        for k, flow in enumerate(around)
    )
    shape = (batch, height, width, STRIDE, STRIDE, 2)
    pixels = ops.transpose(ops.reshape(pixels, shape), (0, 1, 3, 2, 4, 5))
    return ops.reshape(pixels, (batch, STRIDE * height, STRIDE * width, 2))
