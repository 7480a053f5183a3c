"""Evaluation: scores of videos against those of their views."""

import keras
import numpy as np
import pytest
from foreign_layouts import moving_frames, true_fields, write_layout

from keras_twostream import training
from keras_twostream._opencv import cv2
from keras_twostream.data import clips, read_annotations
from keras_twostream.errors import (
    MissingLibraryError,
    SpecError,
    UnknownNameError,
    VideoError,
)
from keras_twostream.inspection import clip_spec, update_card
from keras_twostream.scoring import view_batches
from keras_twostream.scoring.view_batches import ViewReader

pytestmark = pytest.mark.portable


@pytest.mark.agnostic
@pytest.mark.parametrize(
    "crops", ["3-crop", "4-crop", "10-crop", "whole_mirrored"]
)
def test_scores_are_the_mean_over_views(build, items, crops):
    model = build()
    scores = training.evaluate_videos(
        model, items[:3], num_clips=3, crops=crops, batch_size=4, workers=1
    )
    for number, (path, _) in enumerate(items[:3]):
        views = clips(path, clip_spec(model), 3, crops=crops)
        expected = np.mean(model.predict_on_batch(views), axis=0)
        np.testing.assert_allclose(
            scores.scores["fused"][number], expected, atol=1e-5
        )
    mean = (scores.scores["rgb"] + scores.scores["flow"]) / 2
    np.testing.assert_allclose(scores.scores["fused"], mean, atol=1e-5)


def probabilities(model, path, count):
    """Return the class probabilities of each of a video's clips."""
    logits = model.predict_on_batch(clips(path, clip_spec(model), count))
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


@pytest.mark.agnostic
def test_softmax_fusion_averages_probabilities(build, items):
    model = build(clip_spec={"score_fusion": "softmax"}, streams=("rgb",))
    scores = training.evaluate_videos(
        model, items[:2], num_clips=2, batch_size=3, workers=1
    )
    expected = np.mean(probabilities(model, items[0][0], 2), axis=0)
    assert scores.kind == "softmax"
    np.testing.assert_allclose(scores.scores["rgb"][0], expected, atol=1e-5)


@pytest.mark.agnostic
def test_sci_fusion_weighs_views_by_their_concentration(build, items):
    model = build(clip_spec={"score_fusion": "sci"}, streams=("rgb",))
    scores = training.evaluate_videos(
        model, items[:2], num_clips=3, batch_size=4, workers=1
    )
    shares = probabilities(model, items[1][0], 3)
    weights = 2 * shares.max(axis=1) - 1
    assert scores.kind == "softmax"
    np.testing.assert_allclose(
        scores.scores["rgb"][1],
        np.average(shares, axis=0, weights=weights),
        atol=1e-5,
    )


def test_flow_of_another_tool_is_read_with_its_bound(build, tmp_path):
    model, footage = build(), (moving_frames(), true_fields())
    path = write_layout("denseflow", tmp_path, *footage, 10.0)
    scores = training.evaluate_videos(
        model, [(path, 0)], num_clips=1, workers=1, bound=10.0
    )
    views = clips(path, clip_spec(model), bound=10.0)
    expected = keras.ops.convert_to_numpy(model.predict_on_batch(views))
    np.testing.assert_allclose(scores.scores["fused"], expected, atol=1e-5)


def test_unreadable_video_is_left_out(build, items, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    evaluator = training.VideoEvaluator(
        [items[0], (str(broken), 0), items[1]],
        num_clips=1,
        batch_size=2,
        workers=1,
    )
    scores = evaluator(build())
    assert scores.names == [items[0][0], items[1][0]]
    assert list(evaluator.skipped) == [str(broken)]


def test_a_video_whose_packed_file_is_damaged_is_named_as_given(
    build, items, tmp_path
):
    from keras_twostream.data import video_dataset

    model = build()
    list(video_dataset(items[:3], clip_spec(model), 3, cache=tmp_path))
    (packed,) = tmp_path.glob("1.mp4*")
    content = packed.read_bytes()
    length = 8 + int.from_bytes(content[:8], "little")  # of the header
    packed.write_bytes(content[:length] + bytes(len(content) - length))
    evaluator = training.VideoEvaluator(
        items[:3], num_clips=1, workers=1, cache=tmp_path
    )
    assert evaluator(model).names == [items[0][0], items[2][0]]
    assert list(evaluator.skipped) == [items[1][0]]


@pytest.mark.parametrize("name", ["missing", "empty", "file.txt"])
def test_a_cache_that_is_none_is_named(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(SpecError, match=f"no packed cache in .*{name}"):
        training.VideoEvaluator([("a.mp4", 0)], cache=tmp_path / name)


@pytest.mark.parametrize("bound", [0, -3, float("nan"), float("inf"), "20"])
def test_a_bound_is_checked_for_videos_too(bound):
    with pytest.raises(SpecError, match="`bound` must be greater than 0"):
        training.VideoEvaluator([("a.mp4", 0)], bound=bound)


def test_an_evaluation_without_a_readable_video_is_an_error(build, tmp_path):
    with pytest.raises(VideoError, match="None of the 1 videos can be read"):
        training.evaluate_videos(build(), [(str(tmp_path / "x.mp4"), 0)])


class _Footage:
    def __init__(self, height):
        self.height, self.cut = height, []

    def crop(self, crop):
        self.cut.append(crop)
        return {"rgb": np.zeros((1, 2, self.height, 24, 3), "uint8")}


def test_crops_are_cut_as_they_are_used(build, monkeypatch):
    footage = _Footage(24)
    crops = list(range(10))
    monkeypatch.setattr(
        view_batches, "view_footage", lambda *_, **__: (footage, crops)
    )
    batches = iter(ViewReader(["a.mp4"], clip_spec(build()), 1, workers=1))
    next(batches)
    assert len(footage.cut) <= 2
    assert len(list(batches)) == 9 and footage.cut == crops


class _Numbered(_Footage):
    """Footage whose pixels are the number of its video."""

    def __init__(self, path):
        super().__init__(24)
        self.number = int(path)

    def crop(self, crop):
        return {"rgb": super().crop(crop)["rgb"] + np.uint8(self.number)}


@pytest.mark.parametrize("workers", [1, 2, 4, 16])
def test_views_are_those_of_their_video_however_many_read(
    build, monkeypatch, workers
):
    monkeypatch.setattr(
        view_batches,
        "view_footage",
        lambda path, *_, **__: (_Numbered(path), ["left", "right"]),
    )
    paths = [str(number) for number in range(9)]
    reader = ViewReader(paths, clip_spec(build()), 4, workers=workers)
    for _ in range(2):  # a second pass counts anew
        videos = []
        for batch in reader:
            assert (batch.clips["rgb"][:, 0, 0, 0, 0] == batch.video).all()
            videos += batch.video[batch.mask > 0].tolist()
        assert videos == sorted(2 * list(range(9)))
        assert reader.views.tolist() == [2] * 9


def test_more_workers_give_the_same_scores(build, items):
    model = build(streams=("rgb",))
    one, four = (
        training.evaluate_videos(
            model, items, num_clips=1, batch_size=5, workers=workers
        )
        for workers in (1, 4)
    )
    assert one.names == four.names
    np.testing.assert_array_equal(one.labels, four.labels)
    np.testing.assert_allclose(one.scores["rgb"], four.scores["rgb"], atol=1e-6)


def test_video_that_opencv_refuses_is_left_out(build, monkeypatch):
    def refuse(path, spec, views):
        if path == "bad.mp4":
            raise cv2.error("inv_scale_x > 0")
        return _Footage(24), ["centre"]

    monkeypatch.setattr(view_batches, "view_footage", refuse)
    spec = clip_spec(build())
    reader = ViewReader(["bad.mp4", "good.mp4"], spec, 2, workers=1)
    assert len(list(reader)) == 1
    assert "inv_scale_x" in reader.skipped["bad.mp4"]


def test_a_missing_library_is_no_fault_of_a_video(build, monkeypatch):
    def refuse(*_, **__):
        raise MissingLibraryError("Install it.")

    monkeypatch.setattr(view_batches, "view_footage", refuse)
    with pytest.raises(MissingLibraryError, match="Install it"):
        list(ViewReader(["a.mp4"], clip_spec(build()), 2, workers=1))


def test_few_frame_sizes_wait_for_a_full_batch(build, monkeypatch):
    """Views of nine sizes, and of the first one again in the end."""

    def whole(path, spec, views):
        cut.append(path)
        return _Footage(24 + int(path) % 9), ["whole"]

    cut = []
    monkeypatch.setattr(view_batches, "view_footage", whole)
    paths = [str(number) for number in range(10)]
    reader = ViewReader(paths, clip_spec(build()), 8, workers=1)
    batches = iter(reader)
    first = next(batches)
    assert len(cut) < 9
    assert first.video.tolist() == [0] * 8 and first.mask.sum() == 1
    rest = list(batches)
    assert sum(batch.mask.sum() for batch in rest) == 9
    assert reader.views.tolist() == [1] * 10


@pytest.mark.agnostic
@pytest.mark.parametrize("outputs", ["fused", "streams"])
def test_a_head_is_named_where_there_are_several(build, items, outputs):
    model = build(heads={"ucf101": 2, "hmdb51": 3}, outputs=outputs)
    options = {"num_clips": 1, "workers": 1}
    scores = training.evaluate_videos(
        model, items[:1], head="hmdb51", **options
    )
    assert {item.shape for item in scores.scores.values()} == {(1, 3)}
    with pytest.raises(UnknownNameError, match="Did you mean hmdb51"):
        training.evaluate_videos(model, items[:1], head="hmdb", **options)
    with pytest.raises(SpecError, match="`head`.* Choices: ucf101, hmdb51"):
        training.evaluate_videos(model, items[:1], **options)


def test_a_head_need_not_be_named_where_there_is_one(build, items):
    options = {"num_clips": 1, "workers": 1}
    model = build(heads={"ucf101": 2}, outputs="streams")
    scores = training.evaluate_videos(model, items[:1], **options)
    assert set(scores.streams) == {"rgb", "flow"}
    with pytest.raises(UnknownNameError, match="no head 'x'. Leave"):
        training.evaluate_videos(build(), items[:1], head="x", **options)


def test_a_video_that_shows_no_class_has_none(build, items):
    labelled = [(items[0][0], (1,)), (items[1][0], (-1,))]
    scores = training.evaluate_videos(build(), labelled, num_clips=1, workers=1)
    assert scores.labels.tolist() == [[0, 1], [0, 0]]


def test_an_evaluation_needs_a_video():
    with pytest.raises(SpecError, match="at least one"):
        training.VideoEvaluator([])


def test_pairs_may_come_from_an_iterator(build, items):
    scores = training.evaluate_videos(
        build(), iter(items[:2]), num_clips=1, workers=1
    )
    assert scores.names == [path for path, _ in items[:2]]


def same_as_another(evaluator, model, items):
    """Return what the evaluator scores, and what a new one does."""
    kept = evaluator(model)
    new = training.evaluate_videos(model, items, num_clips=1, workers=1)
    assert (kept.kind, kept.classes) == (new.kind, new.classes)
    np.testing.assert_array_equal(kept.labels, new.labels)
    for name, rows in new.scores.items():
        np.testing.assert_allclose(kept.scores[name], rows, atol=1e-6)
    return kept


def test_a_model_changed_in_place_is_evaluated_anew(build, video_folder):
    videos = read_annotations(video_folder)
    model = build(clip_spec={"score_fusion": "softmax"})
    update_card(model, classes=videos.classes)
    evaluator = training.VideoEvaluator(videos, num_clips=1, workers=1)
    first = evaluator(model)
    update_card(model, classes=videos.classes[::-1])
    turned = same_as_another(evaluator, model, videos)
    assert turned.labels.tolist() == [1 - x for x in first.labels]
    update_card(model, multi_label=True)
    same_as_another(evaluator, model, videos)
    for name in ("rgb_fc", "flow_fc"):
        model.get_layer(name).quantize("int8")
    same_as_another(evaluator, model, videos)


@pytest.mark.agnostic
@pytest.mark.usefixtures("untraced")
def test_callback_writes_logs_that_later_callbacks_find(build, items, tmp_path):
    model = build()
    training.compile(model, "actors", steps=2)
    evaluation = training.VideoEvaluation(
        items[::4],
        num_clips=2,
        batch_size=4,
        workers=1,
        path=tmp_path / "scores.npz",
    )
    stopping = keras.callbacks.EarlyStopping("video_top1", mode="max")
    history = model.fit(
        _batch(items, model),
        epochs=1,
        callbacks=[evaluation, stopping],
        verbose=0,
    ).history
    assert stopping.best == history["video_top1"][0]
    assert {"video_mean_class", "video_rgb_top1", "video_best_fusion"} <= set(
        history
    )
    saved = training.load_scores(tmp_path / "scores.npz")
    assert saved.report()["fused"]["top1"] == history["video_top1"][0]


def test_a_model_in_training_has_no_engine_to_choose(items):
    with pytest.raises(SpecError, match="no engine to choose"):
        training.VideoEvaluation(items, engine="onnxruntime")


@pytest.mark.agnostic
@pytest.mark.usefixtures("untraced")
def test_two_evaluations_keep_their_numbers_apart(build, items):
    model = build()
    training.compile(model, "actors", steps=2)
    evaluations = [
        training.VideoEvaluation(
            items[:2], num_clips=1, workers=1, prefix=prefix
        )
        for prefix in ("one_", "two_")
    ]
    metrics = model.fit(_batch(items, model), callbacks=evaluations, verbose=0)
    assert {"one_top1", "two_top1", "two_best_fusion"} <= set(metrics.history)


def test_a_wrong_label_is_found_before_any_work(build, items):
    model = build()
    evaluation = training.VideoEvaluation([(items[0][0], 5)])
    with pytest.raises(SpecError, match="label 5"):
        evaluation.set_model(model)
    for every in (0, "1", 1.5):
        with pytest.raises(SpecError, match="`every` must be a whole number"):
            training.VideoEvaluation(items, every=every)


@pytest.mark.parametrize("label", ["jump", None, 0.5, True])
def test_a_label_that_is_no_number_is_refused(label):
    with pytest.raises(SpecError, match="must be the number of a class"):
        training.VideoEvaluation([("a.mp4", label)])


@pytest.mark.parametrize(
    "wrong", [{"workers": -1}, {"batch_size": 1.5}, {"batch_size": 0}]
)
def test_counts_are_whole_numbers(wrong):
    with pytest.raises(SpecError, match="must be a whole number, 1 or more"):
        training.VideoEvaluation([("a.mp4", 0)], **wrong)


def test_classes_of_a_list_are_found_by_name(build, video_folder):
    videos = read_annotations(video_folder).take([0, 6])
    model = build()
    for classes, expected in (
        (["stands", "slides"], [1, 0]),
        (["slides", "stands"], [0, 1]),
        (None, [0, 1]),  # the model has numbers
    ):
        update_card(model, classes=classes)
        scores = training.evaluate_videos(model, videos, num_clips=1, workers=1)
        assert scores.labels.tolist() == expected
    update_card(model, classes=["runs", "stands"])
    with pytest.raises(SpecError, match="does not know the classes slides"):
        training.evaluate_videos(model, videos)


def test_labels_of_numpy_are_labels(build, items):
    pairs = [(path, np.array([0, 1])) for path, _ in items[:2]]
    scores = training.evaluate_videos(build(), pairs, num_clips=1, workers=1)
    np.testing.assert_array_equal(scores.labels, [[1, 1], [1, 1]])


def test_the_streams_stand_in_their_order(build, items):
    model = build()
    options = {"num_clips": 1, "workers": 1}
    scores = training.evaluate_videos(model, items[:1], **options)
    assert list(scores.streams) == list(clip_spec(model).streams)


def test_callback_warns_when_it_stands_too_late(build, items):
    model = build()
    training.compile(model, "actors", steps=2)
    order = [
        keras.callbacks.EarlyStopping("video_top1", mode="max"),
        training.VideoEvaluation(items[:1]),
    ]
    with pytest.warns(UserWarning, match="EarlyStopping monitors 'video_"):
        keras.callbacks.CallbackList(order, model=model)


def _batch(items, model):
    from keras_twostream.data import video_dataset

    return video_dataset(
        items[::4], clip_spec(model), 3, training=True, workers=1
    )
