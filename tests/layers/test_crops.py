"""Cutting clips in space and time."""

import keras
import numpy as np
import pytest

from keras_twostream.layers import (
    ContextFovea,
    FrameDifference,
    StackFrames,
)

pytestmark = pytest.mark.agnostic


def clip(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def test_178_pixels_become_context_and_fovea_of_89():
    x = clip(1, 2, 178, 178, 3)
    layer = ContextFovea()
    context, fovea = map(numpy, layer(x))
    assert context.shape == fovea.shape == (1, 2, 89, 89, 3)
    assert layer.compute_output_shape(x.shape) == [context.shape] * 2
    np.testing.assert_array_equal(fovea, x[:, :, 44:133, 44:133])
    np.testing.assert_allclose(
        context[:, :, 3, 5],
        x[:, :, 6:8, 10:12].mean((2, 3)),
        rtol=1e-4,
        atol=1e-6,
    )


def test_stacked_frames_convolve_as_in_three_dimensions():
    x = clip(2, 7, 4, 4, 3)
    theirs = keras.layers.Conv3D(
        5,
        (3, 2, 2),
        strides=(2, 1, 1),
        use_bias=False,
        data_format="channels_last",
    )
    expected = numpy(theirs(x))
    stacked = StackFrames(3, 2)(x)
    assert stacked.shape == (2, 3, 4, 4, 9)
    kernel = numpy(theirs.kernel).transpose(1, 2, 0, 3, 4).reshape(2, 2, 9, 5)
    out = numpy(
        keras.ops.conv(
            keras.ops.reshape(stacked, (6, 4, 4, 9)),
            kernel,
            padding="valid",
            data_format="channels_last",
        )
    )
    np.testing.assert_allclose(
        out.reshape(expected.shape), expected, rtol=1e-3, atol=1e-4
    )


def test_differences_of_consecutive_frames():
    x = clip(1, 2, 3, 3, 18)
    layer = FrameDifference()
    out = numpy(layer(x))
    assert out.shape == layer.compute_output_shape(x.shape) == (1, 2, 3, 3, 15)
    np.testing.assert_allclose(out[..., 3:6], x[..., 6:9] - x[..., 3:6])


@pytest.mark.parametrize(
    "layer", [ContextFovea(), StackFrames(4, 2), FrameDifference(2)]
)
def test_layers_come_back_from_their_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
