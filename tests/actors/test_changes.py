"""Changes of state: the scene before, the scene after, and the moment."""

import json

import numpy as np
import pytest

from keras_twostream import actors, data
from keras_twostream.actors import changes
from keras_twostream.errors import SpecError, UnknownNameError


@pytest.fixture(scope="module")
def clips():
    """Each change in the same scene, in which nothing else moves."""
    return {x: actors.render_change(x, index=9) for x in actors.CHANGES}


def largest_difference(one, other) -> float:
    """Return how far the picture's coarse blocks differ, 0..255."""
    blocks = [
        frames.reshape(8, 12, 8, 12, 3).mean((1, 3)) for frames in (one, other)
    ]
    return float(np.abs(blocks[0] - blocks[1]).max())


@pytest.mark.parametrize("label", actors.CHANGES)
def test_the_state_changes_between_the_boundaries_only(clips, label):
    frames, (start, end) = clips[label]
    count = len(frames)
    assert count / 3 - 0.05 * count < start < end < 2.05 * count / 3 + 1
    assert frames.shape == (count, 96, 96, 3)
    # Coarse blocks see the person, not the grain and the small sway.
    before = largest_difference(frames[start - 9], frames[start - 1])
    after = largest_difference(frames[end], frames[end + 8])
    across = largest_difference(frames[start - 1], frames[end])
    assert across > 2 * max(before, after)


@pytest.mark.parametrize("count", [60, 120])
def test_a_change_is_never_shorter_than_promised(count):
    for seed in range(200):
        rng = np.random.default_rng(seed)
        start, end = changes._bounds(count, rng)
        assert end - start >= 0.08 * count - 1  # both are rounded


@pytest.mark.parametrize(
    ("backwards", "forwards"),
    [("stand_up", "sit_down"), ("put_down", "pick_up")],
)
def test_a_change_backwards_has_its_boundaries_backwards(
    clips, backwards, forwards
):
    frames, (start, end) = clips[forwards]
    again, bounds = clips[backwards]
    np.testing.assert_array_equal(again, frames[::-1])
    assert bounds == (len(frames) - end, len(frames) - start)


def test_the_list_says_when(tmp_path):
    listed = actors.generate_changes(tmp_path, 5, "test", size=(64, 64))
    annotations = data.read_annotations(listed)
    assert annotations.classes == actors.CHANGES
    assert annotations.labels == [0, 1, 2, 3, 0]
    item = json.loads(listed.read_text())["items"][2]
    assert data.count_frames(tmp_path / item["path"]) == item["frames"]
    frames, bounds = actors.render_change(
        "pick_up", 0, "test", 2, size=(64, 64)
    )
    assert (len(frames), list(bounds)) == (item["frames"], item["change"])


def test_boundaries_are_never_those_of_other_clips(tmp_path):
    actors.generate_changes(tmp_path, 1, size=(64, 64))
    with pytest.raises(SpecError, match="drawn with seed=0.*Received: seed=1"):
        actors.generate_changes(tmp_path, 1, seed=1, size=(64, 64))
    with pytest.raises(SpecError, match="kind=changes"):
        actors.generate(tmp_path, 1, workers=0, size=(64, 64))


def test_wrong_arguments_are_named(tmp_path):
    with pytest.raises(UnknownNameError, match=r"No 'sit' .*sit_down"):
        actors.render_change("sit")
    with pytest.raises(UnknownNameError, match=r"No split 'tests'.*test"):
        actors.render_change("sit_down", split="tests")
    with pytest.raises(SpecError, match="`count` must be a whole number, 1"):
        actors.generate_changes(tmp_path, 0)
