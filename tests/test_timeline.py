"""Segments of one action, from the scores of windows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_twostream.errors import SpecError
from keras_twostream.timeline import stretches


def half_overlapping(count):
    """Windows of a second, half a second apart."""
    starts = np.arange(count) / 2
    return np.stack([starts, starts + 1], axis=-1)


def found(scores, threshold=0.5, windows=None):
    scores = np.array(scores)
    windows = half_overlapping(len(scores)) if windows is None else windows
    return [
        (start, end, winner, pytest.approx(score))
        for start, end, winner, score in stretches(
            np.array(windows, float), scores, threshold
        )
    ]


def test_windows_of_one_answer_are_one_segment():
    assert found([[0.9, 0.1], [0.7, 0.3]]) == [(0.0, 1.5, 0, 0.8)]


def test_two_answers_meet_half_way_between_their_windows():
    scores = [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6]]
    # Centres at 0.5, 1.0, 1.5 and 2.0: the border lies at 1.25.
    assert found(scores) == [(0.0, 1.25, 0, 0.8), (1.25, 2.5, 1, 0.7)]


def test_unsure_windows_belong_to_no_segment():
    scores = [[0.4, 0.3, 0.3], [0.8, 0.1, 0.1], [0.3, 0.3, 0.4]]
    assert found(scores) == [(0.75, 1.25, 0, 0.8)]
    assert found(scores, threshold=0.9) == []


def test_a_gap_shorter_than_a_window_is_bridged():
    unsure = [0.4, 0.3, 0.3]
    scores = [[0.9, 0.1, 0], unsure, [0.7, 0.3, 0]]
    # The gap lasts from 0.75 to 1.25; its window adds nothing to the mean.
    assert found(scores) == [(0.0, 2.0, 0, 0.8)]


def test_a_gap_as_long_as_a_window_parts_two_segments():
    unsure = [0.4, 0.3, 0.3]
    scores = [[0.9, 0.1, 0], unsure, unsure, [0.7, 0.3, 0]]
    assert found(scores) == [(0.0, 0.75, 0, 0.9), (1.75, 2.5, 0, 0.7)]


def test_no_gap_is_bridged_across_another_action():
    scores = [[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]
    assert [winner for _, _, winner, _ in found(scores)] == [0, 1, 0]


def test_time_that_no_window_sees_is_in_no_segment():
    windows = [[0, 1], [5, 6]]
    assert found([[0.9, 0.1], [0.9, 0.1]], windows=windows) == [
        (0, 1, 0, 0.9),
        (5, 6, 0, 0.9),
    ]


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan"), "half"])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(SpecError, match="between 0 and 1"):
        found([[0.9, 0.1]], threshold=threshold)


@st.composite
def timelines(draw):
    """Windows of any hop, and scores that add up to 1."""
    count = draw(st.integers(1, 30))
    length, hop = draw(st.floats(0.1, 3)), draw(st.floats(0.05, 4))
    starts = np.arange(count) * hop
    scores = np.random.default_rng(draw(st.integers(0, 99))).dirichlet(
        np.full(3, 0.3), count
    )
    return np.stack([starts, starts + length], axis=-1), scores


@given(timelines(), st.floats(0, 1))
def test_segments_are_disjoint_ordered_and_inside_the_video(given_, threshold):
    windows, scores = given_
    segments = stretches(windows, scores, threshold)
    borders = [
        second for start, end, _, _ in segments for second in (start, end)
    ]
    assert borders == sorted(borders)
    assert all(start < end for start, end, _, _ in segments)
    assert all(0 <= second <= windows[-1, 1] for second in borders)
    assert all(score >= threshold - 1e-9 for *_, score in segments)
    # Each sure window's centre lies in a segment of its class.
    for window, row in zip(windows, scores, strict=True):
        if row.max() >= threshold:
            around = [
                winner
                for start, end, winner, _ in segments
                if start <= window.mean() <= end
            ]
            assert int(row.argmax()) in around
