"""One model of all logits, and one way to pool views."""

import time

import keras
import numpy as np
import pytest
from small_model import CLASSES, SPEC, small_model

import keras_twostream as kts
from keras_twostream import inspection, training
from keras_twostream.layers import ScoreFusion
from keras_twostream.scoring.scorer import (
    ClipTotals,
    _by_class,
    _fusion_inputs,
    accumulator,
    chances,
    logits_of,
    pool,
    scorer,
)

pytestmark = pytest.mark.agnostic


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    return {
        "rgb": rng.integers(0, 256, (3, 2, 24, 24, 3)).astype("float32"),
        "flow": rng.normal(size=(3, 2, 24, 24, 4)).astype("float32"),
    }


@pytest.mark.parametrize("outputs", ["fused", "streams"])
@pytest.mark.parametrize("method", ["logits", "softmax", "sci"])
def test_streams_and_their_fusion_are_scored_at_once(clips, outputs, method):
    spec = SPEC.replace(score_fusion=method)
    one = small_model(spec)
    other = small_model(spec, outputs=outputs)
    for layer in other.layers:
        if layer.weights:
            layer.set_weights(one.get_layer(layer.name).get_weights())
    scores = scorer(other).predict_on_batch(clips)
    np.testing.assert_allclose(
        scores["fused"], one.predict_on_batch(clips), atol=1e-4
    )
    assert list(scorer(other).output) == ["rgb", "flow", "fused"]


@pytest.mark.parametrize("outputs", ["fused", "streams"])
def test_an_evaluated_softmax_is_applied_once(build, items, outputs):
    model, soft = (
        build(outputs=outputs, classifier_activation=activation)
        for activation in (None, "softmax")
    )
    soft.set_weights(model.get_weights())
    options = {"num_clips": 2, "workers": 1}
    scores = training.evaluate_videos(model, items[:2], **options).scores
    again = training.evaluate_videos(soft, items[:2], **options).scores
    for name, values in scores.items():
        np.testing.assert_allclose(again[name], values, atol=1e-4)


@pytest.mark.parametrize(
    ("activation", "several"), [("softmax", False), ("sigmoid", True)]
)
def test_an_activation_inside_a_layer_is_inverted(activation, several):
    x = keras.Input((4,))
    dense = keras.layers.Dense(3, activation=activation)
    model = keras.Model(x, logits_of(dense(x)))
    rows = np.random.default_rng(1).normal(size=(5, 4)).astype("float32")
    linear = rows @ dense.get_weights()[0]
    np.testing.assert_allclose(
        chances(model.predict_on_batch(rows), several),
        chances(linear, several),
        atol=1e-5,
    )


def test_a_softmax_layer_is_taken_off():
    x = keras.Input((3,))
    assert logits_of(keras.layers.Softmax()(x)) is x
    assert logits_of(x) is x


ENDINGS = {
    "operation": keras.ops.softmax,
    "float32": lambda x: keras.layers.Activation("linear")(
        keras.ops.softmax(x)
    ),
    "dropout": lambda x: keras.layers.Dropout(0.5)(keras.layers.Softmax()(x)),
    "reshape": lambda x: keras.layers.Reshape((3,))(keras.layers.Softmax()(x)),
    "sigmoid": keras.ops.sigmoid,
    "lambda": keras.layers.Lambda(keras.ops.softmax),
    "function": keras.layers.Activation(keras.ops.softmax),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_softmax_under_what_changes_no_score_is_taken_off(ending):
    x = keras.Input((3,))
    assert logits_of(ENDINGS[ending](x)) is x


@pytest.mark.parametrize(
    "ending",
    [
        keras.layers.Lambda(lambda x: keras.ops.softmax(x), name="ending"),
        keras.layers.Dense(3, activation=lambda x: x / 2, name="ending"),
        keras.layers.Activation("relu", name="ending"),
    ],
)
def test_an_ending_that_may_give_probabilities_is_named(ending):
    scores = ending(keras.Input((3,)))
    with pytest.warns(UserWarning, match="ends in ending.*taken for logits"):
        assert logits_of(scores) is scores


@pytest.mark.parametrize("activation", [None, "linear", "log_softmax"])
def test_logits_are_logits(recwarn, activation):
    scores = keras.layers.Dense(3, activation=activation)(keras.Input((3,)))
    assert logits_of(scores) is scores and not recwarn.list


def networks_that_end_in_a_softmax():
    x = keras.Input((3,))
    shares = keras.layers.Softmax()(x)
    return {
        "functional": keras.Model(x, shares),
        "stack": keras.Sequential([keras.Input((3,)), keras.layers.Softmax()]),
        "two outputs": keras.Model(x, {"a": x * 2.0, "b": shares}),
    }


@pytest.mark.parametrize("kind", ["functional", "stack", "two outputs"])
def test_a_softmax_at_the_end_of_a_network_inside_is_inverted(kind):
    y = keras.Input((3,))
    outputs = networks_that_end_in_a_softmax()[kind](y)
    if kind == "two outputs":
        assert logits_of(outputs["a"]) is outputs["a"]
        outputs = outputs["b"]
    model = keras.Model(y, logits_of(outputs))
    rows = np.random.default_rng(1).normal(size=(5, 3)).astype("float32")
    again = chances(model.predict_on_batch(rows))
    np.testing.assert_allclose(again, chances(rows), atol=1e-5)


@pytest.mark.parametrize("method", ["logits", "softmax", "sci"])
def test_files_and_graph_fuse_streams_alike(method):
    rng = np.random.default_rng(2)
    scores = {"rgb": rng.normal(size=(6, 4)), "flow": rng.normal(size=(6, 4))}
    weights = {"rgb": 1.0, "flow": 1.5}
    layer = ScoreFusion(list(weights.values()), method)
    inside = keras.ops.convert_to_numpy(
        layer([x.astype("float32") for x in scores.values()])
    )
    outside = training.fuse(scores, weights, "logits", method)
    if method != "logits":
        inside = np.exp(inside)
    np.testing.assert_allclose(outside, inside, atol=1e-5)


def test_views_are_pooled_as_worked_by_hand():
    logits = np.log([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3]])
    np.testing.assert_allclose(pool(logits, "softmax"), [0.5, 0.3, 0.2], 1e-5)
    # Concentrations (3 * 0.8 - 1) / 2 = 0.7 and (3 * 0.5 - 1) / 2 = 0.25.
    by_hand = (0.7 * np.exp(logits[0]) + 0.25 * np.exp(logits[1])) / 0.95
    np.testing.assert_allclose(pool(logits, "sci"), by_hand, 1e-5)
    np.testing.assert_allclose(
        pool(logits, "logits"), logits.mean(axis=0), 1e-5
    )


def test_several_labels_keep_their_own_chances_when_evaluated(build, items):
    model = build(clip_spec={"score_fusion": "softmax"})
    inspection.update_card(model, multi_label=True)
    scores = training.evaluate_videos(
        model, [(items[0][0], (0, 1))], num_clips=1, workers=1
    )
    views = kts.data.clips(items[0][0], inspection.clip_spec(model), 1)
    logits = scorer(model).predict_on_batch(views)["fused"]
    np.testing.assert_allclose(
        scores.scores["fused"], 1 / (1 + np.exp(-np.asarray(logits))), 1e-4
    )


def test_a_list_and_a_folder_of_videos_are_answered(items, video_folder):
    model = small_model()
    videos = [items[0][0], "gone.mp4", items[1][0]]
    with pytest.warns(UserWarning, match=r"1 of 3 .*gone\.mp4"):
        answers = kts.predict(videos, model)
    assert [a.source for a in answers] == [items[0][0], items[1][0]]
    folder = kts.predict(str(video_folder / "stands"), model)
    assert len(folder) == 6
    assert {a.classes for a in folder} == {CLASSES}
    with pytest.raises(kts.errors.VideoError, match="None of the 1 videos"):
        kts.predict(["gone.mp4"], model)


def test_fused_scores_that_are_no_streams_are_not_taken_for_them():
    scores = [keras.Input((3,)) for _ in range(3)]
    fused = ScoreFusion((1.0, 1.0, 1.0))(scores)
    streams = "rgb", "flow"
    assert _fusion_inputs(fused, streams) == {}
    fused = ScoreFusion((1.0, 1.0))(scores[:2])
    assert set(_fusion_inputs(fused, streams)) == set(streams)


def test_a_class_scores_what_its_best_boundaries_score():
    boundaries = keras.Input((2, 2, 3))
    model = keras.Model(boundaries, _by_class(boundaries, None))
    scores = np.random.default_rng(0).normal(size=(4, 2, 2, 3)).astype("f4")
    result = model.predict_on_batch(scores)
    np.testing.assert_allclose(result, scores.max(axis=(1, 2)), rtol=1e-6)


def test_each_video_of_a_list_has_its_own_seconds(items):
    start = time.perf_counter()
    answers = kts.predict([items[0][0]] * 4, small_model())
    taken = time.perf_counter() - start
    # Parts overlap, but no part takes longer than all of it.
    for part in answers[0].seconds:
        assert sum(answer.seconds[part] for answer in answers) <= taken


# Three clips of two crops each, three classes.
CROPS = np.array(
    [
        [[0.9, 0.05, 0.05], [0.5, 0.3, 0.2]],
        [[0.1, 0.55, 0.35], [0.05, 0.6, 0.35]],
        [[0.1, 0.5, 0.4], [0.1, 0.6, 0.3]],
    ],
    "float32",
)


def test_clips_are_kept_apart_until_their_video_is_whole():
    logits = keras.Input((3,), name="rgb")
    network = keras.Model(logits, {"fused": keras.layers.Identity()(logits)})
    totals = ClipTotals(accumulator(network, "sci_max"), {"fused": 3})
    # Crop by crop, as videos are read, over two batches; one row is filling.
    views = [(clip, CROPS[clip, crop]) for crop in (0, 1) for clip in range(3)]
    views = [(1, 0, CROPS[0, 0]), *((0, *view) for view in views)]
    views.append((0, 2, CROPS[0, 0]))
    for part, mask in ((views[:4], [1, 1, 1, 1]), (views[4:], [1, 1, 1, 0])):
        video, clip, shares = zip(*part, strict=True)
        totals.update(
            {"rgb": np.log(shares)},
            np.array(video),
            np.array(clip),
            np.array(mask, "float32"),
        )
    best = totals.best(3)["fused"]
    np.testing.assert_allclose(best[0], [0.809, 0.578, 0.350], atol=1e-3)
    np.testing.assert_allclose(best[1], CROPS[0, 0], atol=1e-5)
    np.testing.assert_array_equal(best[2], 0)


def test_windows_of_a_prediction_are_clips():
    shares = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], "float32")
    pooled = pool(np.log(shares), "sci_max")
    np.testing.assert_allclose(pooled, np.array([0.7, 0.3, 0.6]) / 1.6, 1e-5)
