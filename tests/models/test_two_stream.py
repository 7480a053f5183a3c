"""The original two-stream network: CNN-M-2048 as the paper has it."""

import keras
import numpy as np
import pytest
from weightless import weightless

import keras_twostream as kts
from keras_twostream.models.backbones import cnn_m

pytestmark = pytest.mark.portable


@pytest.fixture(scope="module")
def flow_model():
    with weightless():
        return kts.models.two_stream(7, streams=("flow",), flow_length=2)


def test_the_sizes_are_the_paper_s():
    x = keras.Input((224, 224, 3))
    shapes = {}
    for name, step in cnn_m.steps("rgb", (0.9, 0.9), (224, 224)).items():
        x = step(x)
        shapes[name] = tuple(x.shape[1:])
    assert shapes["conv1"] == (109, 109, 96)
    assert shapes["pool1"] == (54, 54, 96)
    assert shapes["conv2"] == (26, 26, 256)
    assert shapes["pool2"] == (13, 13, 256)
    assert shapes["conv5"] == (13, 13, 512)
    assert shapes["pool5"] == (6, 6, 512)
    assert shapes["full6"] == (1, 1, 4096)
    assert shapes["places"] == (2048,)


def test_a_crop_that_is_no_square_keeps_its_order():
    steps = cnn_m.steps("rgb", (0.0, 0.0), (224, 160))
    x = keras.Input((224, 160, 3))
    for name, step in steps.items():
        if name == "full6":
            assert step.keywords["window"] == x.shape[1:3]
            break
        x = step(x)


def test_the_temporal_net_lacks_the_second_normalisation(flow_model):
    names = [layer.name for layer in flow_model.layers]
    assert "flow_norm1" in names
    assert "flow_norm2" not in names
    with weightless():
        spatial = kts.models.two_stream(3, streams=("rgb",))
    assert "rgb_norm2" in [layer.name for layer in spatial.layers]


@pytest.mark.agnostic
def test_normalisation_is_krizhevskys(flow_model):
    norm = flow_model.get_layer("flow_norm1")
    out = norm(np.full((1, 1, 1, 96), 100.0, "float32"))
    out = keras.ops.convert_to_numpy(out)
    expected = 100 / (2 + 1e-4 * 5 * 100**2) ** 0.75
    np.testing.assert_allclose(out[..., 2:-2], expected, rtol=1e-5)


def test_the_classifier_reads_full7(flow_model):
    assert flow_model.get_layer("flow_full8").kernel.shape == (2048, 7)


def test_stacking_is_recorded_in_the_clip():
    with weightless():
        model = kts.models.two_stream(
            3, streams=("flow",), flow_length=4, stacking="bidirectional"
        )
    assert kts.clip_spec(model).stacking == "bidirectional"
    assert model.inputs[0].shape == (None, 1, None, None, 8)


def test_heads_share_the_tower_and_are_named_after_data_sets():
    with weightless():
        model = kts.models.two_stream(
            streams=("flow",), flow_length=1, heads={"ucf101": 5, "hmdb51": 3}
        )
    shapes = {name: scores.shape for name, scores in model.output.items()}
    assert shapes == {"ucf101": (None, 5), "hmdb51": (None, 3)}
    assert [x.name for x in model.layers].count("flow_full7") == 1
