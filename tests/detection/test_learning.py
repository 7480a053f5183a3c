"""Training a detector: what a batch holds, what SVMs learn from, resuming."""

import dataclasses
import functools
import shutil
import types

import keras
import numpy as np
import pytest
from tiny_detector import OPTIONS, trained

import keras_twostream as kts
from keras_twostream import inspection
from keras_twostream.detection import (
    DetectorSettings,
    RegionSpec,
    Track,
    evaluate_detector,
    geometry,
    train_detector,
)
from keras_twostream.detection import batches as detection_batches
from keras_twostream.detection.batches import RegionBatches
from keras_twostream.detection.cutting import Cutter
from keras_twostream.detection.learning import RegionFeatures
from keras_twostream.detection.store import (
    AnnotatedVideo,
    RegionStore,
    VideoRegions,
    _name,
)
from keras_twostream.errors import SpecError, VideoError, WeightsError
from keras_twostream.training import _progress

pytestmark = pytest.mark.portable

CLASSES = ["bend", "jumping_jack"]


@pytest.fixture
def store(company, detector, tmp_path):
    return filled(company, detector, tmp_path)


def filled(videos, model, folder):
    spec, regions = inspection.clip_spec(model), inspection.region_spec(model)
    store = RegionStore(folder, videos, CLASSES, spec, regions, frames=2)
    store.fill()
    return store


def test_the_store_holds_proposals_true_boxes_and_overlaps(store, company):
    regions = store[0]
    assert regions.frames.shape == (2, 64, 96, 3)
    assert regions.fields.shape == (2, 64, 96, 2)
    true = regions.labels >= 0
    assert true.sum() == 4  # two people in two frames
    for place in (0, 1):
        here = regions.places == place
        for label in (0, 1):
            truth = regions.boxes[here & (regions.labels == label)]
            shared = geometry.overlaps(regions.boxes[here], truth).max(axis=1)
            np.testing.assert_allclose(regions.shared[here, label], shared)
    count = min(map(len, company[0].tracks))
    names = [CLASSES[label] for label in regions.labels[true]]
    for name, box in zip(names[:2], regions.boxes[true][:2], strict=True):
        (track,) = (x for x in company[0].tracks if x.label == name)
        np.testing.assert_allclose(box, track.boxes[count // 4], atol=0.01)


def test_given_boxes_are_brought_to_the_size_of_the_frames():
    none = np.zeros((0, 4), "float32"), np.zeros(0, int)
    store = types.SimpleNamespace(
        _regions=RegionSpec(proposals="boxes", saliency="none"),
        classes=("run",),
        _truth=lambda *_: none,
    )
    footage = types.SimpleNamespace(to_frame=lambda boxes: boxes / 2)
    given = np.array([[10.0, 20, 30, 40]])
    video = types.SimpleNamespace(boxes_given=lambda number: given)
    frame, field = np.zeros((40, 60, 3), "uint8"), np.zeros((40, 60, 2), "f4")
    boxes, _, _ = RegionStore._regions_in(
        store, video, footage, 0, frame, field
    )
    assert boxes.tolist() == [[5, 10, 15, 20]]


def test_regions_in_the_store_are_not_computed_again(
    store, company, monkeypatch
):
    monkeypatch.setattr(RegionStore, "_regions_of", None)
    store.fill()


def test_regions_of_another_flow_are_not_taken_for_these():
    video, spec = AnnotatedVideo("a.mp4", ()), kts.ClipSpec()
    names = {
        _name(video, other, RegionSpec(), 8)
        for other in (
            spec.replace(flow_algorithm="farneback"),
            spec.replace(
                flow_algorithm="farneback", flow_parameters={"levels": 2}
            ),
            spec.replace(flow_algorithm="dis"),
        )
    }
    assert len(names) == 3


def test_a_video_that_cannot_be_read_is_left_out(company, detector, tmp_path):
    gone = AnnotatedVideo("gone.mp4", company[0].tracks)
    store = filled([gone, *company], detector, tmp_path)
    assert len(store) == len(company)
    with pytest.raises(VideoError, match=r"No video can be read.*gone.mp4"):
        filled([gone], detector, tmp_path)


def test_a_label_that_is_no_class_is_refused(company, detector, tmp_path):
    other = dataclasses.replace(company[0].tracks[0], label="fly")
    video = AnnotatedVideo(company[0].path, (other,))
    with pytest.raises(SpecError, match="labelled 'fly'.*bend, jumping_jack"):
        filled([video], detector, tmp_path)


# === Batches ===


def batches(store, model, **options):
    return RegionBatches(
        store, Cutter(model), ["rgb", "flow"], 32, steps=4, **options
    )


def test_a_quarter_of_a_batch_is_foreground(store, detector):
    for index in range(4):
        chosen = batches(store, detector)._chosen(np.random.default_rng(index))
        labels = np.array([label for *_, label in chosen])
        assert (labels[:8] < 2).all() and (labels[8:] == 2).all()


def test_a_recipe_may_ask_for_more_foreground(store, detector):
    half = batches(store, detector, foreground=0.5)
    labels = [label for *_, label in half._chosen(np.random.default_rng(0))]
    assert (np.array(labels[:16]) < 2).all() and labels[16:] == [2] * 16


def test_labels_say_what_each_region_overlaps(store, detector):
    for video, frame, box, label in batches(store, detector)._chosen(
        np.random.default_rng(0)
    ):
        regions = store[video]
        here = (regions.places == frame) & (regions.labels >= 0)
        shared = geometry.overlaps(box[None], regions.boxes[here])[0]
        wanted = 2
        if shared.max() >= 0.5:
            wanted = regions.labels[here][shared.argmax()]
        assert label == wanted


@pytest.mark.agnostic
def test_a_batch_is_a_function_of_its_number(store, detector):
    first = batches(store, detector)[2]
    moved = batches(store, detector)
    moved.start = 2
    again = moved[0]
    other = batches(store, detector)[3]
    for stream in ("rgb", "flow"):
        np.testing.assert_array_equal(first[0][stream], again[0][stream])
        assert not np.array_equal(first[0][stream], other[0][stream])
    assert first[0]["rgb"].shape == (32, 1, 67, 67, 3)
    np.testing.assert_array_equal(first[1]["rgb"], first[1]["flow"])


@pytest.mark.agnostic
def test_a_mirrored_region_has_its_horizontal_motion_reversed(detector):
    cutter = Cutter(detector)
    rng = np.random.default_rng(0)
    frames = rng.uniform(0, 255, (1, 64, 96, 3)).astype("uint8")
    fields = rng.normal(0, 2, (1, 64, 96, 2)).astype("float32")
    place, box = np.zeros(2, int), np.array([[20.0, 10, 60, 50]] * 2)
    batch = cutter(frames, fields, place, box, np.array([False, True]))
    rgb, flow = (
        keras.ops.convert_to_numpy(batch[stream])[:, 0]
        for stream in ("rgb", "flow")
    )
    np.testing.assert_allclose(rgb[1], rgb[0][:, ::-1], atol=1e-3)
    np.testing.assert_allclose(flow[1], flow[0][:, ::-1] * (-1, 1), atol=1e-4)


@pytest.mark.agnostic
def test_outside_the_frame_the_network_sees_zeros(detector):
    frames = np.full((1, 64, 96, 3), 200, "uint8")
    fields = np.full((1, 64, 96, 2), 3.0, "float32")
    cut = Cutter(detector)(
        frames, fields, np.zeros(1, int), np.array([[0.0, 0, 20, 20]])
    )
    entries = [detector.get_layer(f"{x}_input").output for x in cut]
    seen = keras.Model(detector.inputs, entries).predict_on_batch(cut)
    for values in seen:
        values = np.asarray(values)[0, 0]
        np.testing.assert_allclose(values[0, 0], 0, atol=1e-4)
        assert abs(values[40, 40]).max() > 0.1


def test_videos_without_foreground_are_refused(company, detector, tmp_path):
    far = Track("bend", [0], [[0, 0, 1, 1]])
    videos = [AnnotatedVideo(company[0].path, (far,))]
    store = filled(videos, detector, tmp_path)
    with pytest.raises(SpecError, match="overlaps a true box by half"):
        batches(store, detector)


class _Store(list):
    classes = CLASSES


def _regions(places, boxes, shared):
    labels = np.where(np.array(shared).reshape(-1, 2) == 1, [0, 1], -1).max(1)
    return VideoRegions(
        np.zeros((2, 64, 96, 3), "uint8"),
        np.zeros((2, 64, 96, 2), "float16"),
        np.array(boxes, "float32").reshape(-1, 4),
        np.array(places, int),
        labels,
        np.array(shared, "float32").reshape(-1, 2),
    )


def test_frames_and_videos_without_regions_are_not_drawn(detector):
    """Boxes of a tracker are not in every frame."""
    box = [10, 10, 40, 50]
    store = _Store(
        [
            _regions([0], [box], [[1, 0]]),
            _regions([1], [box], [[0.1, 0]]),
            _regions([], [], []),
        ]
    )
    drawn = batches(store, detector)
    for index in range(8):
        chosen = drawn._chosen(np.random.default_rng(index))
        assert {x[:2] for x in chosen} <= {(0, 0), (1, 1)}


# === The classifiers ===


@pytest.mark.agnostic
def test_features_are_brought_to_a_mean_norm_of_twenty(store, detector):
    features = RegionFeatures(detector)
    scales = [detector.get_layer(f"{x}_scale") for x in ("rgb", "flow")]
    before = [layer.get_weights() for layer in scales]
    features.scale(features.mean_norms(store))
    result = [
        features.of(store[i], np.flatnonzero(store[i].places == 0))
        for i in range(len(store))
    ]
    for part in np.split(np.concatenate(result), 2, axis=1):
        norms = np.linalg.norm(part, axis=1)
        assert norms.mean() == pytest.approx(20, rel=1e-3)
    for layer, weights in zip(scales, before, strict=True):
        layer.set_weights(weights)


@pytest.mark.agnostic
def test_a_detector_is_one_model_that_saves_and_loads(detector, tmp_path):
    rng = np.random.default_rng(0)
    batch = {
        "rgb": rng.uniform(0, 255, (3, 1, 67, 67, 3)).astype("float32"),
        "flow": rng.normal(0, 2, (3, 1, 67, 67, 2)).astype("float32"),
    }
    before = np.asarray(detector.predict_on_batch(batch))
    folder = kts.save_pretrained(detector, tmp_path / "model", license="mit")
    again = kts.load(f"local:{folder}")
    np.testing.assert_allclose(
        np.asarray(again.predict_on_batch(batch)), before, rtol=1e-4, atol=1e-5
    )
    assert inspection.class_names(again) == CLASSES
    assert inspection.head_is_trained(detector)
    assert inspection.region_spec(again) == inspection.region_spec(detector)
    assert inspection.region_spec(again) == RegionSpec.from_json(
        OPTIONS["regions"]
    ).replace(saliency="none", voting=0.5)


def test_videos_that_cannot_be_read_leave_nothing(company, tmp_path):
    out = tmp_path / "new" / "run"
    gone = [dataclasses.replace(x, path=f"gone{x.path}") for x in company]
    with pytest.raises(VideoError, match="No video can be read"):
        trained(gone, out)
    assert not list(tmp_path.iterdir())


def test_a_finished_run_is_not_repeated(
    company, detector, run_folder, monkeypatch
):
    monkeypatch.setattr(keras.Model, "fit", None)
    again = trained(company, run_folder)
    for mine, theirs in zip(again.weights, detector.weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(mine), keras.ops.convert_to_numpy(theirs)
        )


def relabelled(videos, names):
    return [
        dataclasses.replace(
            video,
            tracks=tuple(
                dataclasses.replace(track, label=names[track.label])
                for track in video.tracks
            ),
        )
        for video in videos
    ]


def test_a_finished_run_takes_no_other_classes_videos_or_settings(
    company, detector, run_folder
):
    """Its classifiers would answer under the new names."""
    others = {"bend": "wave", "jumping_jack": "jump"}
    swapped = {"bend": "jumping_jack", "jumping_jack": "bend"}
    with pytest.raises(WeightsError, match=r"other classes: \['bend', .*jump"):
        trained(relabelled(company, others), run_folder)
    with pytest.raises(WeightsError, match="other training videos"):
        trained(relabelled(company, swapped), run_folder)
    with pytest.raises(WeightsError, match=r"other option\.width: 0\.02 then"):
        trained(company, run_folder, width=0.03)
    with pytest.raises(WeightsError, match="other network: None then"):
        trained(company, run_folder, network=detector)


def test_a_folder_with_another_network_is_refused(
    company, run_folder, detector, tmp_path
):
    shutil.copy(run_folder / "network.npz", tmp_path)
    with pytest.raises(
        WeightsError, match="another network than the one asked"
    ):
        trained(company, tmp_path, width=0.03)


def test_boxes_that_are_not_in_the_video_are_refused(
    company, detector, tmp_path
):
    path, (track, *_) = company[0].path, company[0].tracks
    shares = Track("bend", track.frames, track.boxes / (96, 64, 96, 64))
    large = Track("bend", track.frames, track.boxes * 20)
    late = Track("bend", track.frames + 10_000, track.boxes)
    for wrong, words in (
        (shares, "between 0 and 1.*in pixels of the video, which is 96x64"),
        (large, "outside of the picture"),
        (late, r"begin in frame 10000, and it has \d+ frames"),
    ):
        videos = [AnnotatedVideo(path, (wrong,))]
        with pytest.raises(SpecError, match=words):
            filled(videos, detector, tmp_path)
        with pytest.raises(SpecError, match=words):
            evaluate_detector(detector, videos)


def test_a_detector_of_given_boxes_needs_some_in_its_videos(company, tmp_path):
    words = "none of the 3 videos has any.*AnnotatedVideo"
    with pytest.raises(SpecError, match=words):
        trained(company, tmp_path, regions={"proposals": "boxes"})


def test_a_class_that_every_region_shows_is_refused(
    company, detector, tmp_path
):
    """Its SVM would be zeros, and every box 0 margins from it."""
    same = relabelled(company, dict.fromkeys(CLASSES, "person"))
    videos = [dataclasses.replace(x, given=x.tracks) for x in same]
    with pytest.raises(SpecError, match="training videos shows person"):
        trained(
            videos,
            tmp_path,
            network=detector,
            regions={**OPTIONS["regions"], "proposals": "boxes"},
        )


def test_tracks_that_no_detection_can_match_are_refused(company, detector):
    other = relabelled(company, {"bend": "Bend", "jumping_jack": "run"})
    with pytest.raises(SpecError, match="tracks of Bend, run, and.*bend, jump"):
        evaluate_detector(detector, other)


def test_videos_without_tracks_have_nothing_to_learn(company, tmp_path):
    for videos in ([], [AnnotatedVideo(company[0].path, ())]):
        with pytest.raises(SpecError, match="no track, so there is no action"):
            trained(videos, tmp_path)


def test_measures_of_no_video_are_refused(company, detector):
    gone = AnnotatedVideo("gone.mp4", company[0].tracks)
    for videos, words in (
        ([gone], "read.*gone.mp4"),
        ([], "the list has none"),
    ):
        with pytest.raises(VideoError, match=f"[Nn]o video .*{words}"):
            evaluate_detector(detector, videos)


@pytest.mark.parametrize(
    "name, value",
    [
        ("frames", 0),
        ("steps", -1),
        ("batch_size", 0),
        ("cost", 0),
        ("seed", -1),
    ],
)
def test_settings_without_sense_are_refused(name, value):
    with pytest.raises(SpecError, match=f"`{name}` must be"):
        DetectorSettings(**{name: value})


def test_the_svms_of_one_stream_are_trained_on_anothers_network(
    company, detector, tmp_path, monkeypatch
):
    monkeypatch.setattr(keras.Model, "fit", None)
    alone = trained(company, tmp_path, network=detector, streams=("flow",))
    assert inspection.clip_spec(alone).streams == ("flow",)
    for name in ("flow_conv1", "flow_fc7"):
        mine, theirs = (
            model.get_layer(name).get_weights() for model in (alone, detector)
        )
        np.testing.assert_array_equal(mine[0], theirs[0])
    assert alone.layers[-1].kernel.shape[0] < detector.layers[-1].input.shape[1]


def test_a_network_of_another_width_is_refused(company, detector, tmp_path):
    with pytest.raises(WeightsError, match="no layer .* of this shape"):
        trained(company, tmp_path, network=detector, width=0.03)


def test_every_epoch_has_batches_of_its_own(company, tmp_path, monkeypatch):
    """A data set of Keras starts anew with each epoch."""
    seen, read = [], []
    draw, pools = RegionBatches.__getitem__, detection_batches._pools

    def drawn(batches, index):
        seen.append(batches.start + index)
        return draw(batches, index)

    def counted(store):
        read.append(store)
        return pools(store)

    monkeypatch.setattr(RegionBatches, "__getitem__", drawn)
    monkeypatch.setattr(detection_batches, "_pools", counted)
    monkeypatch.setattr("keras_twostream.detection.learning._EPOCH", 2)
    monkeypatch.setattr(
        "keras_twostream.detection.learning.counted",
        functools.partial(_progress.counted, every_seconds=0),
    )
    settings = DetectorSettings(frames=2, steps=6, batch_size=8)
    lines = []
    train_detector(
        company,
        tmp_path,
        settings=settings,
        recipe="action_tubes_actors",
        report=lines.append,
        **OPTIONS,
    )
    assert set(range(6)) <= set(seen)
    assert len(read) == 1  # the regions of all videos, from the disk
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert [line.split()[1] for line in epochs] == ["1/3", "2/3", "3/3"]
    assert epochs[1].endswith(" left")
    count = len(company)
    for stage, total in (("regions of ", count), ("SVMs, ", 2 * count)):
        said = [line for line in lines if line.startswith(stage)]
        assert [line.split(",")[-2].split()[-1] for line in said] == [
            f"{done + 1}/{total}" for done in range(total)
        ]
