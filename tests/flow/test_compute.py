"""Flow of frames, by each algorithm, against known movements."""

import types

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_texture import frames_moving, inner_error

from keras_twostream import flow
from keras_twostream.errors import MissingLibraryError, SpecError

_TOLERANCE = {"dis": 0.15, "farneback": 0.3}


# === What flow is ===


@pytest.mark.parametrize("algorithm", list(_TOLERANCE))
@settings(max_examples=10, deadline=None)
@given(dx=st.floats(-3, 3), dy=st.floats(-3, 3))
def test_flow_of_a_moved_texture_is_the_movement(algorithm, dx, dy):
    fields = flow.compute(frames_moving(dx, dy, count=3), algorithm)
    assert fields.shape == (2, 64, 80, 2) and fields.dtype == np.float32
    assert inner_error(fields, dx, dy) < _TOLERANCE[algorithm]


@settings(max_examples=5, deadline=None)
@given(dx=st.floats(-3, 3), dy=st.floats(-3, 3))
def test_tvl1_of_a_moved_texture_is_the_movement(dx, dy):
    fields = flow.compute(frames_moving(dx, dy), "tvl1", **_SMALL_TVL1)
    assert inner_error(fields, dx, dy) < 0.1


_SMALL_TVL1 = {"scales": 2, "warps": 6, "iterations": 10}


@pytest.mark.parametrize("algorithm", list(_TOLERANCE))
def test_cropping_commutes_with_flow(algorithm):
    frames = frames_moving(1.5, -0.75, height=96, width=96)
    whole = flow.compute(frames, algorithm)[:, 16:80, 16:80]
    cropped = flow.compute(frames[:, 16:80, 16:80], algorithm)
    difference = np.linalg.norm(whole - cropped, axis=-1)[:, 12:-12, 12:-12]
    assert difference.mean() < _TOLERANCE[algorithm]


@pytest.mark.parametrize("algorithm", list(_TOLERANCE))
def test_scaling_commutes_with_flow(algorithm):
    frames = frames_moving(3, -2, height=128, width=128)
    half = np.stack(
        [cv2.resize(f, (64, 64), interpolation=cv2.INTER_AREA) for f in frames]
    )
    scaled = flow.resize(flow.compute(frames, algorithm), (64, 64))
    assert inner_error(scaled, 1.5, -1) < _TOLERANCE[algorithm]
    assert inner_error(flow.compute(half, algorithm), 1.5, -1) < 0.3


def test_mirroring_commutes_with_flow():
    frames = frames_moving(2, 1)
    mirrored = flow.compute(frames[:, :, ::-1])
    difference = mirrored - flow.mirror(flow.compute(frames))
    assert np.abs(difference[:, 12:-12, 12:-12]).mean() < 0.05


def test_float_and_grey_frames_give_the_same_flow():
    frames = frames_moving(1, 1)
    expected = flow.compute(frames)
    for same in (frames.astype(np.float32), frames[..., 0]):
        np.testing.assert_array_equal(flow.compute(same), expected)


@pytest.mark.parametrize("algorithm", list(_TOLERANCE))
def test_flow_does_not_depend_on_what_was_computed_before(algorithm):
    noise = np.random.default_rng(0).integers(0, 255, (3, 32, 40, 3), np.uint8)
    first = flow.compute(noise, algorithm)
    np.testing.assert_array_equal(flow.compute(noise, algorithm), first)
    np.testing.assert_array_equal(flow.compute(noise[1:], algorithm), first[1:])


def test_one_frame_has_no_flow():
    assert flow.compute(frames_moving(0, 0, 1)).shape == (0, 64, 80, 2)


# === Pairs ===


def test_each_distinct_pair_is_computed_once(monkeypatch):
    from keras_twostream.flow import _compute

    calls = []

    def counted(previous, following):
        calls.append(1)
        field = np.zeros((*previous.shape, 2), np.float32)
        return field + following[0, 0] - previous[0, 0].astype(np.float32)

    monkeypatch.setitem(_compute._PAIRWISE, "dis", counted)
    frames = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones(
        (1, 8, 8), np.uint8
    )
    pairs = np.array([[[0, 1], [1, 3]], [[3, 0], [0, 1]]])
    fields = flow.compute_pairs(frames, pairs)
    assert fields.shape == (2, 2, 8, 8, 2)
    assert fields[..., 0, 0, 0].tolist() == [[1, 2], [-3, 1]]
    assert len(calls) == 3


def test_no_pairs_have_no_flow():
    for pairs in ([], np.zeros((0, 2), int), np.zeros((3, 0, 2), int)):
        fields = flow.compute_pairs(frames_moving(0, 0), pairs)
        assert fields.shape[-1] == 2 and not fields.size


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([[0, 2]], "frames from 0 to 1.*0 to 2"),
        ([[-1, 0]], "frames from 0 to 1.*-1 to 0"),
        ([[0, 1, 1]], r"shape \(\.\.\., 2\).*\(1, 3\)"),
        ([[0.5, 1.0]], "integer array.*float64"),
    ],
)
def test_bad_pairs_are_refused(pairs, message):
    with pytest.raises(SpecError, match=message):
        flow.compute_pairs(frames_moving(0, 0), np.array(pairs))


# === Errors ===


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((2, 8, 8, 4), np.uint8), r"\(T, H, W, 3\).*\(2, 8, 8, 4\)"),
        (np.zeros((8, 8), np.uint8), r"Received: shape=\(8, 8\)"),
        (np.full((2, 8, 8, 3), 0.5), "look like 0..1.*frames \\* 255"),
        (np.full((2, 8, 8, 3), 300.0), "values 0..255.*300"),
        (np.full((2, 8, 8, 3), np.nan), "values 0..255.*nan"),
        (np.zeros((2, 8, 8, 3), bool), "dtype=bool"),
        (np.zeros((8, 9, 3), np.uint8), "looks like a single image"),
        (np.zeros((8, 9, 4), np.uint8), "looks like a single image"),
        (np.zeros((8, 9, 1), np.uint8), "looks like a single image"),
        (np.zeros((3, 8, 9), np.uint8), r"single image: .*`frames\[..., None"),
        (np.zeros((2, 3, 8, 9), np.uint8), r"first: .*transpose\(0, 2, 3, 1"),
        ([np.zeros((8, 9)), np.zeros((8, 8))], "one array, all of one size"),
        ({"rgb": np.zeros((1, 2, 8, 8, 3))}, r"a dict\. .*model\.predict\("),
        (None, r"\(T, H, W, 3\).*a NoneType$"),
    ],
)
def test_bad_frames_are_refused(frames, message):
    with pytest.raises(SpecError, match=message):
        flow.compute(frames)
    with pytest.raises(SpecError, match=message):
        flow.compute_pairs(frames, [[0, 1]])


@pytest.mark.parametrize("algorithm", ["dis", "tvl1"])
def test_grey_frames_may_have_an_axis_of_one_channel(algorithm):
    grey = frames_moving(2, 1, 5)[..., 0]
    named = flow.compute(grey[..., None], algorithm=algorithm)
    np.testing.assert_array_equal(
        named, flow.compute(grey, algorithm=algorithm)
    )
    three = flow.compute(grey[:3, ..., None], algorithm=algorithm)
    np.testing.assert_allclose(three, named[:2], atol=1e-4)


@pytest.mark.parametrize(
    ("algorithm", "parameters", "message"),
    [
        ("tvl", {}, "must be one of dis.*'tvl'.*mean tvl1"),
        ("dis", {"present": "fast"}, "'present'. It takes: preset"),
        ("dis", {"preset": "quick"}, "ultrafast, fast, medium.*'quick'"),
        ("tvl1", {"lambda": 1}, "'lambda'. It takes: .*lambda_"),
        ("tvl1", {"texture": 2}, "between 0 and 1.*texture=2"),
        ("tvl1", {"texture": "all"}, "between 0 and 1.*texture='all'"),
        ("tvl1", {"scales": None}, "whole number, 1 or more.*scales=None"),
        ("tvl1", {"tau": float("inf")}, "greater than 0.*tau=inf"),
        ("farneback", {"poly_n": 0}, "whole number, 1 or more.*poly_n=0"),
        ("farneback", {"poly_n": -3}, "whole number, 1 or more.*poly_n=-3"),
        ("farneback", {"iterations": 0}, "whole number, 1 or more"),
        ("farneback", {"levels": 1.5}, "whole number, 1 or more.*levels=1.5"),
        ("farneback", {"window": 0}, "whole number, 2 or more.*window=0"),
        ("farneback", {"window": 2.5}, "whole number, 2 or more.*window=2.5"),
        ("farneback", {"pyramid_scale": 1.5}, "between 0 and 1.*=1.5"),
        ("farneback", {"pyramid_scale": 0}, "between 0 and 1.*=0"),
        ("farneback", {"poly_sigma": 0.1}, "0.3 or more.*poly_sigma=0.1"),
        ("farneback", {"poly_sigma": float("nan")}, "poly_sigma=nan"),
        ("farneback", {"gaussian": "no"}, "one of False, True.*'no'"),
        ("dis", {"warped": "no"}, "one of False, True.*'no'"),
    ],
)
def test_bad_algorithms_are_refused(algorithm, parameters, message):
    with pytest.raises(SpecError, match=message):
        flow.compute(frames_moving(0, 0), algorithm, **parameters)


def test_farneback_finds_motion_at_the_ends_of_its_parameters():
    ends = {"poly_n": 1, "iterations": 1, "levels": 1, "poly_sigma": 0.3}
    for name, value in [*ends.items(), ("pyramid_scale", 0.01)]:
        fields = flow.compute(
            frames_moving(1.5, -0.75), "farneback", **{name: value}
        )
        assert inner_error(fields, 1.5, -0.75) < _TOLERANCE["farneback"]


def test_parameters_that_opencv_refuses_are_named(monkeypatch):
    def create(**parameters):
        raise TypeError("'taus' is an invalid keyword argument")

    module = types.SimpleNamespace(DualTVL1OpticalFlow_create=create)
    monkeypatch.setattr(cv2, "optflow", module, raising=False)
    with pytest.raises(SpecError, match="'taus' is an invalid.*'taus': 1"):
        flow.compute(frames_moving(0, 0), "tvl1_opencv", taus=1)


@pytest.mark.skipif(hasattr(cv2, "optflow"), reason="OpenCV has optflow")
def test_tvl1_of_opencv_says_what_to_install():
    with pytest.raises(
        MissingLibraryError, match="pip install opencv-contrib-python"
    ):
        flow.compute(frames_moving(0, 0), "tvl1_opencv")
