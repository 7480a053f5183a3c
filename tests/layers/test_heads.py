"""Heads and score fusion."""

from functools import partial

import keras
import numpy as np
import pytest

from keras_twostream.errors import SpecError
from keras_twostream.layers import (
    AverageScores,
    ScoreFusion,
    best_of_clips,
    classifier,
    concentrated_mean,
    concentration,
)

pytestmark = pytest.mark.agnostic

A = np.array([[2.0, 0.0, -1.0]], "float32")
B = np.array([[0.0, 4.0, 0.0]], "float32")


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def test_logit_fusion_is_the_weighted_mean():
    fused = numpy(ScoreFusion([1, 3])([A, B]))
    np.testing.assert_allclose(fused, 0.25 * A + 0.75 * B, rtol=1e-6)


def test_softmax_fusion_returns_the_log_of_the_mean_probability():
    fused = numpy(ScoreFusion([1, 2], "softmax")([A, B]))
    mean = softmax(A) / 3 + 2 * softmax(B) / 3
    np.testing.assert_allclose(np.exp(fused), mean, rtol=1e-5)
    np.testing.assert_allclose(softmax(fused), mean, rtol=1e-5)


def test_concentration_is_0_for_all_alike_and_1_for_one():
    shares = np.array([[0.25] * 4, [0, 0, 1, 0], [0.1, 0.1, 0.7, 0.1]])
    result = numpy(concentration(shares.astype("float32")))
    np.testing.assert_allclose(result, [[0.0], [1.0], [0.6]], atol=1e-6)


def test_sci_fusion_trusts_the_surer_scores():
    fused = numpy(ScoreFusion([1, 2], "sci")([A, B]))
    sure = [(3 * softmax(x).max() - 1) / 2 for x in (A, B)]
    mean = sure[0] * softmax(A) + 2 * sure[1] * softmax(B)
    np.testing.assert_allclose(
        softmax(fused), mean / (sure[0] + 2 * sure[1]), rtol=1e-5
    )
    steps = numpy(AverageScores("sci")(np.stack([A, B], axis=1)))
    pair = numpy(ScoreFusion([1, 1], "sci")([A, B]))
    np.testing.assert_allclose(steps, pair, rtol=1e-5)


def test_uniform_scores_stay_uniform_under_sci():
    flat = np.zeros((1, 3), "float32")
    fused = softmax(numpy(ScoreFusion([1, 1], "sci")([flat, flat])))
    np.testing.assert_allclose(fused, 1 / 3, rtol=1e-5)


def test_steps_are_averaged_in_probability_where_asked():
    scores = np.stack([A, B], axis=1)
    mean = numpy(AverageScores("softmax")(scores))
    expected = (softmax(A) + softmax(B)) / 2
    np.testing.assert_allclose(np.exp(mean), expected, rtol=1e-5)
    mean = numpy(AverageScores("logits")(scores))
    np.testing.assert_allclose(mean, (A + B) / 2, rtol=1e-6)


@pytest.mark.parametrize("layer", [partial(ScoreFusion, [1, 1]), AverageScores])
def test_an_unknown_method_lists_the_choices(layer):
    with pytest.raises(SpecError, match="must be one of logits, softmax"):
        layer("max")


@pytest.mark.parametrize(
    "layer", [ScoreFusion([1, 2], "softmax"), AverageScores("softmax")]
)
def test_layers_come_back_from_their_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_each_head_starts_from_its_own_numbers():
    features = {stream: keras.Input((8,)) for stream in ("rgb", "flow")}
    scores = classifier(features, 3, fusion="logits", stream_weights=(1.0, 1.0))
    model = keras.Model(list(features.values()), scores)
    rgb, flow = (model.get_layer(f"{s}_fc").kernel for s in features)
    assert not np.allclose(numpy(rgb), numpy(flow))


# Three clips of two crops each, three classes.
CROPS = np.array(
    [
        [[0.9, 0.05, 0.05], [0.5, 0.3, 0.2]],
        [[0.1, 0.55, 0.35], [0.05, 0.6, 0.35]],
        [[0.1, 0.5, 0.4], [0.1, 0.6, 0.3]],
    ],
    "float32",
)


def test_a_video_scores_what_its_surest_clip_scores():
    video = numpy(best_of_clips(concentrated_mean(CROPS, axis=-2)))
    np.testing.assert_allclose(video, [0.809, 0.578, 0.350], atol=1e-3)


def test_one_mean_over_all_crops_is_another_score():
    pooled = numpy(concentrated_mean(CROPS.reshape(6, 3), axis=0))
    np.testing.assert_allclose(pooled, [0.407, 0.364, 0.229], atol=1e-3)


@pytest.mark.parametrize("name", ["rgb", "flow_ucf", "fused", "a.b", 3])
def test_a_head_has_a_name_that_no_stream_s_output_has(name):
    with pytest.raises(SpecError, match="`heads` names data sets"):
        classifier(
            {"rgb": keras.Input((4,))},
            2,
            fusion="logits",
            stream_weights=(1.0,),
            heads={name: 2},
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "relu"}, "one of None, softmax, sigmoid.*'relu'"),
        ({"activation": "linear"}, "one of None, softmax, sigmoid"),
        ({"heads": ["ucf101"]}, "a dict from data set.*'ucf101'"),
        (
            {"activation": "sigmoid", "fusion": "softmax"},
            "'softmax' averages.*'score_fusion': 'logits'",
        ),
    ],
)
def test_scores_that_nobody_could_read_are_refused(options, message):
    features = {"rgb": keras.Input((4,))}
    options = {"fusion": "logits", "stream_weights": (1.0,), **options}
    with pytest.raises(SpecError, match=message):
        classifier(features, 2, **options)


def test_one_clip_of_a_stream_is_not_taken_for_every_clip():
    with pytest.raises(SpecError, match="same number of clips.*1 and 2"):
        ScoreFusion([1, 1])([A, np.concatenate([B, B])])
