"""GoogLeNet as in the paper, and torchvision's with batch normalisation."""

import keras
import pytest
from weightless import weightless

from keras_twostream.models.backbones import googlenet

pytestmark = pytest.mark.portable


@pytest.fixture(scope="module", params=[False, True])
def tower(request):
    inputs = keras.Input((224, 224, 3))
    with weightless():
        outputs = googlenet.features(inputs, "rgb", batch_norm=request.param)
    return request.param, keras.Model(inputs, outputs)


def shape(model, name):
    return tuple(model.get_layer(f"rgb_{name}").output.shape[1:])


def test_ceil_pooling_gives_the_paper_s_sizes(tower):
    _, model = tower
    assert shape(model, "pool1") == (56, 56, 64)
    assert shape(model, "pool2") == (28, 28, 192)
    assert shape(model, "inception_3b") == (28, 28, 480)
    assert shape(model, "pool3") == (14, 14, 480)
    assert shape(model, "inception_4e") == (14, 14, 832)
    assert shape(model, "pool4") == (7, 7, 832)
    assert shape(model, "pool5") == (1024,)


def test_torchvision_departs_from_the_paper(tower):
    batch_norm, model = tower
    names = {layer.name for layer in model.layers}
    third = model.get_layer("rgb_inception_4c_5x5")
    pool4 = model.get_layer("rgb_pool4")
    assert third.kernel_size == ((3, 3) if batch_norm else (5, 5))
    assert third.use_bias is not batch_norm
    assert pool4.pool_size == (2 if batch_norm else 3)
    assert ("rgb_norm1" in names) is not batch_norm
    if batch_norm:
        bn = model.get_layer("rgb_inception_4c_5x5_bn")
        assert bn.epsilon == pytest.approx(1e-3)
