"""Dense layers that slide over maps, against Keras's on every window."""

import keras
import numpy as np
import pytest

from keras_twostream.layers import SlidingDense

pytestmark = pytest.mark.agnostic


def maps(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def flat_dense(layer, window):
    """The same weights as Keras's `Flatten` and `Dense` use them."""
    dense = keras.layers.Dense(layer.units, activation=layer.activation)
    flat = window.reshape(len(window), -1)
    dense.build(flat.shape)
    dense.set_weights(layer.get_weights())
    return numpy(dense(flat))


def test_a_map_of_the_windows_size_goes_through_as_through_dense():
    x = maps(2, 3, 2, 5)
    layer = SlidingDense(4, (3, 2), activation="relu", bias_initializer="ones")
    out = numpy(layer(x))
    assert out.shape == (2, 1, 1, 4)
    np.testing.assert_allclose(
        out[:, 0, 0], flat_dense(layer, x), rtol=1e-4, atol=1e-5
    )


def test_each_place_of_a_larger_map_has_its_answer():
    x = maps(2, 4, 6, 5)
    layer = SlidingDense(3, (3, 2))
    out = numpy(layer(x))
    assert out.shape == (2, 2, 5, 3)
    assert layer.compute_output_shape((None, 4, 6, 5)) == (None, 2, 5, 3)
    assert layer.compute_output_shape((None, None, None, 5))[1:3] == (
        None,
        None,
    )
    for row, column in np.ndindex(2, 5):
        window = x[:, row : row + 3, column : column + 2]
        np.testing.assert_allclose(
            out[:, row, column], flat_dense(layer, window), rtol=1e-3, atol=1e-5
        )


def test_the_layer_comes_back_from_its_config():
    layer = SlidingDense(4, (3, 2), activation="relu")
    again = SlidingDense.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
