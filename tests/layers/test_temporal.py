"""Temporal convolution against Keras's Conv3D, and its initialisers."""

import keras
import numpy as np
import pytest

from keras_twostream.layers import (
    AverageThroughTime,
    FoldTime,
    IdentityThroughTime,
    TemporalConv,
    UnfoldTime,
)

pytestmark = pytest.mark.agnostic


def clip(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def test_a_temporal_convolution_equals_conv3d():
    x = clip(2, 5, 4, 3, 6)
    ours = TemporalConv(7, 3, use_bias=True)
    theirs = keras.layers.Conv3D(
        7, (3, 1, 1), padding="same", data_format="channels_last"
    )
    theirs.build(x.shape)
    ours.build(x.shape)
    bias = np.arange(7, dtype="float32")
    theirs.set_weights([numpy(ours.kernel), bias])
    ours.set_weights([numpy(ours.kernel), bias])
    np.testing.assert_allclose(
        numpy(ours(x)), numpy(theirs(x)), rtol=1e-4, atol=1e-5
    )


def test_the_identity_changes_nothing():
    x = clip(1, 4, 2, 2, 5)
    layer = TemporalConv(5, 3, kernel_initializer=IdentityThroughTime())
    np.testing.assert_allclose(numpy(layer(x)), x, atol=1e-6)


def test_the_average_keeps_a_static_clip_inside_and_fades_at_the_ends():
    frame = clip(1, 1, 2, 2, 5)
    x = np.repeat(frame, 4, axis=1)
    layer = TemporalConv(6, kernel_initializer=AverageThroughTime())
    out = numpy(layer(x))
    np.testing.assert_allclose(out[:, 1], out[:, 2], rtol=1e-5)
    np.testing.assert_allclose(out[:, 0], out[:, 1] * 2 / 3, rtol=1e-4)


def test_height_and_width_may_be_free():
    inputs = keras.Input((4, None, None, 3))
    model = keras.Model(inputs, TemporalConv(2)(inputs))
    assert model.output_shape == (None, 4, None, None, 2)
    assert model(clip(1, 4, 5, 6, 3)).shape == (1, 4, 5, 6, 2)


def test_folding_and_unfolding_time_is_the_identity():
    x = clip(2, 3, 4, 5, 6)
    folded = FoldTime()(x)
    assert folded.shape == (6, 4, 5, 6)
    np.testing.assert_array_equal(numpy(UnfoldTime(3)(folded)), x)


@pytest.mark.parametrize(
    "layer",
    [
        TemporalConv(3, 5, kernel_initializer=AverageThroughTime()),
        TemporalConv(3, kernel_initializer=IdentityThroughTime()),
        UnfoldTime(4),
    ],
)
def test_layers_come_back_from_their_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
