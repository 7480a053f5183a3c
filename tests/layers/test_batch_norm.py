"""Batch normalisation gives Keras's numbers, however it is computed."""

import keras
import numpy as np
import pytest
from gradients import gradient
from keras import ops

from keras_twostream.layers import BatchNormalization

pytestmark = pytest.mark.agnostic

SHAPES = [(6, 4, 5, 3), (2, 3, 4, 5, 3)]


def pair(shape, **options):
    """Ours and Keras's, with the same telling weights."""
    rng = np.random.default_rng(0)
    layers = (
        BatchNormalization(**options),
        keras.layers.BatchNormalization(**options),
    )
    for layer in layers:
        layer.build(shape)
    weights = [rng.uniform(0.5, 2, x.shape) for x in layers[0].weights]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def numbers(shape):
    return np.random.default_rng(1).normal(2, 3, shape).astype("float32")


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_gradients_and_averages_are_keras_own(shape, scale, training):
    ours, theirs = pair(shape, momentum=0.8, scale=scale)
    x = numbers(shape)

    def loss(layer):
        def of(x):
            return ops.sum(ops.square(ops.sin(layer(x, training=training))))

        return of

    for_ours, for_theirs = (
        ops.convert_to_numpy(layer(x, training=training))
        for layer in (ours, theirs)
    )
    np.testing.assert_allclose(for_ours, for_theirs, rtol=1e-4, atol=1e-5)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    if keras.backend.backend() == "jax":
        return  # a gradient through assignments needs stateless calls there
    np.testing.assert_allclose(
        gradient(loss(ours), x), gradient(loss(theirs), x), rtol=1e-3, atol=1e-4
    )


def test_a_frozen_layer_keeps_its_averages():
    ours, theirs = pair(SHAPES[0])
    ours.trainable = theirs.trainable = False
    before, x = ours.get_weights(), numbers(SHAPES[0])
    np.testing.assert_allclose(
        ops.convert_to_numpy(ours(x, training=True)),
        ops.convert_to_numpy(theirs(x, training=True)),
        rtol=1e-5,
        atol=1e-6,
    )
    for a, b in zip(ours.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_half_precision_comes_out_as_it_came_in():
    ours, theirs = pair(SHAPES[0], dtype="mixed_bfloat16")
    x = ops.cast(numbers(SHAPES[0]), "bfloat16")
    result, expected = ours(x, training=True), theirs(x, training=True)
    assert keras.backend.standardize_dtype(result.dtype) == "bfloat16"
    result, expected = (ops.cast(y, "float32") for y in (result, expected))
    np.testing.assert_allclose(
        ops.convert_to_numpy(result), ops.convert_to_numpy(expected), atol=0.05
    )
    assert ours.moving_variance.dtype == "float32"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_of_half_precision_train_too(dtype):
    ours, theirs = pair(SHAPES[0], dtype=dtype)
    x = ops.cast(numbers(SHAPES[0]), dtype)
    result, expected = (
        ops.convert_to_numpy(ops.cast(layer(x, training=True), "float32"))
        for layer in (ours, theirs)
    )
    np.testing.assert_allclose(result, expected, atol=0.05)
    averages = (
        ops.convert_to_numpy(ops.cast(layer.moving_mean, "float32"))
        for layer in (ours, theirs)
    )
    np.testing.assert_allclose(*averages, rtol=0.02)


def test_constant_channels_have_no_negative_variance():
    layer = BatchNormalization(momentum=0.0)
    layer(np.full((4, 3, 3, 2), 7.0, "float32"), training=True)
    variance = ops.convert_to_numpy(layer.moving_variance)
    np.testing.assert_allclose(variance, 0, atol=1e-7)
    assert (variance >= 0).all()


def test_the_layer_saves():
    layer = BatchNormalization(momentum=0.7, name="bn")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert isinstance(again, BatchNormalization)
    assert again.get_config() == layer.get_config()
