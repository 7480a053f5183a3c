"""The outline of a network: its stages, their costs, and who reads whom."""

import math

import keras
import pytest

from keras_twostream import costs, inspection, models
from keras_twostream.layers import FoldTime, classifier, stream_inputs
from keras_twostream.outlines import Stage, stages
from keras_twostream.spec import ClipSpec

pytestmark = pytest.mark.agnostic


@pytest.fixture(scope="module")
def crossed():
    """A small multiplier network: motion gates appearance in each stage."""
    return models.spatiotemporal_multiplier(
        4, depth=18, width=8, clip_length=3, clip_spec={"crop": [64, 96]}
    )


@pytest.fixture(scope="module")
def outline(crossed):
    return {stage.key: stage for stage in stages(crossed)}


def test_everything_is_counted_once(crossed, outline):
    whole = costs.costs(crossed)
    assert sum(x.macs for x in outline.values()) == whole.macs
    assert sum(x.parameters for x in outline.values()) == whole.parameters


def test_a_network_inside_another_is_counted(crossed):
    spec = inspection.clip_spec(crossed)
    clips = [
        keras.Input((3, *spec.crop, spec.channels(stream)), name=stream)
        for stream in spec.streams
    ]
    outer = keras.Model(clips, crossed(clips))
    whole = costs.costs(outer)
    assert sum(x.macs for x in stages(outer)) == whole.macs > 0


def test_stages_are_the_papers(outline):
    names = [x.name for x in outline.values() if x.stream == "rgb"]
    assert names == [
        "input",
        "conv1",
        "pool1",
        *("res2", "res3", "res4", "res5"),
        "temporal_pool",
        "pool5",
        "fc",
    ]


def test_a_shape_is_steps_height_width_and_channels(outline):
    assert outline["rgb.input"].shape == (3, 64, 96, 3)
    assert outline["flow.input"].shape == (3, 64, 96, 20)
    assert outline["rgb.conv1"].shape == (3, 32, 48, 8)
    assert outline["rgb.res5"].shape == (3, 2, 3, 64)
    assert outline["scores"].shape == (4,)


def test_motion_gates_appearance_and_not_the_other_way(outline):
    for stage in ("res2", "res3", "res4", "res5"):
        assert (f"flow.{stage}", "×") in outline[f"rgb.{stage}"].sources
        assert not any(
            source.startswith("rgb.")
            for source, _ in outline[f"flow.{stage}"].sources
        )


def test_the_fused_scores_read_both_streams(outline):
    sources = dict(outline["scores"].sources)
    assert set(sources) == {"rgb.fc", "flow.fc"}


def test_a_stage_survives_json(outline):
    for stage in outline.values():
        assert Stage.from_json(stage.to_json()) == stage


def test_layers_of_unknown_kinds_and_names_are_stages_too():
    spec = ClipSpec(streams=("rgb",), clip_length=2, crop=(8, 8))
    inputs, clips = stream_inputs(spec)
    x = FoldTime(name="rgb_fold")(clips["rgb"])
    x = keras.layers.SeparableConv2D(
        5, 3, data_format="channels_last", name="rgb_mine"
    )(x)
    x = keras.layers.ReLU(name="rgb_mine_relu")(x)
    x = keras.layers.GlobalAveragePooling2D(
        data_format="channels_last", name="rgb_average"
    )(x)
    scores = classifier({"rgb": x}, 3, fusion="logits", stream_weights=(1.0,))
    result = {x.key: x for x in stages(keras.Model(inputs, scores))}
    assert result["rgb.mine"].shape == (2, 6, 6, 5)
    assert result["rgb.mine"].sources == (("rgb.input", ""),)
    places = 2 * 6 * 6
    assert result["rgb.mine"].macs == places * (9 * 3 + 3 * 5)
    assert result["rgb.average"].macs == 0


def test_a_depthwise_convolution_costs_a_kernel_for_each_channel():
    spec = ClipSpec(streams=("rgb",), clip_length=2, crop=(8, 8))
    inputs, clips = stream_inputs(spec)
    x = FoldTime(name="rgb_fold")(clips["rgb"])
    x = keras.layers.DepthwiseConv2D(
        3, depth_multiplier=2, data_format="channels_last", name="rgb_depth"
    )(x)
    layers = {c.name: c for c in costs.costs(keras.Model(inputs, x)).layers}
    assert layers["rgb_depth"].macs == math.prod((2, 6, 6, 3, 2, 9))
