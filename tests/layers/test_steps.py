"""Layers that choose, compare or recode frames."""

import keras
import numpy as np
import pytest
from gradients import gradient

from keras_twostream.layers import (
    AbsoluteDifference,
    DrawStep,
    FlowImage,
    FrameDifference,
    TakeSteps,
)

pytestmark = pytest.mark.agnostic


def clip(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def numpy(x):
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize("frames", [2, 3])
def test_the_difference_is_absolute_and_spans_the_stack(frames):
    x = clip(2, 4, 5, 6, 3 * frames)
    layer = AbsoluteDifference()
    out = numpy(layer(x))
    np.testing.assert_allclose(out, abs(x[..., -3:] - x[..., :3]), rtol=1e-5)
    assert out.min() >= 0
    assert layer.compute_output_shape(x.shape) == out.shape


@pytest.mark.parametrize("layer", [AbsoluteDifference, FrameDifference])
def test_small_changes_survive_half_precision(layer):
    x = np.full((1, 1, 2, 2, 6), 200.0, "float32")
    x[..., 3:] += 0.3
    out = numpy(layer(dtype="bfloat16")(x))
    np.testing.assert_allclose(out, np.full_like(out, 0.3), rtol=1e-4)


@pytest.mark.parametrize("channels", [None, 3])
def test_steps_are_taken_in_order(channels):
    x = clip(2, 5, 2, 2, 6)
    layer = TakeSteps(1, 4, channels)
    out = numpy(layer(x))
    np.testing.assert_array_equal(out, x[:, 1:4, ..., :channels])
    assert layer.compute_output_shape(x.shape) == out.shape


def test_the_middle_step_is_taken_in_test():
    x = clip(2, 5, 2, 2, 6)
    layer = DrawStep(channels=3)
    np.testing.assert_array_equal(numpy(layer(x)), x[:, 2:3, ..., :3])
    assert layer.compute_output_shape(x.shape) == (2, 1, 2, 2, 3)


def test_each_sample_draws_a_step_of_its_own_in_training():
    x = clip(40, 3, 2, 2, 6)
    out = numpy(DrawStep(channels=3, seed=1)(x, training=True))
    drawn = [
        [np.array_equal(out[b, 0], step[..., :3]) for step in x[b]]
        for b in range(40)
    ]
    assert (np.sum(drawn, axis=1) == 1).all()
    assert (np.sum(drawn, axis=0) > 3).all()


def test_the_flow_image_has_the_length_first_and_swaps_the_axes():
    pixels = np.array([[3.0, -4.0], [0.0, 0.0], [0.52, 0.0]], "float32")
    out = numpy(FlowImage()(pixels / 8.0))
    np.testing.assert_array_equal(out, [[80, -64, 48], [0, 0, 0], [8, 0, 8]])


def test_the_flow_image_of_still_pixels_has_a_gradient():
    layer = FlowImage()
    still = np.zeros((1, 2), "float32")
    result = gradient(
        lambda flow: keras.ops.sum(layer(flow) + flow[:1, :1]), still
    )
    assert np.isfinite(result).all()


def test_the_flow_image_stays_within_a_byte():
    out = numpy(FlowImage()(np.array([[1.0, -1.0]], "float32")))
    np.testing.assert_array_equal(out, [[127, -128, 127]])


@pytest.mark.parametrize(
    "layer",
    [AbsoluteDifference(name="d"), TakeSteps(1, 3, 3), FlowImage(64.0)],
)
def test_layers_come_back_from_their_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_the_levels_of_a_flow_image_come_back():
    config = FlowImage(levels=64.0).get_config()
    assert FlowImage.from_config(config).levels == 64.0
