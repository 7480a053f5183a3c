"""R(2+1)D: where the strides are, and whose M."""

import numpy as np
import pytest
from weightless import weightless

import keras_twostream as kts
from keras_twostream.errors import SpecError
from keras_twostream.models._r2plus1d import middle_channels

pytestmark = pytest.mark.portable


@pytest.fixture(scope="module")
def model():
    return kts.models.r2plus1d(5, clip_length=4)


def shape(model, name):
    return tuple(model.get_layer(name).output.shape[1:])


@pytest.mark.parametrize(
    ("inputs", "outputs", "middle"),
    [
        (64, 64, 144),
        (64, 128, 230),
        (128, 128, 288),
        (128, 256, 460),
        (256, 512, 921),
        (512, 512, 1152),
    ],
)
def test_the_split_holds_as_many_weights_as_3x3x3(inputs, outputs, middle):
    assert middle_channels(inputs, outputs) == middle
    per_channel = 9 * inputs + 3 * outputs
    whole = 27 * inputs * outputs
    assert middle * per_channel <= whole < (middle + 1) * per_channel


def test_space_strides_first_and_time_second(model):
    conv = "rgb_layer2_0_conv1_0"
    frames = np.zeros((1, 4, 8, 8, 64), "float32")
    space = model.get_layer(f"{conv}_0")
    assert space.compute_output_shape(frames.shape) == (1, 4, 4, 4, 230)
    assert shape(model, f"{conv}_0")[0] == 4
    assert shape(model, f"{conv}_3")[0] == 2
    assert model.get_layer(f"{conv}_3").strides == (2, 1, 1)


def test_strided_time_is_padded_on_both_sides(model):
    pad = model.get_layer("rgb_layer2_0_conv1_0_3_pad")
    assert pad.padding == ((1, 1), (0, 0), (0, 0))


def test_the_stem_has_45_channels_and_no_pool(model):
    assert model.get_layer("rgb_stem_0").filters == 45
    assert not [x.name for x in model.layers if "MaxPool" in type(x).__name__]


def test_an_odd_clip_and_a_free_frame_size(model):
    clip = np.zeros((2, 4, 18, 21, 3), "uint8")
    assert model.predict_on_batch({"rgb": clip}).shape == (2, 5)


def test_the_two_conventions_differ_in_the_second_convolution(model):
    with weightless():
        vmz = kts.models.r2plus1d(5, midplanes="vmz", clip_length=4)
    name = "rgb_layer2_0_conv2_0_0"
    assert model.get_layer(name).filters == 230
    assert vmz.get_layer(name).filters == 288
    assert model.get_layer("rgb_stem_1").epsilon == 1e-5
    assert vmz.get_layer("rgb_stem_1").epsilon == 1e-3


def test_unknown_options_list_the_choices():
    with pytest.raises(SpecError, match="must be one of 18, 34"):
        kts.models.r2plus1d(depth=50)
    with pytest.raises(SpecError, match="must be one of torchvision, vmz"):
        kts.models.r2plus1d(midplanes="caffe2")
