"""From frames or a file to named actions."""

import gc
import json
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from small_model import CLASSES, SPEC, small_model
from tiny_net import tiny_net

import keras_twostream as kts
from keras_twostream import errors, inspection, pretrained
from keras_twostream.prediction import Prediction
from keras_twostream.scoring import predicting
from keras_twostream.scoring.heads import one_head
from keras_twostream.scoring.predicting import (
    BATCH,
    FOLDED_FROM,
    batch_of,
    kept_scorer,
)
from keras_twostream.scoring.scorer import scorer

pytestmark = pytest.mark.portable


@pytest.fixture(scope="module")
def frames():
    noise = np.random.default_rng(0).integers(0, 256, (8, 10, 3))
    still = np.kron(noise, np.ones((5, 5, 1))).astype(np.uint8)
    brightening = np.linspace(0.2, 1, 45)[:, None, None, None]
    moved = np.stack([np.roll(still, 2 * t, axis=1) for t in range(45)])
    return (moved * brightening).astype(np.uint8)


@pytest.fixture(scope="module")
def model():
    return small_model()


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def window_logits(model, frames):
    windows = kts.data.Windows(frames, inspection.clip_spec(model))
    return np.concatenate(
        [np.asarray(model.predict_on_batch(b)) for b in windows.batches(1)]
    )


@pytest.mark.agnostic
def test_the_timeline_is_what_the_model_says_of_each_window(model, frames):
    prediction = kts.predict(frames, model)
    assert len(prediction.timeline) % 4, "the last batch must be padded"
    np.testing.assert_allclose(
        prediction.timeline, softmax(window_logits(model, frames)), atol=1e-4
    )


def test_a_window_that_fills_the_machine_is_scored_alone():
    i3d = kts.ClipSpec(clip_length=64)
    assert batch_of(i3d) == 1
    assert batch_of(i3d.replace(clip_length=16)) == 2
    assert batch_of(i3d.replace(clip_length=5)) == BATCH


@pytest.mark.agnostic
def test_a_copy_without_normalisation_waits_for_enough_windows():
    model = tiny_net()
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(0, 1, layer.moving_mean.shape))
    clips = {
        "rgb": rng.uniform(0, 255, (1, 2, 24, 24, 3)).astype("float32"),
        "flow": rng.normal(0, 3, (1, 2, 24, 24, 4)).astype("float32"),
    }
    first = kept_scorer(model, FOLDED_FROM // 2)
    assert kept_scorer(model, 1) is first  # nothing compiled again
    later = kept_scorer(model, FOLDED_FROM)
    assert kept_scorer(model, 1) is later
    norms = [
        [isinstance(x, keras.layers.BatchNormalization) for x in y.layers]
        for y in (first, later)
    ]
    assert [sum(item) for item in norms] == [4, 0]
    result, expected = (
        later.predict_on_batch(clips),
        first.predict_on_batch(clips),
    )
    for name, logits in expected.items():
        np.testing.assert_allclose(result[name], logits, atol=1e-4)


@pytest.mark.agnostic
def test_a_model_changed_after_it_has_answered_answers_anew(frames):
    model = small_model()
    before = kts.predict(frames, model).timeline
    layer = model.get_layer("rgb_fc")
    layer.enable_lora(2)
    added = np.random.default_rng(0).normal(0, 9, layer.lora_kernel_b.shape)
    layer.lora_kernel_b.assign(added)
    after = kts.predict(frames, model).timeline
    expected = softmax(window_logits(model, frames))
    assert np.abs(expected - before).max() > 1e-2
    np.testing.assert_allclose(after, expected, atol=1e-4)


@pytest.mark.agnostic
def test_threads_may_ask_one_model(frames):
    model = small_model()
    parts = [frames[start:] for start in range(8)] * 5
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda part: kts.predict(part, model), parts))
    for part, prediction in zip(parts, found, strict=True):
        expected = softmax(window_logits(model, part))
        np.testing.assert_allclose(prediction.timeline, expected, atol=1e-4)


@pytest.mark.agnostic
def test_a_model_that_has_answered_is_let_go(frames):
    model = small_model()
    kts.predict(frames, model)
    kept = [weakref.ref(x) for x in (model, predicting.kept_scorer(model))]
    del model
    gc.collect()
    gc.collect()  # the scorer, which goes with the model
    assert [network() for network in kept] == [None, None]


@pytest.mark.agnostic
def test_layers_that_take_turns_in_training_keep_their_weights(frames):
    """A step on JAX takes what is trained and the rest as two lists."""
    model = small_model(SPEC.replace(frames_per_step=2, flow_length=3))
    rgb, flow = model.get_layer("rgb_fc"), model.get_layer("flow_fc")
    flow.trainable = False
    before = kts.predict(frames, model).timeline
    rgb.trainable, flow.trainable = False, True
    after = kts.predict(frames, model).timeline
    np.testing.assert_allclose(after, before, atol=1e-6)


@pytest.mark.agnostic
def test_several_classes_at_once_are_each_a_chance_by_itself(frames):
    model = small_model()
    kts.training.compile(model, "finetune", steps=1, multi_label=True)
    logits = window_logits(model, frames)
    prediction = kts.predict(frames, model).probabilities
    np.testing.assert_allclose(
        prediction, 1 / (1 + np.exp(-logits.mean(0))), 1e-4
    )


@pytest.mark.agnostic
@pytest.mark.parametrize("method", ["logits", "softmax", "sci"])
def test_the_whole_video_is_scored_as_the_paper_fuses(method, frames):
    model = small_model(SPEC.replace(score_fusion=method))
    logits = window_logits(model, frames)
    pooled = {
        "logits": softmax(logits.mean(0)),
        "softmax": softmax(logits).mean(0),
        "sci": np.average(
            softmax(logits), axis=0, weights=3 * softmax(logits).max(-1) - 1
        ),
    }
    prediction = kts.predict(frames, model)
    np.testing.assert_allclose(
        prediction.probabilities, pooled[method], atol=1e-4
    )
    assert np.abs(pooled["logits"] - pooled["softmax"]).max() > 1e-3


@pytest.mark.agnostic
def test_streams_are_scored_apart(model, frames):
    clip = kts.clips(frames, model)
    scores = scorer(model).predict_on_batch(clip)
    for stream in ("rgb", "flow"):
        tap = kts.taps(model, [f"{stream}.fc"]).predict_on_batch(clip)
        np.testing.assert_allclose(
            scores[stream], tap[f"{stream}.fc"], atol=1e-6
        )
    prediction = kts.predict(frames, model)
    assert prediction.top(1, "rgb") != prediction.top(1, "flow")


def test_one_stream_is_its_own_score(frames):
    model = small_model(SPEC.replace(streams=("flow",)))
    prediction = kts.predict(frames, model)
    np.testing.assert_array_equal(
        prediction.streams["flow"], prediction.probabilities
    )


@pytest.mark.agnostic
def test_a_softmax_output_is_not_softened_twice(model, frames):
    soft = small_model(activation="softmax")
    soft.set_weights(model.get_weights())
    np.testing.assert_allclose(
        kts.predict(frames, soft).probabilities,
        kts.predict(frames, model).probabilities,
        atol=1e-5,
    )


def test_scores_that_are_no_numbers_name_nothing(model):
    def answer(value):
        scores = np.array([[0.0, value, 0.0]], "float32")
        spec, spans = inspection.clip_spec(model), np.array([[0.0, 1.0]])
        return predicting.prediction_of(
            "a.mp4", model, spec, spans, {"fused": scores}
        )

    for value in (np.nan, np.inf):
        with pytest.raises(errors.UntrainedHeadError, match="no numbers"):
            answer(value)
    # The logarithm of nothing, which a softmax may give a class.
    assert answer(-np.inf).top(3)[-1] == (CLASSES[1], 0.0)


def test_progress_ends_at_the_end(model, frames):
    seen = []
    kts.predict(frames, model, progress=lambda *place: seen.append(place))
    assert seen[-1] == (1.8, 1.8)
    assert seen == sorted(seen)


def test_a_longer_hop_gives_fewer_windows(model, frames):
    few = kts.predict(frames, model, hop=1.0)
    assert len(few.windows) < len(kts.predict(frames, model).windows)


def test_the_flow_algorithm_can_be_chosen(model, frames):
    default = kts.predict(frames, model)
    other = kts.predict(frames, model, flow="farneback")
    assert np.abs(default.streams["flow"] - other.streams["flow"]).max() > 0
    np.testing.assert_array_equal(default.streams["rgb"], other.streams["rgb"])


def test_clips_are_what_the_model_eats(model, frames):
    clips = kts.clips(frames, model, count=3)
    assert clips["rgb"].shape == (3, 2, 24, 24, 3)
    assert clips["flow"].shape == (3, 2, 24, 24, 4)
    assert model.predict_on_batch(clips).shape == (3, len(CLASSES))


# === What is refused ===


def test_an_untrained_head_is_refused_with_names_that_have_one(
    frames, monkeypatch
):
    weight = pretrained.WeightSpec(
        name="small.trained",
        license="apache-2.0",
        data_terms="ours",
        origin="trained",
        folder="here",
        head_trained=True,
    )
    monkeypatch.setattr(pretrained, "list_weights", lambda: [weight])
    with pytest.raises(
        errors.UntrainedHeadError, match=r"is random.*small\.trained"
    ):
        kts.predict(frames, small_model(trained=False))


@pytest.mark.agnostic
def test_a_fitted_head_is_accepted(frames):
    model = small_model(trained=False)
    model.compile("sgd", "mse")
    clips = kts.clips(frames, model)
    model.train_on_batch(clips, np.zeros((1, 3)))
    assert kts.predict(frames, model).top(1)[0][0] in CLASSES


@pytest.mark.agnostic
def test_a_head_stays_trained(frames, tmp_path):
    model = small_model(trained=False)
    model.compile("sgd", "mse")
    model.train_on_batch(kts.clips(frames, model), np.zeros((1, 3)))
    model.compile("adam", "mse")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    inspection.keep_card(model, clone)
    model.save(tmp_path / "model.keras")
    saved = keras.models.load_model(tmp_path / "model.keras", compile=False)
    with pytest.warns(UserWarning, match="dis flow"):
        deployed = kts.with_flow(model)
    for again in (model, clone, saved, deployed):
        assert inspection.head_is_trained(again)


@pytest.mark.agnostic
def test_scoring_trains_no_head(frames):
    model = small_model(trained=False)
    model(kts.clips(frames, model), training=False)
    model.predict_on_batch(kts.clips(frames, model))
    assert not inspection.head_is_trained(model)
    model(kts.clips(frames, model), training=True)  # a loop of one's own
    assert inspection.head_is_trained(model)


def test_a_model_that_eats_frames_is_refused(model, frames):
    with pytest.warns(UserWarning, match="dis flow"):
        deployed = kts.with_flow(model)
    with pytest.raises(errors.SpecError, match="takes frames.*inside it"):
        kts.predict(frames, deployed)


def test_one_of_several_heads_is_named(frames):
    model = small_model(heads={"ucf101": 3, "hmdb51": 3})
    with pytest.raises(errors.SpecError, match="Choices: ucf101, hmdb51"):
        kts.predict(frames, model)
    with pytest.raises(errors.UnknownNameError, match="Did you mean hmdb51"):
        kts.predict(frames, model, head="hmdb")
    with pytest.raises(errors.UnknownNameError, match="no head 'x'. Leave"):
        kts.predict(frames, small_model(), head="x")


@pytest.mark.agnostic
@pytest.mark.parametrize("outputs", ["fused", "streams"])
def test_a_head_answers_with_its_own_scores_and_classes(frames, outputs):
    model = small_model(heads={"ucf101": 3, "hmdb51": 3}, outputs=outputs)
    ours, theirs = (
        kts.predict(frames, model, head=head) for head in ("ucf101", "hmdb51")
    )
    assert ours.classes == CLASSES  # those of the first data set
    assert theirs.classes == ("0", "1", "2")
    clips = next(iter(kts.data.Windows(frames, SPEC).batches(1)))
    logits = model.predict_on_batch(clips)
    for head, answer in (("ucf101", ours), ("hmdb51", theirs)):
        if outputs == "fused":
            expected, said = logits[head], answer.timeline
        else:
            expected = logits[f"flow_{head}"]
            said = answer.stream_timelines["flow"]
        np.testing.assert_allclose(said[:1], softmax(expected), atol=1e-4)
    assert one_head(model, "hmdb51") is one_head(model, "hmdb51")


def test_a_missing_file_is_named(model):
    with pytest.raises(errors.VideoError, match=r"gone\.mp4"):
        kts.predict("gone.mp4", model)


def test_an_unknown_stream_lists_those_there_are(model, frames):
    prediction = kts.predict(frames, model)
    with pytest.raises(
        errors.UnknownNameError, match=r"'audio' alone. Choices: flow, rgb"
    ):
        prediction.top(1, "audio")


def test_at_least_one_class_is_asked_for(model, frames):
    prediction = kts.predict(frames, model)
    with pytest.raises(errors.SpecError, match="`count` must be a whole"):
        prediction.top(-1)


# === The dataclass ===


def prediction_of(windows, timeline):
    return Prediction(
        source="frames",
        model="small",
        classes=("a", "b"),
        probabilities=np.array([0.5, 0.5]),
        streams={},
        windows=np.array(windows),
        timeline=np.array(timeline),
        stream_timelines={},
        truncated=False,
        seconds={},
    )


def test_seconds_are_means_of_the_windows_that_see_them():
    windows = [[0.0, 1.0], [0.5, 1.5], [1.0, 2.0]]
    timeline = [[1.0, 0.0], [0.4, 0.6], [0.0, 1.0]]
    np.testing.assert_allclose(
        prediction_of(windows, timeline).per_second(),
        [[0.8, 0.2], [2 / 15, 13 / 15]],
        atol=1e-6,
    )


def test_a_second_that_no_window_sees_is_the_mean_of_all():
    timeline = [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    seconds = prediction_of([[0, 1], [0.5, 1], [3.5, 4]], timeline).per_second()
    np.testing.assert_allclose(
        seconds, [[5 / 6, 1 / 6], [0.5, 0.5], [0.5, 0.5], [0, 1]], atol=1e-6
    )


def test_seconds_of_a_long_video_take_little_memory():
    starts = np.linspace(0, 2000, 8000)
    windows = np.stack([starts, starts + 0.6], axis=-1)
    prediction = prediction_of(windows, np.full((8000, 2), 0.5))
    tracemalloc.start()
    seconds = prediction.per_second()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(seconds, 0.5)
    assert peak < 4e6  # each second times each window: 128 MB


def test_json_says_the_same(model, frames):
    prediction = kts.predict(frames, model)
    document = json.loads(json.dumps(prediction.to_json(top=2)))
    name, score = prediction.top(1)[0]
    assert document["top"][0] == {
        "action": name,
        "probability": pytest.approx(score, abs=1e-4),
    }
    assert len(document["top"]) == len(document["streams"]["flow"]) == 2
    name, score = prediction.top(1, "flow")[0]
    assert document["streams"]["flow"][0] == {
        "action": name,
        "probability": pytest.approx(score, abs=1e-4),
    }
    assert [row["second"] for row in document["per_second"]] == [0, 1]
    assert document["segments"] == [
        {
            "start": round(part.start, 3),
            "end": round(part.end, 3),
            "label": part.label,
            "score": pytest.approx(part.score, abs=1e-4),
        }
        for part in prediction.segments()
    ]
    assert set(document["seconds"]) == {"decode", "flow", "network"}
    assert name in str(prediction)


# === Real files ===


def test_every_real_clip_gives_a_prediction_or_says_why(model, shared):
    failed = {}
    for path in sorted((shared / "clips").iterdir()):
        try:
            prediction = kts.predict(path, model)
        except errors.VideoError as error:
            failed[path.name] = str(error)
            continue
        assert np.isfinite(prediction.timeline).all(), path
        assert prediction.duration > 0, path
    assert sorted(failed) == [
        "derived_empty.mp4",
        "derived_part_0_truncated.mp4",
        "derived_text.avi",
    ]
    assert all(name in reason for name, reason in failed.items())
