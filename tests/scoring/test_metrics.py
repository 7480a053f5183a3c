"""Metrics and fusion of scores, against values worked by hand."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score

from keras_twostream import training
from keras_twostream.errors import SpecError
from keras_twostream.training import VideoScores

LABELS = np.array([0, 1, 2, 2])
RGB = np.array(
    [[3.0, 0, 0], [0, 3.0, 0], [3.0, 0, 2.0], [0, 3.0, 2.0]], "float32"
)
SHARES = np.array([[0.6, 0.4, 0.0]] * 4)
FLOW = np.array([[0, 2.0, 0], [0, 2.0, 0], [0, 0, 9.0], [0, 0, 9.0]], "float32")


def test_accuracies_by_hand():
    report = training.accuracy_report(RGB, LABELS)
    assert report == {"top1": 0.5, "mean_class": 2 / 3}
    assert training.confusion_matrix(RGB, LABELS).tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [1, 1, 0],
    ]


def test_the_five_best_count_where_there_are_more_classes():
    scores = np.tile(np.arange(7.0), (4, 1))
    report = training.accuracy_report(scores, np.array([6, 2, 1, 0]))
    assert (report["top1"], report["top5"]) == (0.25, 0.5)


def test_scores_show_their_accuracies():
    scores = VideoScores(list("abcd"), LABELS, {"rgb": RGB, "flow": FLOW})
    assert repr(scores) == (
        "<VideoScores of 4 videos: top1 100.0%, mean_class 100.0%>"
    )
    shown = scores._repr_html_()
    assert "50.0%" in shown and "75.0%" in shown and shown.count("<tr>") == 4
    unknown = VideoScores(["a"], np.array([-1]), {"rgb": RGB[:1]})
    assert "labels unknown" in repr(unknown)
    assert "labels unknown" in unknown._repr_html_()


def test_constant_scores_are_not_right_by_accident():
    report = training.accuracy_report(np.zeros((4, 7)), LABELS)
    assert set(report.values()) == {0.0}


# Scores of few values have many ties.
SCORES = arrays(
    "float32", (9, 4), elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0])
)


@settings(max_examples=30)
@given(SCORES, arrays(int, 9, elements=st.integers(-1, 3)))
def test_the_confusion_has_the_right_answers_on_its_diagonal(scores, labels):
    assume((labels >= 0).any())
    right = training.confusion_matrix(scores, labels).trace()
    top1 = training.accuracy_report(scores, labels)["top1"]
    assert right == pytest.approx(top1 * np.sum(labels >= 0))


def test_scores_that_are_no_numbers_are_not_right():
    lost = np.full((4, 3), np.nan)
    report = training.accuracy_report(lost, np.arange(4) % 3)
    assert set(report.values()) == {0.0}
    assert training.confusion_matrix(lost, np.arange(4) % 3).sum() == 0
    half = np.where(np.arange(4)[:, None] < 2, np.eye(3)[LABELS], np.nan)
    report = training.accuracy_report(half, LABELS)
    assert report["mean_class"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], np.eye(4)])
def test_labels_are_of_classes_that_have_scores(labels):
    with pytest.raises(
        SpecError, match=r"label 3: classes are numbered from 0 to 2|of 4"
    ):
        training.accuracy_report(RGB, np.array(labels))


@pytest.mark.parametrize(
    "labels", [np.full(len(LABELS), -1), np.zeros((len(LABELS), RGB.shape[1]))]
)
def test_nothing_known_is_nothing_to_measure(labels):
    with pytest.raises(SpecError, match="videos none has a label"):
        training.accuracy_report(RGB, labels)


@pytest.mark.parametrize(
    "measure, labels",
    [
        (training.confusion_matrix, np.eye(4, 3)),
        (training.class_recall, np.eye(4, 3)),
        (training.average_precision, LABELS),
        (lambda rows, truth: training.sweep({"a": rows}, truth), np.eye(4, 3)),
    ],
)
def test_measures_refuse_labels_of_another_shape(measure, labels):
    with pytest.raises(SpecError, match=r"the shape \(videos.* `accuracy_rep"):
        measure(RGB, labels)


def test_labels_of_no_class_are_in_no_cell_of_the_confusion():
    with pytest.raises(SpecError, match="number 3 has the label 3"):
        training.confusion_matrix(RGB, np.array([0, 1, 2, 3]))


def test_the_recall_of_a_class_without_videos_is_unknown():
    recall = training.class_recall(RGB, np.array([0, 1, 1, 1]))
    np.testing.assert_array_equal(recall, [1.0, 2 / 3, np.nan])


def test_weights_of_nothing_are_refused():
    with pytest.raises(SpecError, match="add up to more than 0"):
        training.fuse({"rgb": np.eye(3)}, {"rgb": 0.0})


def test_the_best_scores_are_fused_by_the_weights():
    scores = {"rgb": np.eye(2), "flow": 2 * np.eye(2)[::-1]}
    kept = VideoScores(list("ab"), np.arange(2), scores)
    assert kept.best({"rgb": 3.0}).argmax(1).tolist() == [0, 1]
    assert kept.best().argmax(1).tolist() == [1, 0]
    assert kept.report({"rgb": 3.0})["fused"]["top1"] == 1.0


def test_the_networks_own_fusion_stays():
    scores = {"rgb": np.eye(2), "fused": np.eye(2)[::-1]}
    kept = VideoScores(list("ab"), np.arange(2), scores)
    assert kept.best({"rgb": 3.0}).argmax(1).tolist() == [1, 0]
    assert kept.report({"rgb": 3.0})["fused"]["top1"] == 0.0


def test_fusion_weighs_the_streams():
    fused = training.fuse({"rgb": RGB, "flow": FLOW}, {"flow": 3.0})
    np.testing.assert_allclose(fused, (RGB + 3 * FLOW) / 4)


def test_weight_of_no_stream_is_refused():
    with pytest.raises(SpecError, match="'flwo'.*Did you mean flow"):
        training.fuse({"rgb": RGB, "flow": FLOW}, {"flwo": 3.0})


def test_softmax_fusion_gives_probabilities():
    fused = training.fuse({"rgb": RGB, "flow": FLOW}, method="softmax")
    np.testing.assert_allclose(fused.sum(axis=1), 1.0)
    assert training.accuracy_report(fused, LABELS)["top1"] == 1.0


def test_sci_fusion_listens_to_the_surer_stream():
    sure, torn = np.array([[0.9, 0.1, 0.0]]), np.array([[0.1, 0.5, 0.4]])
    streams = {"rgb": sure, "flow": torn}
    fused = training.fuse(streams, kind="softmax", method="sci")
    # (3 x 0.9 - 1) / 2 = 0.85 and (3 x 0.5 - 1) / 2 = 0.25.
    np.testing.assert_allclose(
        fused, (0.85 * sure + 0.25 * torn) / 1.1, atol=1e-6
    )


def test_sweep_finds_the_best_weights():
    rows = training.sweep({"rgb": RGB, "flow": FLOW}, LABELS)
    assert rows[0]["top1"] == 1.0
    assert {row["method"] for row in rows} == {"logits", "softmax", "sci"}


def test_videos_of_several_labels_have_a_report():
    truth = np.array([[1, 0], [1, 1], [0, 1]])
    scores = np.array([[0.9, 0.8], [0.8, 0.9], [0.1, 0.7]])
    report = training.accuracy_report(scores, truth)
    assert report["mean_average_precision"] == pytest.approx(
        (1.0 + (1.0 + 2 / 3) / 2) / 2
    )


def test_probabilities_do_not_become_logits():
    shares = np.array([[0.7, 0.2, 0.1]])
    with pytest.raises(SpecError, match="their logits are not known"):
        training.fuse({"rgb": shares}, kind="softmax", method="logits")


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        ({"rgb": RGB}, {"kind": "softmax"}, "'softmax'.*rgb look like logits"),
        ({"rgb": RGB, "flow": SHARES}, {}, "flow look like probabilities"),
        ({"flow": SHARES}, {"method": "softmax"}, "look like probabilities"),
    ],
)
def test_probabilities_are_not_fused_with_logits(scores, options, message):
    with pytest.raises(SpecError, match=message):
        training.fuse(scores, **options)


def test_scores_of_weight_0_are_left_out():
    lost = {"rgb": RGB, "flow": FLOW * np.nan}
    np.testing.assert_allclose(training.fuse(lost, {"flow": 0}), RGB)


@pytest.mark.parametrize(
    "labels", [[0, 1, 2], [0] * 5, 0, ["a"] * 4, [0.5] * 4]
)
def test_every_video_has_the_number_of_a_class(labels):
    with pytest.raises(SpecError, match="needs a label|number of a class"):
        training.accuracy_report(RGB, np.array(labels))


def test_an_svm_leaves_scores_that_are_no_numbers_unknown():
    lost = RGB.copy()
    lost[1, 0] = np.nan
    scores = training.svm_fusion({"rgb": RGB}, LABELS, {"rgb": lost})
    assert np.isnan(scores).any(axis=1).tolist() == [False, True, False, False]


def test_shapes_must_agree():
    with pytest.raises(SpecError, match="need one shape"):
        training.fuse({"rgb": RGB, "flow": FLOW[:2]})


def test_svm_learns_which_stream_to_trust():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    streams = {
        "rgb": rng.normal(size=(300, 3)),
        "flow": np.eye(3)[labels] + 0.2 * rng.normal(size=(300, 3)),
    }
    train = {name: item[:200] for name, item in streams.items()}
    test = {name: item[200:] for name, item in streams.items()}
    scores = training.svm_fusion(train, labels[:200], test)
    svm = training.accuracy_report(scores, labels[200:])["top1"]
    mean = training.accuracy_report(training.fuse(test), labels[200:])["top1"]
    assert svm > 0.95 > mean


def test_svm_needs_the_same_streams():
    with pytest.raises(SpecError, match="need the same streams"):
        training.svm_fusion({"rgb": RGB}, LABELS, {"flow": FLOW})


@pytest.mark.parametrize(
    "rows, labels, message",
    [
        (RGB[:, :2], LABELS, "need the same streams.*'rgb': 2"),
        (RGB * np.nan, LABELS, "not a finite number"),
        (RGB, np.array([1, -1, 1, 1]), "of two classes or more"),
    ],
)
def test_an_svm_says_why_it_cannot_learn(rows, labels, message):
    with pytest.raises(SpecError, match=message):
        training.svm_fusion({"rgb": rows}, labels, {"rgb": RGB})


def test_an_svm_scores_classes_beyond_the_width_of_features():
    labels = np.array([0, 9, 0, 9])
    scores = training.svm_fusion({"fc": RGB}, labels, {"fc": RGB})
    assert scores.shape == (4, 10)


def test_saved_scores_come_back(tmp_path):
    scores = VideoScores(
        ["a", "b", "c", "d"], LABELS, {"rgb": RGB, "flow": FLOW}, "logits",
        ["x", "y", "z"],
    )  # fmt: skip
    scores.save(tmp_path / "scores.npz")
    loaded = training.load_scores(tmp_path / "scores.npz")
    assert loaded.names == scores.names and loaded.classes == scores.classes
    np.testing.assert_array_equal(loaded.scores["flow"], FLOW)
    assert loaded.report() == scores.report()


def test_videos_without_a_label_are_left_out():
    scores = np.eye(3)[[0, 1, 1]]
    report = training.accuracy_report(scores, np.array([0, -1, 2]))
    assert report["top1"] == report["mean_class"] == 0.5


def test_what_is_not_labelled_counts_nowhere():
    scores = {"rgb": np.eye(3)[[0, 1, 2]], "flow": np.eye(3)[[0, 1, 0]]}
    labels = np.array([0, 1, -1])
    assert training.sweep(scores, labels)[0]["top1"] == 1.0
    matrix = training.confusion_matrix(scores["rgb"], labels)
    np.testing.assert_array_equal(matrix, np.diag([1, 1, 0]))
    recall = training.class_recall(scores["rgb"], labels)
    np.testing.assert_array_equal(recall, [1, 1, np.nan])
    fused = training.svm_fusion(scores, labels, scores)
    np.testing.assert_array_equal(fused[:2].argmax(axis=1), [0, 1])


def test_average_precision_by_class():
    scores = np.array([[0.9, 0.1, 0.0], [0.8, 0.7, 0.0], [0.1, 0.6, 0.0]])
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
    result = training.average_precision(scores, labels)
    np.testing.assert_allclose(result, [(1 + 2 / 3) / 2, 1.0, np.nan])


@settings(max_examples=30)
@given(
    arrays("float32", (9, 4), elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0])),
    arrays(int, (9, 4), elements=st.integers(0, 1)),
    st.permutations(range(9)),
)
def test_tied_scores_are_one_threshold_as_in_scikit_learn(scores, truth, order):
    areas = training.average_precision(scores, truth)
    for shown, score, area in zip(truth.T, scores.T, areas, strict=True):
        assert (
            area == pytest.approx(average_precision_score(shown, score))
            if shown.any()
            else np.isnan(area)
        )
    moved = training.average_precision(scores[order], truth[order])
    np.testing.assert_allclose(moved, areas, rtol=1e-12)


@given(st.permutations(range(12)), st.integers(1, 2**12 - 1))
def test_scores_without_ties_keep_their_average_precision(ranks, shown):
    truth = np.array([shown >> place & 1 for place in range(12)])
    ranked = truth[np.argsort(ranks)[::-1]]
    places = np.flatnonzero(ranked) + 1
    expected = np.mean(np.arange(1, len(places) + 1) / places)
    scores = np.array(ranks, float)[:, None]
    assert training.average_precision(scores, truth[:, None])[0] == expected


@settings(max_examples=30)
@given(
    SCORES,
    arrays(int, (9, 4), elements=st.integers(0, 1)),
    arrays(bool, 9),
)
def test_scores_that_are_no_numbers_never_raise_the_precision(
    scores, truth, lost
):
    assume(truth.any())
    (before,) = training.accuracy_report(scores, truth).values()
    scores[lost, 1] = np.nan
    (after,) = training.accuracy_report(scores, truth).values()
    assert after <= before + 1e-12 and (after == 0 or not lost.all())


def test_lists_are_measured_as_arrays_are():
    scores, labels = [[0.1, 0.9], [0.8, 0.2], [0.6, 0.4]], [1, 0, 1]
    assert training.accuracy_report(scores, labels)["top1"] == 2 / 3
    assert training.confusion_matrix(scores, labels).tolist() == [
        [1, 0],
        [1, 1],
    ]
    fused = training.fuse({"rgb": scores, "flow": scores}, kind="softmax")
    np.testing.assert_allclose(fused, scores)


def test_the_scores_of_one_video_need_its_axis():
    with pytest.raises(SpecError, match=r"\(videos, classes\).*shape \(2,\)"):
        training.accuracy_report(np.array([0.1, 0.9]), [1])


def test_videos_of_several_classes_without_any_are_not_labelled():
    scores = {"rgb": np.ones((2, 3))}
    unknown = VideoScores(["a", "b"], np.zeros((2, 3), int), scores)
    assert "labels unknown" in repr(unknown)
    assert "labels unknown" in unknown._repr_html_()
