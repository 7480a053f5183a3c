import keras
import numpy as np
import pytest
from foreign_layouts import moving_frames, true_fields, write_layout

from keras_twostream import training
from keras_twostream.data import clips
from keras_twostream.errors import SpecError, VideoError
from keras_twostream.inspection import clip_spec

pytestmark = pytest.mark.agnostic


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
    """Of each of a video's clips; logits turned into shares here."""
    logits = model.predict_on_batch(clips(path, clip_spec(model), count))
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


def test_softmax_fusion_averages_probabilities(build, items):
    model = build(clip_spec={"score_fusion": "softmax"}, streams=("rgb",))
    scores = training.evaluate_videos(
        model, items[:2], num_clips=2, batch_size=3, workers=1
    )
    expected = np.mean(probabilities(model, items[0][0], 2), axis=0)
    assert scores.kind == "softmax"
    np.testing.assert_allclose(scores.scores["rgb"][0], expected, atol=1e-5)


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


def test_nothing_readable(build, tmp_path):
    with pytest.raises(VideoError, match="None of the 1 videos can be read"):
        training.evaluate_videos(build(), [(str(tmp_path / "x.mp4"), 0)])


def test_no_items():
    with pytest.raises(SpecError, match="at least one"):
        training.VideoEvaluator([])


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
