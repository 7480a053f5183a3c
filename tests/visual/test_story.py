"""Scores over time, as the pictures ask for them."""

import numpy as np
import pytest

from keras_twostream.visual import Story


def story(fused, windows=None, **streams):
    fused = np.array(fused, float)
    if windows is None:
        starts = np.arange(len(fused), dtype=float)
        windows = np.stack([starts, starts + 1], axis=-1)
    return Story(
        name="a.mp4",
        classes=("wave_hand", "sit_down", "drink"),
        windows=windows,
        timelines={**streams, "fused": fused},
        whole={"fused": fused.mean(axis=0)},
    )


@pytest.mark.parametrize(
    ("second", "expected"), [(0.2, 1.0), (0.5, 1.0), (1.0, 0.5), (2.0, 0.0)]
)
def test_scores_pass_smoothly_from_window_to_window(second, expected):
    drawn = story([[1, 0, 0], [0, 1, 0]])
    assert drawn.at(second)[0] == pytest.approx(expected)


def test_one_window_says_the_same_at_every_moment():
    drawn = story([[0.2, 0.7, 0.1]])
    np.testing.assert_allclose(drawn.at(0.0), drawn.at(0.9))


def test_stretches_of_one_answer_are_joined():
    drawn = story([[0.9, 0.1, 0], [0.7, 0.3, 0], [0.2, 0.8, 0]])
    first, second = drawn.stretches()
    assert first == (0.0, 2.0, 0, pytest.approx(0.8))
    assert second == (2.0, 3.0, 1, pytest.approx(0.8))


def test_the_same_bars_stay_while_they_hold_every_answer():
    drawn = story([[0.9, 0.1, 0], [0.2, 0.8, 0]])
    assert drawn.shown(0.5, 2) == drawn.shown(1.5, 2) == [0, 1]


def test_bars_follow_the_moment_when_there_are_more_answers_than_bars():
    drawn = story([[0.9, 0.1, 0], [0.1, 0.8, 0.1], [0, 0.1, 0.9]])
    assert drawn.shown(0.5, 2)[0] == 0
    assert drawn.shown(2.5, 2)[0] == 2


def test_a_single_stream_is_not_shown_twice():
    scores = [[0.2, 0.7, 0.1]]
    assert story(scores, rgb=np.array(scores)).streams == ["fused"]
    both = story(scores, rgb=np.array(scores), flow=np.array(scores))
    assert both.streams == ["rgb", "flow", "fused"]


def test_labels_are_readable():
    assert story([[1, 0, 0]]).label(0) == "wave hand"
