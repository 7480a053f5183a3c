"""Max pooling: Keras's numbers and gradients, over views where that is fast."""

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


@settings(max_examples=20, deadline=None)
@given(windows, windows, st.sampled_from(["same", "valid"]))
def test_every_window_gives_keras_numbers(size, strides, padding):
    x = clip(1, 5, 7, 6, 2)
    expected = ops.max_pool(x, size, strides, padding, "channels_last")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(max_pool(ops.array(x), size, strides, padding)),
        ops.convert_to_numpy(expected),
    )


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_the_gradient_is_that_of_keras(padding):
    window, strides = (3, 3, 3), (1, 2, 2)
    x = clip(1, 4, 7, 6, 2)

    def of(pool):
        return gradient(lambda x: ops.sum(ops.square(pool(x))), x)

    ours = of(lambda x: max_pool(x, window, strides, padding))
    theirs = of(
        lambda x: ops.max_pool(x, window, strides, padding, "channels_last")
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


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
