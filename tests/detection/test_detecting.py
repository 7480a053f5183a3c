"""From scored regions to tubes, with a classifier whose answers are known."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import keras_twostream as kts
from keras_twostream import detection, inspection
from keras_twostream.detection import Track, geometry
from keras_twostream.detection import detecting as module
from keras_twostream.detection.cutting import Cutter, run_on_regions
from keras_twostream.detection.detecting import FrameScores, chosen, tubes_of
from keras_twostream.detection.footage import Footage
from keras_twostream.errors import SpecError, UntrainedHeadError

TRUTH = {
    "bend": Track("bend", range(6), [[4 + t, 8, 23 + t, 50] for t in range(6)]),
    "jumping_jack": Track(
        "jumping_jack", range(6), [[60, 6 + t, 84, 48 + t] for t in range(6)]
    ),
}
FRAMES = np.random.default_rng(0).integers(0, 255, (6, 64, 96, 3), np.uint8)


def build(**regions):
    """A detector with random weights, which says that it is trained."""
    model = kts.models.action_tubes(
        2,
        head="svm",
        width=0.02,
        clip_spec={
            "crop": (67, 67),
            "short_side": 64,
            "flow_algorithm": "farneback",
        },
        regions={"saliency": "none", **regions},
    )
    inspection.update_card(model, classes=list(TRUTH), head_trained=True)
    return model


def knows(monkeypatch):
    """Regions score by their overlap with the truth: -1 to 1."""
    number = iter(range(100))

    def scores(model, cutter, frames, fields, places, boxes):
        time = next(number)
        return np.stack(
            [
                2 * geometry.overlaps(boxes, track.boxes[time][None])[:, 0] - 1
                for track in TRUTH.values()
            ],
            axis=1,
        )

    monkeypatch.setattr(module, "run_on_regions", scores)


def given():
    """The true boxes of each frame, and one where nobody is."""
    nobody = [30, 20, 50, 40]
    people = TRUTH.values()
    return [[*(x.boxes[t] for x in people), nobody] for t in range(6)]


@pytest.mark.agnostic
def test_threads_may_ask_one_detector():
    model = build()
    cutter, fields = Cutter(model), np.zeros((6, 64, 96, 2), "float32")
    boxes = np.array([[4, 8, 23, 50], [60, 6, 84, 48]])

    def answer(place):
        places = np.array([place, place])
        return run_on_regions(model, cutter, FRAMES, fields, places, boxes)

    places = list(range(6)) * 2
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(answer, places))
    for place, scores in zip(places, found, strict=True):
        np.testing.assert_allclose(scores, answer(place), atol=1e-4)


def test_tubes_are_the_true_tracks(monkeypatch):
    knows(monkeypatch)
    tubes = detection.detect(FRAMES, build(proposals="boxes"), boxes=given())
    assert sorted(tube.label for tube in tubes) == ["bend", "jumping_jack"]
    for tube in tubes:
        assert tube.frames.tolist() == list(range(6))
        np.testing.assert_allclose(tube.boxes, TRUTH[tube.label].boxes)
        assert tube.confidence == pytest.approx(1.0)
        shared = geometry.aligned_overlaps(tube.boxes[1:], tube.boxes[:-1])
        assert tube.score == pytest.approx((5 * 2 + shared.sum()) / 6)


def test_every_path_is_there_without_a_threshold(monkeypatch):
    knows(monkeypatch)
    tubes = detection.detect(
        FRAMES, build(proposals="boxes"), boxes=given(), threshold=None
    )
    assert len(tubes) == 6  # three boxes a frame, two classes
    scores = [tube.score for tube in tubes]
    assert scores == sorted(scores, reverse=True)


def test_tracks_of_a_tracker_stand_in_for_proposals(monkeypatch):
    knows(monkeypatch)
    people = [Track("person", x.frames, x.boxes) for x in TRUTH.values()]
    tubes = detection.detect(FRAMES, build(proposals="boxes"), boxes=people)
    assert sorted(tube.label for tube in tubes) == sorted(TRUTH)


def test_our_own_windows_are_linked_too(monkeypatch):
    knows(monkeypatch)
    tubes = detection.detect(
        FRAMES, build(limit=400), threshold=None, exclusive=True
    )
    for label, track in TRUTH.items():
        best = next(tube for tube in tubes if tube.label == label)
        assert detection.track_overlap(best, track) > 0.5


def test_boxes_are_in_pixels_of_the_video(monkeypatch):
    """The same video at twice the size has tubes at twice the size."""
    knows(monkeypatch)
    large = FRAMES.repeat(2, axis=1).repeat(2, axis=2)
    boxes = [
        [(2 * box[0], 2 * box[1], 2 * box[2] + 1, 2 * box[3] + 1) for box in x]
        for x in np.array(given())
    ]
    tubes = detection.detect(large, build(proposals="boxes"), boxes=boxes)
    for tube in tubes:
        small = TRUTH[tube.label].boxes
        np.testing.assert_allclose(tube.boxes[:, :2], 2 * small[:, :2])
        np.testing.assert_allclose(tube.boxes[:, 2:], 2 * small[:, 2:] + 1)


def test_scores_that_are_no_numbers_are_no_tubes(monkeypatch):
    def scores(model, cutter, frames, fields, places, boxes):
        return np.full((len(boxes), 2), np.nan, "float32")

    monkeypatch.setattr(module, "run_on_regions", scores)
    with pytest.raises(UntrainedHeadError, match="no numbers"):
        detection.detect(FRAMES, build(proposals="boxes"), boxes=given())


def test_a_frame_without_regions_ends_a_tube():
    model = build()
    box, scores = np.array([[0.0, 0, 9, 9]]), np.array([[1.0, -1.0]])
    none = np.zeros((0, 4)), np.zeros((0, 2))
    frames = [
        FrameScores(t, *(none if t == 2 else (box, scores))) for t in range(5)
    ]
    seconds = np.array([0, 0.04, 0.08, 0.5, 0.54, 0.58])  # no even steps
    tubes = [x for x in tubes_of(frames, model, seconds) if x.label == "bend"]
    spans = sorted(x.frames.tolist() for x in tubes)
    assert spans == [[0, 1], [3, 4]]
    assert sorted(x.seconds for x in tubes) == [(0, 0.08), (0.5, 0.58)]
    (later,) = (x.to_json() for x in tubes if x.frames[0] == 3)
    assert (later["start"], later["end"]) == (0.5, 0.58)


def test_frames_behind_the_last_given_boxes_have_none():
    footage = Footage(FRAMES, inspection.clip_spec(build()))
    boxes_of = module._boxes_by_frame([[(0, 0, 9, 9)], []], footage)
    assert [len(boxes_of(number)) for number in range(4)] == [1, 0, 0, 0]


def test_overlap_counts_as_much_as_the_regions_say():
    """Without it, the better score wins over the box that stays in place."""
    near, far = [0.0, 0, 9, 9], [40.0, 40, 49, 49]
    frames = [
        FrameScores(0, np.array([near]), np.array([[1.0, -1.0]])),
        FrameScores(1, np.array([near, far]), np.array([[0.5, -1], [1.0, -1]])),
    ]
    for weight, wanted in ((0.0, far), (2.0, near)):
        tubes = tubes_of(frames, build(link_weight=weight))
        best = next(x for x in tubes if x.label == "bend")
        assert best.boxes[1].tolist() == wanted


def test_an_exclusive_person_does_their_best_action_only():
    model = build()
    box, scores = np.array([[0.0, 0, 9, 9]]), np.array([[0.5, 1.0]])
    tubes = tubes_of([FrameScores(t, box, scores) for t in range(3)], model)
    assert [x.label for x in chosen(tubes, 0.0)] == ["jumping_jack", "bend"]
    (only,) = chosen(tubes, 0.0, exclusive=True)
    assert only.label == "jumping_jack"
    assert chosen(tubes, 1.1) == []


def test_the_likeliest_action_of_a_single_frame_is_kept():
    box = np.array([[0.0, 0, 9, 9]])
    frame = FrameScores(0, box, np.array([[-0.4, 0.4]]))
    (tube,) = chosen(tubes_of([frame], build()), None, exclusive=True)
    assert tube.label == "jumping_jack"
    assert tube.score == tube.confidence == pytest.approx(0.4)


@pytest.mark.parametrize("kind", ["int64", "float32", "float64"])
def test_frames_of_any_number_are_those_of_bytes(kind):
    spec = kts.ClipSpec(short_side=64, flow_algorithm="farneback")
    wanted, seen = (
        list(Footage(x, spec)) for x in (FRAMES, FRAMES.astype(kind))
    )
    for (_, frame, field), (_, other, motion) in zip(wanted, seen, strict=True):
        assert other.dtype == np.uint8
        np.testing.assert_array_equal(frame, other)
        np.testing.assert_array_equal(field, motion)


def test_a_threshold_that_is_no_number_is_refused():
    with pytest.raises(SpecError, match="`threshold` must .*threshold=nan"):
        detection.detect(FRAMES, build(), threshold=float("nan"))
    with pytest.raises(SpecError, match="`threshold` must lie between 0 and 1"):
        detection.evaluate_detector(build(), [], threshold=50)


def test_a_video_that_is_measured_twice_is_refused():
    """The tracks of the second would take the place of the first's."""
    videos = [detection.AnnotatedVideo("a.mp4", (x,)) for x in TRUTH.values()]
    with pytest.raises(SpecError, match=r"a\.mp4 is in the list twice"):
        detection.evaluate_detector(build(), videos)


def test_frames_that_are_none_are_refused():
    spec = inspection.clip_spec(build())
    for shape in ((32, 32, 3), (4, 32, 32, 1)):
        with pytest.raises(SpecError, match=r"must be a \(T, H, W, 3\) array"):
            Footage(np.zeros(shape, "uint8"), spec)
    with pytest.raises(SpecError, match="one frame at least"):
        Footage(np.zeros((0, 32, 32, 3), "uint8"), spec)


def test_what_is_no_trained_detector_is_refused():
    network = kts.models.action_tubes(
        3, width=0.02, clip_spec={"crop": (67, 67)}
    )
    with pytest.raises(SpecError, match="has no SVMs yet.*train_detector"):
        detection.detect(FRAMES, network)
    fresh = build()
    inspection.update_card(fresh, head_trained=False)
    with pytest.raises(UntrainedHeadError, match="classifier .* is random"):
        detection.detect(FRAMES, fresh)
    with pytest.raises(SpecError, match="trained on the proposals 'windows'"):
        detection.detect(FRAMES, build(), boxes=given())
    with pytest.raises(SpecError, match=r"\(T, H, W, 3\) array"):
        detection.detect(FRAMES[0], build())


def test_tubes_as_json(monkeypatch):
    knows(monkeypatch)
    tube = detection.detect(FRAMES, build(proposals="boxes"), boxes=given())[0]
    values = tube.to_json()
    assert values["label"] == tube.label and len(values["boxes"]) == 6
    assert "start" not in values  # frames have no clock
