"""The input layer: normalisation, and metadata that survives everything."""

import copy
import json

import keras
import numpy as np
import pytest
from tiny_net import tiny_net

import keras_twostream as kts
from keras_twostream.errors import SpecError
from keras_twostream.layers import (
    FoldTime,
    StreamInput,
    UnfoldTime,
    stream_inputs,
)

pytestmark = pytest.mark.agnostic


def numbers(stream, normalization, value):
    inputs, x = stream_inputs(
        kts.ClipSpec(streams=(stream,), flow_length=1),
        normalization,
    )
    clip = np.zeros((1, 1, 2, 2, inputs[0].shape[-1]), "float32") + value
    model = keras.Model(inputs, x[stream])
    return keras.ops.convert_to_numpy(model({stream: clip}))


def test_rgb_is_normalised_from_0_255():
    out = numbers("rgb", "imagenet", 255.0)
    expected = (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(out[0, 0, 0, 0], expected, rtol=1e-5)


def test_caffe_weights_see_blue_first():
    out = numbers("rgb", "caffe", [10.0, 20.0, 30.0])
    np.testing.assert_allclose(out[0, 0, 0, 0], [-74, -97, -113])


def test_flow_is_clipped_at_the_bound():
    out = numbers("flow", "half", [50.0, -10.0])
    np.testing.assert_allclose(out[0, 0, 0, 0], [1.0, -0.5])


def test_caffe_flow_is_rounded_to_8_bits():
    out = numbers("flow", "caffe", [0.0, 20.0])
    np.testing.assert_allclose(out[0, 0, 0, 0], [0.0, 127.0])


def test_an_unknown_normalization_lists_the_choices():
    with pytest.raises(SpecError, match="must be one of .*half, imagenet"):
        stream_inputs(kts.ClipSpec(), "vgg")


def survivors():
    yield "original", lambda model, path: model
    yield "clone", lambda model, path: keras.models.clone_model(model)
    yield "deep copy", lambda model, path: copy.deepcopy(model)
    yield "saved", saved
    yield "nested", nested


def saved(model, path):
    model.save(path / "model.keras")
    return keras.models.load_model(path / "model.keras")


def nested(model, path):
    outer = [keras.Input(x.shape[1:], name=x.name) for x in model.inputs]
    return keras.Model(outer, model(outer))


@pytest.mark.parametrize(
    "change", [pytest.param(f, id=name) for name, f in survivors()]
)
def test_the_clip_and_the_identity_survive(change, tmp_path):
    model = tiny_net(3, dropout=0.1)
    changed = change(model, tmp_path)
    assert kts.clip_spec(changed) == kts.clip_spec(model)
    card = kts.inspection.card(changed)
    assert card["architecture"] == "tiny_net"
    assert card["options"]["dropout"] == 0.1
    assert json.loads(json.dumps(card)) == card


def test_the_input_stays_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = tiny_net(3)
    finally:
        keras.config.set_dtype_policy("float32")
    layer = model.get_layer("rgb_input")
    assert isinstance(layer, StreamInput)
    assert layer.compute_dtype == "float32"
    assert model.get_layer("rgb_conv2").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"


def test_streams_come_by_name_in_any_order():
    model = tiny_net(3)
    rng = np.random.default_rng(0)
    clips = {
        "rgb": rng.uniform(0, 255, (1, 2, 24, 24, 3)).astype("float32"),
        "flow": rng.normal(0, 3, (1, 2, 24, 24, 4)).astype("float32"),
    }
    expected = model.predict_on_batch(clips)
    swapped = {"flow": clips["flow"], "rgb": clips["rgb"]}
    extra = {**swapped, "audio": np.zeros((1, 8))}
    np.testing.assert_allclose(
        model.predict_on_batch(swapped), expected, rtol=1e-6
    )
    called = [keras.ops.convert_to_numpy(model(c)) for c in (extra, clips)]
    np.testing.assert_allclose(*called, rtol=1e-5)


def test_a_missing_stream_is_an_error():
    model = tiny_net(3)
    with pytest.raises((ValueError, KeyError), match="flow"):
        model({"rgb": np.zeros((1, 2, 24, 24, 3), "float32")})


def test_openmmlab_divides_levels_of_flow():
    out = numbers("flow", "openmmlab", [0.0, 20.0])
    np.testing.assert_allclose(out[0, 0, 0, 0], [0.0, 127.0 / 128.0])


def test_matconvnets_weights_see_red_first():
    out = numbers("rgb", "matconvnet_vgg", [123.68, 116.779, 104.939])
    np.testing.assert_allclose(out[0, 0, 0, 0], [0, 0, 1], atol=1e-4)


@pytest.mark.parametrize(("steps", "fields"), [(4, 1), (1, 1), (2, 2)], ids=str)
def test_predict_takes_clips_of_its_own_shape_alone(steps, fields):
    model = two_steps()
    model.predict_on_batch(flow_of(2, 1))  # any shape would pass from now on
    with pytest.raises(Exception, match=r"expected shape|EnsureShape"):
        model.predict_on_batch(flow_of(steps, fields))


def two_steps():
    """Two filters over two channels: of four, each would take two."""
    spec = kts.ClipSpec(streams=("flow",), clip_length=2, flow_length=1)
    inputs, clips = stream_inputs(spec)
    frames = FoldTime()(clips["flow"])
    frames = keras.layers.Conv2D(2, 3, data_format="channels_last")(frames)
    return keras.Model(inputs, UnfoldTime(2)(frames))


def flow_of(steps, fields):
    return {"flow": np.ones((1, steps, 8, 8, 2 * fields), "float32")}
