"""Grouped and per-frame convolution against Keras's own layers."""

import keras
import numpy as np
import pytest

from keras_twostream.layers import (
    ChannelPermutation,
    GroupedConv2D,
    SpatialConv,
)

pytestmark = pytest.mark.agnostic


def images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def same_weights(ours, theirs, shape):
    ours.build(shape)
    theirs.build(shape)
    values = [images(*weight.shape) for weight in theirs.weights]
    ours.set_weights(values)
    theirs.set_weights(values)


@pytest.mark.parametrize(("strides", "padding"), [(2, "valid"), (1, "same")])
def test_groups_equal_conv2d_with_the_same_kernel(strides, padding):
    x = images(2, 9, 8, 6)
    ours = GroupedConv2D(
        4, 3, 2, strides=strides, padding=padding, activation="relu"
    )
    theirs = keras.layers.Conv2D(
        4,
        3,
        groups=2,
        strides=strides,
        padding=padding,
        activation="relu",
        data_format="channels_last",
    )
    same_weights(ours, theirs, x.shape)
    expected = numpy(theirs(x))
    np.testing.assert_allclose(numpy(ours(x)), expected, rtol=1e-4, atol=1e-5)
    assert ours.compute_output_shape(x.shape) == expected.shape


def test_a_group_does_not_see_the_other_one_s_channels():
    x = images(1, 4, 4, 6)
    layer = GroupedConv2D(4, 3, 2)
    before = numpy(layer(x))
    x[..., 3:] += 1.0
    after = numpy(layer(x))
    np.testing.assert_allclose(after[..., :2], before[..., :2], atol=1e-6)
    assert np.abs(after[..., 2:] - before[..., 2:]).min() > 1e-4


def test_groups_learn():
    model = keras.Sequential([keras.Input((6, 6, 4)), GroupedConv2D(2, 3, 2)])
    model.compile("sgd", "mse")
    before = numpy(model.layers[0].kernel).copy()
    model.train_on_batch(images(2, 6, 6, 4), images(2, 4, 4, 2))
    moved = np.abs(numpy(model.layers[0].kernel) - before)
    assert moved.max((0, 1, 2)).min() > 0


@pytest.mark.parametrize(("size", "stride", "side"), [(3, 1, 5), (7, 2, 8)])
def test_frames_equal_conv3d_after_symmetric_padding(size, stride, side):
    x = images(2, 3, side, side, 4)
    reach = (0, size // 2, size // 2)
    padded = keras.layers.ZeroPadding3D(reach, data_format="channels_last")(x)
    theirs = keras.layers.Conv3D(
        5,
        (1, size, size),
        strides=(1, stride, stride),
        use_bias=False,
        data_format="channels_last",
    )
    ours = SpatialConv(5, size, stride)
    same_weights(ours, theirs, x.shape)
    expected = numpy(theirs(padded))
    np.testing.assert_allclose(numpy(ours(x)), expected, rtol=1e-4, atol=1e-4)
    assert ours.compute_output_shape(x.shape) == expected.shape


def test_spatial_kernels_start_with_the_variance_of_he():
    layer = SpatialConv(64, 3)
    layer.build((None, 2, 8, 8, 32))
    deviation = np.std(keras.ops.convert_to_numpy(layer.kernel))
    assert deviation == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.05)


def test_height_and_width_may_be_free():
    inputs = keras.Input((3, None, None, 2))
    model = keras.Model(inputs, SpatialConv(4, 3, 2)(inputs))
    assert model.output_shape == (None, 3, None, None, 4)
    assert model(images(1, 3, 5, 6, 2)).shape == (1, 3, 3, 3, 4)


def test_the_permutation_starts_as_the_identity_and_can_reorder():
    x = images(2, 3, 1, 1, 4)
    layer = ChannelPermutation()
    np.testing.assert_allclose(numpy(layer(x)), x, atol=1e-6)
    layer.set_weights([np.eye(4)[::-1]])
    np.testing.assert_allclose(numpy(layer(x)), x[..., ::-1], atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        GroupedConv2D(4, 3, 2, strides=2, padding="same", activation="relu"),
        SpatialConv(4, 5, 2),
        ChannelPermutation(name="P"),
    ],
)
def test_layers_come_back_from_their_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
