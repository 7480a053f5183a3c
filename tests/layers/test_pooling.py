"""Max pooling against loops over windows: the numbers and the gradient."""

import keras
import numpy as np
import pytest
from gradients import gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_twostream.layers import MaxPooling2D, MaxPooling3D
from keras_twostream.layers._pooling import max_pool

pytestmark = pytest.mark.agnostic

windows = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))


def clip(*shape):
    rng = np.random.default_rng(0)
    return rng.permutation(np.prod(shape)).reshape(shape).astype("float32")


def ranges(length, size, stride, padding):
    """The slice of each window along one axis; "same" pads the end more."""
    before = total = 0
    if padding == "same":
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
        before = total // 2
    count = (length + total - size) // stride + 1
    starts = [index * stride - before for index in range(count)]
    return [slice(max(start, 0), start + size) for start in starts]


def loop(x, size, strides, padding):
    """The maxima, and the gradient of the sum of their squares."""
    axes = [
        ranges(*axis, padding)
        for axis in zip(x.shape[1:-1], size, strides, strict=True)
    ]
    maxima = np.zeros((len(x), *map(len, axes), x.shape[-1]), x.dtype)
    slope = np.zeros_like(x)
    for place in np.ndindex(maxima.shape):
        clip, *middle, channel = place
        window = (axis[i] for axis, i in zip(axes, middle, strict=True))
        seen = (clip, *window, channel)
        maxima[place] = x[seen].max()
        slope[seen] += 2 * maxima[place] * (x[seen] == maxima[place])
    return maxima, slope


# Each shape is compiled anew on JAX.
@settings(max_examples=6 if keras.backend.backend() == "jax" else 20)
@given(windows, windows, st.sampled_from(["same", "valid"]))
def test_every_window_gives_its_maximum(size, strides, padding):
    # Where windows leave gaps, "same" starts elsewhere on TensorFlow.
    strides = tuple(map(min, size, strides))
    x = clip(2, 5, 7, 6, 2) - 200
    np.testing.assert_array_equal(
        ops.convert_to_numpy(max_pool(ops.array(x), size, strides, padding)),
        loop(x, size, strides, padding)[0],
    )


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_the_gradient_goes_to_the_maximum(padding):
    window, strides = (3, 3, 3), (1, 2, 2)
    x = clip(1, 4, 7, 6, 2)
    actual = gradient(
        lambda x: ops.sum(ops.square(max_pool(x, window, strides, padding))), x
    )
    expected = loop(x, window, strides, padding)[1]
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "layer, shape",
    [
        (MaxPooling2D(3, 2, "same", name="pool"), (None, None, 4)),
        (MaxPooling3D((1, 2, 2), name="pool"), (3, None, None, 4)),
    ],
)
def test_layers_save_and_take_any_size(layer, shape):
    model = keras.Sequential([keras.Input(shape), layer])
    again = keras.Sequential.from_config(model.get_config())
    x = clip(2, *(size or 9 for size in shape))
    expected = ops.convert_to_numpy(model(x))
    assert expected.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_array_equal(ops.convert_to_numpy(again(x)), expected)
