"""The last pool and the projections of residual networks, by hand."""

import keras
import numpy as np
import pytest

import keras_twostream as kts
from keras_twostream.errors import SpecError
from keras_twostream.models.backbones import resnet

pytestmark = pytest.mark.portable


def mean(maps, window, crop=(224, 224)):
    inputs = keras.Input(maps.shape[1:])
    net = keras.Model(inputs, resnet.mean(inputs, "rgb", window, crop))
    return net.predict_on_batch(maps)


@pytest.mark.agnostic
def test_windows_of_a_whole_frame_weigh_its_middle_most():
    height, width = 8, 11
    maps = np.zeros((1, 1, height, width, height * width), "float32")
    for cell in range(height * width):
        maps[0, 0, cell // width, cell % width, cell] = height * width
    weights = mean(maps, 7)[0].reshape(height, width)
    assert weights.mean() == pytest.approx(1.0)
    assert weights[0, 0] == pytest.approx(0.18, abs=0.005)
    assert weights[4, 5] == pytest.approx(1.80, abs=0.005)
    np.testing.assert_allclose(mean(maps, None)[0], 1.0, rtol=1e-6)


@pytest.mark.agnostic
@pytest.mark.parametrize(("side", "cells"), [(224, 7), (112, 4)])
def test_windows_change_nothing_at_the_crop(side, cells):
    maps = np.random.default_rng(0).normal(size=(2, 3, cells, cells, 5))
    maps = maps.astype("float32")
    windows = mean(maps, 7, (side, side))
    np.testing.assert_allclose(windows, maps.mean((1, 2, 3)), atol=1e-5)


@pytest.mark.parametrize(
    "name", ["spatiotemporal_resnet", "spatiotemporal_multiplier"]
)
def test_the_authors_windows_are_an_option(name):
    build = getattr(kts.models, name)
    small = {"depth": 26, "width": 2, "clip_length": 1, "flow_length": 1}
    small |= {"temporal_pool": 1, "streams": ("rgb",)}
    plain, windows = build(3, **small), build(3, pool_window=7, **small)
    windows.set_weights(plain.get_weights())
    clip = np.random.default_rng(0).uniform(0, 255, (1, 1, 256, 320, 3))
    clip = {"rgb": clip.astype("float32")}
    maps = kts.taps(plain, ["rgb.res5"]).predict_on_batch(clip)["rgb.res5"]
    means = [
        maps[0, 0, i : i + 7, j : j + 7].mean((0, 1))
        for i, j in np.ndindex(2, 4)
    ]
    kernel, bias = plain.get_layer("rgb_fc").get_weights()
    np.testing.assert_allclose(
        windows.predict_on_batch(clip)[0],
        np.mean(means, 0) @ kernel + bias,
        rtol=1e-3,
        atol=1e-4,
    )
    assert not np.allclose(
        windows.predict_on_batch(clip), plain.predict_on_batch(clip), rtol=1e-4
    )


def test_a_window_has_a_cell():
    with pytest.raises(SpecError, match="must be None or 1 cell or more"):
        kts.models.spatiotemporal_resnet(3, pool_window=0)


@pytest.mark.agnostic
@pytest.mark.parametrize(("channels", "stride"), [(2, 1), (15, 1), (16, 2)])
@pytest.mark.parametrize("side", [7, 8])
def test_no_projection_of_few_channels_strides(channels, stride, side):
    """oneDNN's gradient of one that does writes past its memory."""
    maps = np.random.rand(2, side, side, channels).astype("float32")
    inputs = keras.Input(maps.shape[1:])
    net = keras.Model(inputs, resnet.conv(inputs, "project", 5, 1, 2))
    layer = net.get_layer("project")
    assert layer.strides == (stride, stride)
    wanted = maps[:, ::2, ::2] @ np.asarray(layer.kernel)[0, 0]
    np.testing.assert_allclose(net.predict_on_batch(maps), wanted, atol=1e-5)
