"""Padding as Caffe and PyTorch do it, by hand."""

import keras
import numpy as np
import pytest

from keras_twostream.models.backbones import units

pytestmark = pytest.mark.agnostic


def outputs(part, image):
    inputs = keras.Input(image.shape[1:])
    model = keras.Model(inputs, part(inputs))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([np.ones_like(layer.get_weights()[0])])
    return keras.ops.convert_to_numpy(model(image))


@pytest.mark.parametrize(("size", "stride", "side"), [(7, 2, 8), (3, 2, 6)])
def test_strided_convolutions_pad_both_sides_alike(size, stride, side):
    image = np.random.default_rng(0).uniform(size=(1, side, side, 1))
    image = image.astype("float32")
    out = outputs(
        lambda x: units.conv(x, "c", 1, size, stride, use_bias=False), image
    )
    pad = size // 2
    padded = np.pad(image[0, ..., 0], pad)
    assert out.shape[1] == (side + 2 * pad - size) // stride + 1
    for i in range(out.shape[1]):
        window = padded[stride * i : stride * i + size, :size]
        np.testing.assert_allclose(out[0, i, 0, 0], window.sum(), rtol=1e-4)


def test_averages_count_their_padding():
    image = np.ones((1, 4, 4, 1), "float32")
    out = outputs(lambda x: units.average_pool(x, "pool"), image)[0, ..., 0]
    assert out[1, 1] == pytest.approx(1)
    assert out[0, 1] == pytest.approx(6 / 9)
    assert out[0, 0] == pytest.approx(4 / 9)
