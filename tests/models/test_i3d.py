"""I3D: TensorFlow's padding, a normalisation without scale, the head."""

import keras
import numpy as np
import pytest
from weightless import weightless

import keras_twostream as kts
from keras_twostream.data import views

pytestmark = pytest.mark.portable


@pytest.fixture(scope="module")
def model():
    return kts.models.i3d(
        4, streams=("flow",), clip_length=24, clip_spec={"crop": (32, 32)}
    )


def taps(model, *names):
    outputs = [model.get_layer(name).output for name in names]
    return keras.Model(model.inputs, outputs)


@pytest.mark.parametrize(
    ("frames", "times"), [(64, (32, 16, 8)), (79, (40, 20, 10))]
)
def test_every_stage_rounds_up(frames, times):
    with weightless():
        model = kts.models.i3d(4, streams=("flow",), clip_length=frames)
    shapes = taps(
        model,
        "flow_Conv3d_1a_7x7",
        "flow_MaxPool3d_2a_3x3",
        "flow_Mixed_3c",
        "flow_Mixed_4f",
        "flow_Mixed_5c",
        "flow_Logits_AvgPool3d_0a_7x7",
    ).compute_output_shape((None, frames, 224, 224, 2))
    first, middle, last = times
    assert [tuple(shape[1:]) for shape in shapes] == [
        (first, 112, 112, 64),
        (first, 56, 56, 64),
        (first, 28, 28, 480),
        (middle, 14, 14, 832),
        (last, 7, 7, 1024),
        (last - 1, 1, 1, 1024),
    ]


def test_normalisation_has_an_offset_and_no_scale(model):
    norms = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert len(norms) == 57
    for norm in norms:
        assert [weight.name for weight in norm.weights] == [
            "beta",
            "moving_mean",
            "moving_variance",
        ]
        # As in the published code (Sonnet's decay rate and epsilon).
        assert norm.momentum == 0.999
        assert norm.epsilon == 1e-3


def test_the_names_are_the_checkpoint_s(model):
    names = {layer.name for layer in model.layers}
    assert "flow_Mixed_5c_Branch_2_Conv3d_0b_3x3" in names
    assert "flow_Mixed_5b_Branch_2_Conv3d_0a_3x3" in names
    assert len(model.weights) == 230


@pytest.mark.agnostic
def test_logits_are_averaged_over_time(model):
    flow = np.random.default_rng(0).normal(size=(1, 24, 32, 32, 2)) * 5
    head = "flow_Logits_Conv3d_0c_1x1"
    pooled, logits = taps(
        model, "flow_Logits_AvgPool3d_0a_7x7", head
    ).predict_on_batch({"flow": flow.astype("float32")})
    assert pooled.shape == (1, 2, 1, 1, 1024)
    kernel, bias = map(
        keras.ops.convert_to_numpy, model.get_layer(head).weights
    )
    expected = (pooled[:, :, 0, 0] @ kernel + bias).mean(1)
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_clips_are_consecutive_frames(model):
    (clip,) = views(250, kts.clip_spec(model).replace(clip_length=64))
    assert (np.diff(clip) == 1).all() and clip[0] == 92  # centred
