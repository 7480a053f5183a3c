"""Action Tubes: groups, ceil pools before the norms, the flow image."""

import keras
import numpy as np
import pytest

import keras_twostream as kts
from keras_twostream.errors import SpecError

pytestmark = pytest.mark.portable

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


@pytest.mark.agnostic
def test_flow_in_pixels_becomes_the_byte_image(model):
    flow = np.zeros((1, 1, 67, 67, 2), "float32")
    flow[..., 0] = 3.0
    flow[..., 1] = -4.0
    image = taps(model, "flow_image").predict_on_batch({"flow": flow})
    image = np.asarray(image).reshape(67, 67, 3)
    np.testing.assert_array_equal(image[5, 5], [80, -64, 48])


def test_biases_start_at_one_where_the_authors_have_them(model):
    biases = {
        name: keras.ops.convert_to_numpy(model.get_layer(f"flow_{name}").bias)
        for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
    }
    ones = {name for name, bias in biases.items() if (bias == 1).all()}
    assert ones == {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert not biases["conv1"].any() and not biases["conv3"].any()


@pytest.mark.agnostic
def test_the_svms_see_both_streams_scaled_and_joined():
    detector = kts.models.action_tubes(
        3, head="svm", width=0.05, clip_spec={"crop": (67, 67)}
    )
    rng = np.random.default_rng(0)
    clips = {
        "rgb": rng.uniform(0, 255, (2, 1, 67, 67, 3)).astype("float32"),
        "flow": rng.normal(0, 2, (2, 1, 67, 67, 2)).astype("float32"),
    }
    detector.get_layer("rgb_scale").factor.assign([3.0])
    detector.get_layer("flow_scale").factor.assign([0.5])
    names = ("rgb_fc7", "flow_fc7", "fused_svm")
    rgb, flow, scores = (
        np.asarray(x) for x in taps(detector, *names).predict_on_batch(clips)
    )
    head = detector.layers[-1]
    assert head.name == "fused_svm" and head.activation.__name__ == "linear"
    kernel, bias = map(keras.ops.convert_to_numpy, (head.kernel, head.bias))
    joined = np.concatenate([3.0 * rgb, 0.5 * flow], axis=1)
    np.testing.assert_allclose(scores, joined @ kernel + bias, rtol=1e-4)


def test_a_width_is_a_share_of_every_layer():
    net = kts.models.action_tubes(4, width=0.25, **SMALL)
    channels = {
        name: net.get_layer(f"flow_{name}").output.shape[-1]
        for name in ("conv1", "conv2", "conv3", "conv5", "fc7")
    }
    assert channels == {
        "conv1": 24,
        "conv2": 96,
        "conv3": 128,
        "conv5": 96,
        "fc7": 1024,
    }


def test_batch_norm_stands_before_every_rectifier_but_the_last_layer_s():
    net = kts.models.action_tubes(4, width=0.05, batch_norm=True, **SMALL)
    names = [layer.name for layer in net.layers]
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"):
        first = names.index(f"flow_{name}")
        assert names[first + 1 : first + 3] == [
            f"flow_{name}_bn",
            f"flow_{name}_relu",
        ]
        assert net.get_layer(f"flow_{name}").activation.__name__ == "linear"
    assert not any("norm" in name for name in names)
    assert "flow_fc8_bn" not in names


def test_without_its_top_the_network_gives_features():
    net = kts.models.action_tubes(include_top=False, **SMALL)
    flow = np.zeros((2, 1, 67, 67, 2), "float32")
    features = net.predict_on_batch({"flow": flow})
    assert {k: v.shape for k, v in features.items()} == {"flow": (2, 4096)}


def test_a_clip_of_several_steps_is_refused():
    with pytest.raises(SpecError, match="must be 1. Received: clip_length=2"):
        kts.models.action_tubes(clip_spec={"clip_length": 2})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "tree"}, "one of softmax, svm. Received: head='tree'"),
        ({"width": 0}, "greater than 0.*Received: width=0"),
        (
            {"regions": {"proposals": "guess"}},
            "one of windows, selective_search, boxes.*proposals='guess'",
        ),
        ({"regions": {"proposal": "x"}}, "no field 'proposal'.*proposals"),
        ({"regions": {"context": -1}}, "whole number, 0 or more.*-1"),
        ({"head": "svm", "outputs": "streams"}, "SVMs are one.*'streams'"),
        ({"head": "svm", "heads": {"a": 3}}, "SVMs are one.*'a': 3"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(SpecError, match=message):
        kts.models.action_tubes(4, **options)


def test_a_detector_remembers_its_regions(tmp_path):
    regions = {"limit": 7, "saliency": "mean", "context": 3}
    regions["parameters"] = {"strides": 2}  # of its own proposals
    detector = kts.models.action_tubes(
        2, head="svm", width=0.02, regions=regions, **SMALL
    )
    detector.save(tmp_path / "detector.keras")
    again = keras.models.load_model(tmp_path / "detector.keras")
    spec = kts.inspection.region_spec(again)
    assert (spec.limit, spec.saliency, spec.context) == (7, "mean", 3)
    kts.inspection.update_card(detector, head_trained=True, classes=["a", "b"])
    folder = kts.save_pretrained(detector, tmp_path / "d", license="mit")
    loaded = kts.load(f"local:{folder}")
    assert kts.inspection.region_spec(loaded) == spec
    changed = kts.load(f"local:{folder}", regions={"proposals": "boxes"})
    assert kts.inspection.region_spec(changed) == spec.replace(
        proposals="boxes"
    )
    assert not kts.inspection.region_spec(changed).parameters


def test_a_clip_model_has_no_regions():
    net = kts.models.c3d(2, variant="small", clip_spec={"crop": (32, 32)})
    with pytest.raises(SpecError, match="takes clips.*train --task tubes"):
        kts.inspection.region_spec(net)


def test_predict_sends_detectors_to_detect():
    net = kts.models.action_tubes(2, width=0.02, **SMALL)
    frames = np.zeros((9, 67, 67, 3), "uint8")
    with pytest.raises(SpecError, match="regions of frames.*detect"):
        kts.predict(frames, net)
