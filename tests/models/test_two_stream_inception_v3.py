"""Inception v3: the sizes and paddings that the public weights fix."""

import keras
import pytest
from weightless import weightless

from keras_twostream.layers import NORMALIZATIONS
from keras_twostream.models import _two_stream_inception_v3
from keras_twostream.models.backbones import inception_v3
from keras_twostream.registry import model_entry

pytestmark = pytest.mark.portable


@pytest.fixture(scope="module")
def tower():
    inputs = keras.Input((299, 299, 3))
    with weightless():
        return keras.Model(inputs, inception_v3.features(inputs, "rgb"))


@pytest.mark.parametrize(
    ("name", "side", "channels"),
    [
        ("Conv2d_1a_3x3", 149, 32),
        ("Conv2d_2a_3x3", 147, 32),
        ("Conv2d_2b_3x3", 147, 64),
        ("maxpool1", 73, 64),
        ("Conv2d_4a_3x3", 71, 192),
        ("maxpool2", 35, 192),
        ("Mixed_5b", 35, 256),
        ("Mixed_5d", 35, 288),
        ("Mixed_6a", 17, 768),
        ("Mixed_6e", 17, 768),
        ("Mixed_7a", 8, 1280),
        ("Mixed_7c", 8, 2048),
    ],
)
def test_sizes_at_299_pixels(tower, name, side, channels):
    shape = tower.get_layer(f"rgb_{name}").output.shape
    assert tuple(shape[1:]) == (side, side, channels)


def test_layers_have_the_names_and_constants_of_the_public_weights(tower):
    weights = {f"{v.path}" for v in tower.trainable_variables}
    assert len(weights) == 94 * 3
    assert tower.get_layer("rgb_Mixed_6b_branch7x7_2").kernel_size == (1, 7)
    assert tower.get_layer("rgb_Mixed_7b_branch3x3dbl_3b").kernel_size == (3, 1)
    bn = tower.get_layer("rgb_Conv2d_1a_3x3_bn")
    assert bn.epsilon == pytest.approx(1e-3)
    pad = tower.get_layer("rgb_Mixed_5b_pool_pad")
    assert pad.padding == ((1, 1), (1, 1))


def test_the_clip_is_that_of_the_public_weights():
    spec = _two_stream_inception_v3.SPEC
    assert spec.crop == (299, 299) and spec.short_side == 342
    options = model_entry("two_stream_inception_v3").options
    constants = NORMALIZATIONS[options["normalization"]]["rgb"]
    assert constants["mean"] == constants["std"] == [0.5] * 3
