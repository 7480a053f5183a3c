"""The frames that a clip takes."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_twostream.errors import SpecError
from keras_twostream.spec import (
    BOTH_WAYS,
    STACKINGS,
    ClipSpec,
    check_clip_fields,
)

specs = st.builds(
    ClipSpec,
    clip_length=st.integers(1, 8),
    frames_per_step=st.integers(1, 4),
    frame_gap=st.integers(1, 9),
    temporal_stride=st.integers(1, 12),
    flow_length=st.integers(1, 6).map(lambda half: 2 * half),
    stacking=st.sampled_from(STACKINGS),
    streams=st.sampled_from([("rgb", "flow"), ("rgb",), ("flow",)]),
).flatmap(
    lambda spec: st.integers(-12, 12).map(
        lambda offset: (
            spec
            if spec.stacking in BOTH_WAYS
            else spec.replace(flow_offset=offset)
        )
    )
)


@given(specs)
def test_every_frame_lies_inside_the_span_and_both_ends_are_used(spec):
    frames = [spec.rgb_frames()] if "rgb" in spec.streams else []
    frames += [spec.flow_pairs()] if "flow" in spec.streams else []
    used = np.concatenate([item.ravel() for item in frames])
    assert used.min() >= 0
    assert used.max() <= spec.span() - 1
    if "rgb" in spec.streams:
        assert (used.min(), used.max()) == (0, spec.span() - 1)


@given(specs)
def test_json_round_trip_changes_nothing(spec):
    again = ClipSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec


def test_forward_flow_starts_at_the_frame():
    spec = ClipSpec(clip_length=2, temporal_stride=5, flow_length=3)
    assert spec.rgb_frames().ravel().tolist() == [0, 5]
    expected = [[[0, 1], [1, 2], [2, 3]], [[5, 6], [6, 7], [7, 8]]]
    assert spec.flow_pairs().tolist() == expected
    assert spec.span() == 9


def test_centred_flow_moves_the_frame_into_the_clip():
    spec = ClipSpec(flow_length=4, flow_offset=-2)
    assert spec.rgb_frames().tolist() == [[2]]
    assert spec.flow_pairs()[0].tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]


def test_bidirectional_flow_looks_both_ways_from_the_frame():
    spec = ClipSpec(flow_length=4, stacking="bidirectional")
    frame = spec.rgb_frames()[0, 0]
    pairs = spec.flow_pairs()[0] - frame
    assert pairs.tolist() == [[0, 1], [1, 2], [0, -1], [-1, -2]]


def test_a_centred_stack_stays_centred():
    centred = ClipSpec(flow_length=10, flow_offset=-5)
    assert centred.replace(flow_length=4).flow_offset == -2
    assert centred.replace(flow_length=4, flow_offset=0).flow_offset == 0
    assert centred.replace(stacking="bidirectional").flow_offset == 0
    assert ClipSpec(flow_length=1).replace(flow_length=10).flow_offset == 0


def test_a_subset_of_streams_keeps_its_weights():
    spec = ClipSpec(stream_weights=(1.0, 2.0)).replace(streams=("flow",))
    assert spec.stream_weights == (2.0,)


def test_sizes_given_as_lists_are_tuples():
    spec = ClipSpec(
        streams=["rgb"], crop=[8, 9], resize_to=[10, 11], cut_to=[9, 10]
    )
    assert spec.crop == (8, 9)
    assert spec.resize_to == (10, 11)
    assert spec.cut_to == (9, 10)


def test_another_flow_drops_the_parameters_of_the_old_one():
    spec = ClipSpec(
        flow_algorithm="farneback", flow_parameters={"iterations": 2}
    )
    same = spec.replace(flow_algorithm="farneback", short_side=128)
    assert same.flow_parameters == {"iterations": 2}
    assert spec.replace(flow_algorithm="dis").flow_parameters == {}
    given = spec.replace(flow_algorithm="tvl1", flow_parameters={"warps": 1})
    assert given.flow_parameters == {"warps": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stacking": "sideways"}, "must be one of forward, bidirectional"),
        ({"streams": ("audio",)}, r"Received: streams=\('audio',\)"),
        ({"streams": ("rgb", "rgb")}, "name a stream twice"),
        ({"streams": "rgb"}, r"\('rgb',\), not 'rgb'"),
        ({"clip_length": 0}, "1 or more. Received: clip_length=0"),
        ({"clip_length": "5"}, "1 or more. Received: clip_length='5'"),
        ({"frame_rate": 0}, "greater than 0. Received: frame_rate=0"),
        ({"crop": 224}, r"\(224, 224\), not 224"),
        ({"crop": (224, 0)}, "1 or more. Received: crop=0"),
        (
            {"resize_to": (128,)},
            r"two whole numbers. Received: resize_to=\(128,",
        ),
        ({"resize_filter": "cubic"}, "must be one of area, bilinear"),
        ({"crop_rounding": "up"}, "must be one of floor, round"),
        ({"cut_to": (200,)}, r"two whole numbers. Received: cut_to=\(200,"),
        ({"cut_to": (200, 200)}, "`cut_to` is for networks of rgb alone"),
        ({"train_strides": (15, 5)}, "in this order.*strides=.15, 5"),
        ({"stream_weights": (1.0,)}, "one weight per stream"),
        ({"stacking": "bidirectional", "flow_length": 5}, "must be even"),
        ({"stacking": "bidirectional", "flow_offset": -1}, "must be 0"),
        ({"mean_subtraction": 1}, "must be True or False.*=1"),
        (
            {"stacking": "bidirectional_trajectory", "flow_length": 5},
            "must be even",
        ),
        ({"crop": (224.5, 224)}, "two whole numbers"),
        ({"train_strides": (1.5, 2)}, "two whole numbers"),
        ({"stream_weights": (0, 0)}, "sum of stream_weights"),
        ({"stream_weights": (-1, 2)}, "must be 0 or more"),
        ({"flow_bound": float("inf")}, "greater than 0.*flow_bound=inf"),
        ({"streams": {"rgb", "flow"}}, "must be a tuple or list"),
        ({"stream_weights": {"rgb": 1, "flow": 2}}, "must be a tuple or list"),
        ({"flow_parameters": 3}, "must be a dict.*=3"),
    ],
)
def test_a_wrong_field_says_the_rule_and_the_value(changes, message):
    with pytest.raises(SpecError, match=message):
        ClipSpec(**changes)


def test_an_unknown_field_suggests_an_update():
    with pytest.raises(SpecError, match="no field shutter.*update"):
        ClipSpec.from_json({"shutter": 1})


def test_a_notebook_shows_a_spec_in_words_and_in_full():
    shown = ClipSpec(clip_length=8, temporal_stride=4)._repr_html_()
    assert "8 steps, 4 apart, at 25 frames a second" in shown
    assert "10 fields at each step, DIS" in shown
    assert "score_fusion" in shown


def test_every_field_of_a_clip_is_checked_alone():
    check_clip_fields(ClipSpec().to_json())
    for name in ClipSpec().to_json():
        with pytest.raises(SpecError, match=f"`{name}`"):
            check_clip_fields({name: object()})
    with pytest.raises(SpecError, match="no field 'classes'"):
        check_clip_fields({"classes": ("a",)})
