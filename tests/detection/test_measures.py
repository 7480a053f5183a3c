"""AP and AUC: by hand, against scikit-learn and plain loops, the authors'."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat
from sklearn.metrics import roc_curve

from keras_twostream.detection import AnnotatedVideo, measures, measuring
from keras_twostream.detection.measures import Detections
from keras_twostream.detection.tracks import Track, Tube, track_overlap

FRAMES = np.arange(4)


def boxes(x):
    return np.array([(x + t, 0, x + t + 9, 9) for t in FRAMES], float)


def track(label, x):
    return Track(label, FRAMES, boxes(x))


def tube(label, x, score):
    return Tube(label, FRAMES, boxes(x), score, np.full(4, score))


def test_perfect_tubes_have_ap_one():
    truths = {"a": [track("run", 0), track("jump", 40)]}
    tubes = {"a": [tube("run", 0, 2.0), tube("jump", 40, 1.0)]}
    assert measures.video_ap(tubes, truths) == {"jump": 1.0, "run": 1.0}
    single = {"a": Detections.of_tubes(tubes["a"])}
    assert measures.frame_ap(single, truths) == {"jump": 1.0, "run": 1.0}


def test_a_duplicate_ranked_second_leaves_it_one():
    tubes = {"a": [tube("run", 0, 2.0), tube("run", 1, 1.0)]}
    assert measures.video_ap(tubes, {"a": [track("run", 0)]}) == {"run": 1.0}


def test_a_duplicate_ranked_between_two_does_not():
    truths = {"a": [track("run", 0)], "b": [track("run", 0)]}
    tubes = {
        "a": [tube("run", 0, 3.0), tube("run", 1, 2.0)],
        "b": [tube("run", 0, 1.0)],
    }
    # Precision 1 at recall 1/2, 2/3 at recall 1.
    assert measures.video_ap(tubes, truths)["run"] == pytest.approx(5 / 6)


def test_tubes_of_another_class_do_not_count():
    tubes = {"a": [tube("jump", 0, 2.0)]}
    assert measures.video_ap(tubes, {"a": [track("run", 0)]}) == {"run": 0.0}


def test_two_people_of_one_class_are_two_to_find():
    truths = {"a": [track("run", 0), track("run", 60)]}
    one = {"a": [tube("run", 0, 1.0)]}
    both = {"a": [tube("run", 0, 1.0), tube("run", 60, 0.5)]}
    assert measures.video_ap(one, truths) == {"run": 0.5}
    assert measures.video_ap(both, truths) == {"run": 1.0}


def test_frames_of_only_one_of_two_tracks_count_zero():
    long = Track("run", [0, 1, 2, 3], boxes(0))
    short = Track("run", [2, 3, 4], boxes(0)[[2, 3, 3]])
    assert track_overlap(long, short) == pytest.approx(2 / 5)
    assert track_overlap(long, Track("run", [9], boxes(0)[:1])) == 0


@given(
    st.lists(st.tuples(st.integers(0, 99), st.booleans()), max_size=12),
    st.integers(0, 3),
)
def test_average_precision_against_a_plain_loop(ranked, missed):
    ranked = [(score + i / 100, hit) for i, (score, hit) in enumerate(ranked)]
    total = sum(hit for _, hit in ranked) + missed
    scores, hits = [x[0] for x in ranked], [x[1] for x in ranked]
    value = measures.average_precision(np.array(scores), np.array(hits), total)
    if not total:
        assert np.isnan(value)
        return
    by_score = [hit for _, hit in sorted(ranked, reverse=True)]
    expected = 0.0
    for wanted in range(1, total + 1):  # the best precision at each recall
        options = [
            sum(by_score[:n]) / n
            for n in range(1, len(by_score) + 1)
            if sum(by_score[:n]) >= wanted
        ]
        expected += max(options, default=0) / total
    assert value == pytest.approx(expected)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.booleans()), min_size=1),
    st.randoms(use_true_random=False),
)
def test_equal_scores_are_one_threshold_in_any_order(ranked, random):
    def area(rows):
        scores, hits = np.array(rows).T
        return measures.average_precision(scores, hits > 0, len(rows))

    rows = {score: [h for s, h in ranked if s == score] for score, _ in ranked}
    share, best = 0.0, 0.0
    for score in sorted(rows):  # recall from its end, where precision grows
        found = [hit for s, hit in ranked if s >= score]
        best = max(best, sum(found) / len(found))
        share += sum(rows[score]) * best
    moved = random.sample(ranked, len(ranked))
    assert area(ranked) == pytest.approx(share / len(ranked))
    assert area(moved) == pytest.approx(area(ranked), abs=1e-12)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_tied_and_lost_scores_count_the_same_in_any_order(order):
    truths = {"a": [track("run", 0), track("run", 8)], "b": [track("run", 0)]}
    tied = [tube("run", 3, 1.0), tube("run", 0, 1.0), tube("run", 70, 1.0)]
    lost = [tube("run", 0, float("nan")), tube("run", 0, 1.0)]
    lost += [tube("run", 90, 0.5)]
    tubes = {"a": tied[order], "b": lost[order]}
    single = {name: Detections.of_tubes(own) for name, own in tubes.items()}
    # The first is no number, the next four are one threshold: 3 of 5 are hits.
    assert measures.video_ap(tubes, truths, 0.2) == {"run": pytest.approx(0.6)}
    assert measures.frame_ap(single, truths, 0.2)["run"] == pytest.approx(0.6)
    curve = measures.roc(tubes, truths, limit=1.0)
    assert curve.true_positives.tolist() == [0, 0, 0, 1]


@given(st.integers(0, 10**6))
def test_frame_ap_against_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    truths = {"a": [track("run", 0), track("run", 14)]}
    count = 8
    frames = rng.integers(0, 4, count)
    x = rng.integers(-6, 24, count) + frames
    result = np.stack([x, 0 * x, x + 9, 0 * x + 9], axis=1).astype(float)
    scores = rng.permutation(count).astype(float)
    used, hits = set(), []
    for i in np.argsort(-scores):
        shared = {
            n: max(0, 10 - abs(x[i] - frames[i] - left))
            for n, left in enumerate((0, 14))
            if (n, frames[i]) not in used
        }
        best = max(shared, key=shared.get, default=None)
        hit = best is not None and shared[best] / (20 - shared[best]) > 0.5
        hits.append(hit)
        if hit:
            used.add((best, frames[i]))
    expected = measures.average_precision(-np.arange(count), hits, 8)
    detections = Detections(frames, np.repeat("run", count), result, scores)
    assert measures.frame_ap({"a": detections}, truths) == {
        "run": pytest.approx(expected)
    }


# === ROC ===


def test_a_perfect_detector_is_found_before_any_mistake():
    truths = {"a": [track("run", 0)], "b": [track("jump", 0)]}
    tubes = {
        "a": [tube("run", 0, 2.0), tube("jump", 0, -1.0)],
        "b": [tube("jump", 0, 2.0), tube("run", 0, -1.0)],
    }
    curve = measures.roc(tubes, truths, limit=1.0)
    assert curve.true_positives.tolist() == [1, 1]
    assert curve.false_positives.tolist() == [0, 1]
    assert curve.area == 1


def test_no_track_has_no_curve():
    for truths in ({}, {"a": []}):
        assert np.isnan(measures.roc({"a": [tube("run", 0, 1.0)]}, truths).area)


def test_only_the_best_three_tubes_of_a_video_count():
    truths = {"a": [track("run", 0)]}
    wrong = [tube("run", 80 + 20 * i, 9.0 - i) for i in range(3)]
    tubes = {"a": [*wrong, tube("run", 0, 1.0)], "b": [tube("run", 0, 0.0)]}
    assert measures.roc(tubes, truths).true_positives.max() == 0
    curve = measures.roc(tubes, truths, top=4, limit=1.0)
    assert curve.true_positives.max() == 1


def test_a_video_is_found_once():
    truths = {"a": [track("run", 0)]}
    tubes = {"a": [tube("run", 0, 2.0), tube("run", 1, 1.0)]}
    curve = measures.roc(tubes, truths, limit=1.0)
    assert curve.false_positives.tolist() == [0, 1]  # the second is a mistake


def test_accuracy_leaves_out_videos_of_several_actions():
    videos = [
        AnnotatedVideo(name, [track(label, 0) for label in labels])
        for name, labels in (("a", ["run"]), ("b", ["run", "jump"]))
    ]
    tubes = {"a": [tube("jump", 0, 2.0)], "b": [tube("run", 0, 2.0)]}
    assert measuring._accuracy(tubes, videos) == 0
    assert measuring._accuracy(tubes, videos[1:]) is None


@pytest.mark.parametrize("score", [1.0, float("nan")])
@pytest.mark.parametrize("labels", [("run", "jump"), ("jump", "run")])
def test_a_best_tube_must_be_the_only_one(labels, score):
    video = AnnotatedVideo("a", [track("run", 0)])
    one, two = (
        tube(label, 0, score if label == "jump" else 1.0) for label in labels
    )
    assert measuring._accuracy({"a": [one, two]}, [video]) == 0
    assert measuring._accuracy({"a": [tube("run", 0, 1.0)]}, [video]) == 1


@given(st.integers(0, 10**6))
def test_one_class_has_scikit_learn_s_curve(seed):
    rng = np.random.default_rng(seed)
    truths = {str(i): [track("run", 0)] for i in range(6)}
    places = rng.choice([0, 80], 6)
    scores = rng.permutation(6).astype(float)
    tubes = {str(i): [tube("run", places[i], scores[i])] for i in range(6)}
    hits = places == 0
    if hits.all() or not hits.any():
        return
    curve = measures.roc(tubes, truths, limit=1.0)
    false, true, _ = roc_curve(hits, scores, drop_intermediate=False)
    share = hits.mean()  # ours counts videos that were never found, too
    points = {}
    for x, y in zip(false[1:], true[1:] * share, strict=True):
        points.setdefault(round(x, 9), []).append(y)
    ours = zip(curve.false_positives, curve.true_positives, strict=True)
    for x, y in ours:
        assert points[round(x, 9)][0] <= y + 1e-9


def test_areas_below_the_authors_own_curves(shared):
    path = shared / "action_tubes/CNN_UCFsports_myresults.mat"
    stored = loadmat(path, squeeze_me=True, struct_as_record=False)["output"]
    areas = [measures.area_below(x.fpr, x.tpr) for x in stored]
    np.testing.assert_allclose(areas, [x.auc for x in stored], rtol=1e-9)
    assert areas[0] == pytest.approx(0.5618, abs=1e-4)
    assert areas[-1] == pytest.approx(0.4115, abs=1e-4)


def test_curves_are_averaged_at_the_nearest_points():
    first = (np.array([0.0, 0.5]), np.array([0.2, 0.8]))
    second = (np.array([0.2]), np.array([1.0]))
    curve = measures.averaged([first, second])
    assert curve.false_positives.tolist() == [0, 0.2, 0.5]
    # At 0.2 the first curve is nearest at 0 and counts with the next point.
    np.testing.assert_allclose(curve.true_positives, [0.6, 0.9, 0.9])
    assert curve.area == pytest.approx(0.2 * 0.9 + 0.3 * 0.9)
