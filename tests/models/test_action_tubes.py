"""Action Tubes: groups, ceil pools before the norms, the flow image."""

import keras
import numpy as np
import pytest

import keras_twostream as kts
from keras_twostream.errors import SpecError

pytestmark = pytest.mark.agnostic

SMALL = {"streams": ("flow",), "clip_spec": {"crop": (67, 67)}}


@pytest.fixture(scope="module")
def model():
    return kts.models.action_tubes(4, **SMALL)


def taps(model, *names):
    outputs = [model.get_layer(name).output for name in names]
    return keras.Model(model.inputs, outputs)


def test_sizes_at_227_pixels(model):
    sizes, shape = {}, (None, 227, 227, 3)
    names = [layer.name for layer in model.layers]
    first, last = names.index("flow_conv1"), names.index("flow_pool5") + 1
    for layer in model.layers[first:last]:
        shape = sizes[layer.name] = layer.compute_output_shape(shape)
    assert sizes["flow_conv1"][1:] == (111, 111, 96)
    assert sizes["flow_norm1"][1:] == (55, 55, 96)
    assert sizes["flow_conv2"][1:] == (26, 26, 384)
    assert sizes["flow_norm2"][1:] == (13, 13, 384)
    assert sizes["flow_conv5"][1:] == (13, 13, 384)
    assert sizes["flow_pool5"][1:] == (6, 6, 384)


def test_conv2_conv4_and_conv5_have_two_groups(model):
    groups = [model.get_layer(f"flow_conv{i}").groups for i in range(1, 6)]
    assert groups == [1, 2, 1, 2, 2]
    assert model.get_layer("flow_conv2").kernel.shape == (5, 5, 48, 384)


def test_pools_come_before_normalisation(model):
    names = [layer.name for layer in model.layers]
    first = names.index("flow_conv1")
    assert names[first + 1 : first + 3] == ["flow_pool1", "flow_norm1"]
    assert model.get_layer("flow_norm1").k == 1.0


def test_flow_in_pixels_becomes_the_byte_image(model):
    flow = np.zeros((1, 1, 67, 67, 2), "float32")
    flow[..., 0] = 3.0
    flow[..., 1] = -4.0
    image = taps(model, "flow_image").predict_on_batch({"flow": flow})
    image = np.asarray(image).reshape(67, 67, 3)
    np.testing.assert_array_equal(image[5, 5], [80, -64, 48])


def test_features_in_place_of_scores():
    net = kts.models.action_tubes(include_top=False, **SMALL)
    flow = np.zeros((2, 1, 67, 67, 2), "float32")
    features = net.predict_on_batch({"flow": flow})
    assert {k: v.shape for k, v in features.items()} == {"flow": (2, 4096)}


def test_a_clip_of_several_steps_is_refused():
    with pytest.raises(SpecError, match="must be 1. Received: clip_length=2"):
        kts.models.action_tubes(clip_spec={"clip_length": 2})
