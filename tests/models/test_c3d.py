"""C3D: pools that round up, initial biases, and the two variants."""

import keras
import numpy as np
import pytest

import keras_twostream as kts
from keras_twostream.errors import SpecError

pytestmark = pytest.mark.portable


@pytest.fixture(scope="module")
def small():
    return kts.models.c3d(5, variant="small")


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def shape(model, name):
    return tuple(model.get_layer(name).output.shape[1:])


def test_the_first_pool_keeps_all_frames_and_the_fifth_rounds_up(small):
    assert shape(small, "rgb_pool1") == (16, 56, 56, 64)
    assert shape(small, "rgb_pool2") == (8, 28, 28, 128)
    assert shape(small, "rgb_pool4") == (2, 7, 7, 256)
    assert shape(small, "rgb_pool5") == (1, 4, 4, 256)
    assert small.get_layer("rgb_fc6").kernel.shape == (4096, 2048)


@pytest.mark.agnostic
def test_pool5_pads_the_end_only(small):
    x = np.random.default_rng(0).normal(size=(1, 2, 7, 7, 1))
    out = numpy(small.get_layer("rgb_pool5")(x.astype("float32")))
    starts = range(0, 7, 2)
    expected = [
        [x[0, :, i : i + 2, j : j + 2].max() for j in starts] for i in starts
    ]
    np.testing.assert_allclose(out[0, 0, ..., 0], expected, rtol=1e-5)


def test_biases_start_at_one_except_in_the_first_and_last_layer(small):
    biases = {
        layer.name: float(numpy(layer.bias)[0])
        for layer in small.layers
        if getattr(layer, "bias", None) is not None
    }
    zero = [name for name, bias in biases.items() if bias == 0]
    assert zero == ["rgb_conv1a", "rgb_fc8"]
    assert biases["rgb_conv5a"] == biases["rgb_fc7"] == 1


def test_clips_are_stretched_to_the_authors_size(small):
    spec = kts.clip_spec(small)
    assert spec.resize_to == (128, 171)
    assert spec.crop == (112, 112)
    assert spec.span() == 16


def test_batch_norm_stands_before_the_rectifier():
    model = kts.models.c3d(
        3, variant="small", batch_norm=True, clip_spec={"crop": (32, 32)}
    )
    names = [layer.name for layer in model.layers]
    first = names.index("rgb_conv3a")
    assert names[first : first + 3] == [
        "rgb_conv3a",
        "rgb_conv3a_bn",
        "rgb_conv3a_relu",
    ]
    conv = model.get_layer("rgb_conv3a")
    assert conv.activation is keras.activations.linear
    assert conv.use_bias
    clip = np.zeros((1, 16, 32, 32, 3), "uint8")
    assert model.predict_on_batch({"rgb": clip}).shape == (1, 3)


def test_an_unknown_variant_lists_the_choices():
    with pytest.raises(SpecError, match="one of original, small"):
        kts.models.c3d(variant="large")


@pytest.mark.agnostic
def test_pool5_may_be_padded_on_both_sides():
    """Windows begin at -1, 1, 3 and 5, as in OpenMMLab's network."""
    from keras_twostream.models import _c3d

    clip = np.arange(2 * 49, dtype="float32").reshape(1, 2, 7, 7, 1)
    pooled = numpy(_c3d._pool_both_sides(clip, "pool5"))
    padded = np.pad(clip, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)])[
        :, :, :8, :8
    ]
    windows = padded.reshape(1, 1, 2, 4, 2, 4, 2, 1)
    np.testing.assert_array_equal(pooled, windows.max(axis=(2, 4, 6)))
    model = kts.models.c3d(5, variant="small", pool_padding="both")
    assert shape(model, "rgb_pool5") == (1, 4, 4, 256)
    with pytest.raises(SpecError, match="`pool_padding` must be one of end, b"):
        kts.models.c3d(5, pool_padding="left")
    with pytest.raises(SpecError, match="9 or more.*clip_length=8"):
        kts.models.c3d(5, pool_padding="both", clip_length=8)
