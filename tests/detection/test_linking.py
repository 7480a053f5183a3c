"""Linking: the cases worked by hand, all paths tried, the authors' tubes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat

from keras_twostream.detection.linking import link
from keras_twostream.detection.tracks import Track
from keras_twostream.errors import SpecError

HERE, THERE = (0, 0, 9, 9), (50, 50, 59, 59)
STORED = "action_tubes/ucfsports_tubes_test.mat"


def iou(a, b):
    wide = min(a[2], b[2]) - max(a[0], b[0]) + 1
    high = min(a[3], b[3]) - max(a[1], b[1]) + 1
    shared = max(wide, 0) * max(high, 0)
    area = [(x[2] - x[0] + 1) * (x[3] - x[1] + 1) for x in (a, b)]
    return shared / (sum(area) - shared)


def best_of_all_paths(boxes, scores, weight):
    """Try every path; the first of the best in lexicographic order."""

    def value(path):
        return sum(
            scores[t][i]
            + scores[t + 1][j]
            + weight * iou(boxes[t][i], boxes[t + 1][j])
            for t, (i, j) in enumerate(itertools.pairwise(path))
        ) / len(boxes)

    paths = itertools.product(*(range(len(frame)) for frame in boxes))
    return max(map(value, paths))


def test_two_frames_of_two_boxes_as_worked_by_hand():
    boxes = [np.array([HERE, THERE])] * 2
    scores = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    paths = link(boxes, scores)
    # 1-1, 1-2 and 2-2 are all worth 2; ties go to the first.
    assert paths[0].places.tolist() == [0, 0]
    assert paths[0].score == 2 / 2
    assert paths[1].places.tolist() == [1, 1]
    assert paths[1].score == 2 / 2
    assert len(paths) == 2


def test_three_frames_of_one_box_as_worked_by_hand():
    boxes = [np.array([HERE])] * 3
    scores = [np.array([float(x)]) for x in (1, 2, 3)]
    (path,) = link(boxes, scores)
    assert path.score == pytest.approx((1 + 2 + 1 + 2 + 3 + 1) / 3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.sampled_from([0.0, 1, 3]))
def test_each_path_is_the_best_of_what_is_left(seed, length, weight):
    rng = np.random.default_rng(seed)
    boxes, scores = [], []
    for _ in range(length):
        count = int(rng.integers(1, 5))
        corner = rng.integers(0, 12, (count, 2))
        side = rng.integers(3, 12, (count, 2))
        boxes.append(np.concatenate([corner, corner + side], axis=1))
        scores.append(rng.normal(0, 1, count))
    paths = link(boxes, scores, weight)
    assert len(paths) == min(map(len, boxes))
    left = [list(range(len(frame))) for frame in boxes]
    for path in paths:
        there = [frame[keep] for frame, keep in zip(boxes, left, strict=True)]
        worth = [frame[keep] for frame, keep in zip(scores, left, strict=True)]
        best = best_of_all_paths(there, worth, weight)
        assert path.score == pytest.approx(best)
        for keep, place in zip(left, path.places, strict=True):
            keep.remove(place)


def test_a_path_alone_has_the_score_that_it_had_among_others():
    rng = np.random.default_rng(5)
    corner = rng.uniform(0, 9, (6, 3, 2))
    boxes = np.concatenate([corner, corner + 8], axis=-1)
    scores = rng.normal(0, 1, (6, 3))
    for path in link(boxes, scores):
        chosen = np.arange(6), path.places
        (alone,) = link(boxes[chosen][:, None], scores[chosen][:, None])
        assert alone.score == pytest.approx(path.score)


def test_boxes_of_a_single_frame_rank_by_their_scores():
    boxes, scores = [np.array([HERE, THERE])], [np.array([-0.5, 0.25])]
    paths = link(boxes, scores)
    assert [path.places.tolist() for path in paths] == [[1], [0]]
    assert [path.score for path in paths] == [0.25, -0.5]
    assert scores[0].tolist() == [-0.5, 0.25]


def test_no_more_paths_than_asked_for():
    boxes = [np.array([HERE, THERE])] * 2
    assert len(link(boxes, [np.zeros(2)] * 2, limit=1)) == 1


def test_a_frame_without_a_box_is_refused():
    with pytest.raises(SpecError, match="2 frames, of which 1 have none"):
        link([np.array([HERE]), np.zeros((0, 4))], [np.ones(1), np.ones(0)])


def test_scores_of_the_authors_own_paths(shared):
    stored = loadmat(shared / STORED, squeeze_me=True, struct_as_record=False)
    paths = [
        path
        for video in stored["tubes"][::4]
        for of_class in video.paths
        for path in np.atleast_1d(of_class)[:2]
    ]
    assert len(paths) == 240
    for path in paths:
        # A path alone: one box in each frame leaves nothing to choose.
        boxes = path.boxes.astype(float)[:, None]
        (ours,) = link(boxes, path.scores.astype(float)[:, None])
        assert ours.score == pytest.approx(path.total_score, abs=1e-6)


def test_linking_the_authors_boxes_finds_their_tubes(shared):
    """Their paths share no box: linked anew, each is found again in order."""
    stored = loadmat(shared / STORED, squeeze_me=True, struct_as_record=False)
    video = stored["tubes"][0]
    paths = video.paths[0]
    boxes = np.stack([path.boxes for path in paths], axis=1).astype(float)
    scores = np.stack([path.scores for path in paths], axis=1).astype(float)
    result = link(boxes, scores)
    for number, (path, mine) in enumerate(zip(paths, result, strict=True)):
        assert mine.places.tolist() == [number] * len(boxes)
        assert mine.score == pytest.approx(path.total_score, abs=1e-6)


def test_frames_of_a_track_are_whole_numbers_from_0():
    for frames in ([-1], [0.5], [float("nan")]):
        with pytest.raises(SpecError, match="whole numbers, counted from 0"):
            Track("run", frames, [HERE])
    assert Track("run", [2.0], [HERE]).frames.tolist() == [2]
