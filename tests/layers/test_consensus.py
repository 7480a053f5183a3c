"""Segment consensus against its definitions."""

import keras
import numpy as np
import pytest

from keras_twostream.errors import SpecError
from keras_twostream.layers import CONSENSUSES, SegmentConsensus

pytestmark = pytest.mark.agnostic

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(2, 5, 4)).astype("float32")
FEATURES = RNG.normal(size=(2, 5, 3)).astype("float32")


def inputs(method, scores=SCORES, features=FEATURES):
    return [scores, features] if method == "attention" else scores


def numpy(x):
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("average", SCORES.mean(1)),
        ("max", SCORES.max(1)),
        ("top_k", np.sort(SCORES, axis=1)[:, -3:].mean(1)),
        # Both start as the average.
        ("weighted", SCORES.mean(1)),
        ("attention", SCORES.mean(1)),
    ],
)
def test_every_consensus_is_as_worked_by_hand(method, expected):
    layer = SegmentConsensus(method)
    out = numpy(layer(inputs(method)))
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-6)
    shapes = inputs(method, SCORES.shape, FEATURES.shape)
    assert layer.compute_output_shape(shapes) == out.shape


@pytest.mark.parametrize("method", CONSENSUSES)
def test_copies_of_one_segment_score_as_that_segment(method):
    scores = np.repeat(SCORES[:, :1], 5, axis=1)
    features = np.repeat(FEATURES[:, :1], 5, axis=1)
    out = numpy(SegmentConsensus(method)(inputs(method, scores, features)))
    np.testing.assert_allclose(out, scores[:, 0], rtol=1e-4, atol=1e-6)


def test_weighted_has_one_weight_per_segment():
    layer = SegmentConsensus("weighted")
    layer.build(SCORES.shape)
    layer.set_weights([np.eye(5)[:, 2:3]])
    np.testing.assert_allclose(numpy(layer(SCORES)), SCORES[:, 2], rtol=1e-5)


def test_attention_follows_the_features():
    layer = SegmentConsensus("attention")
    layer.build([SCORES.shape, FEATURES.shape])
    layer.set_weights([np.array([[1.0], [0], [0]])])
    features = np.zeros_like(FEATURES)
    features[:, 3, 0] = 50
    out = numpy(layer([SCORES, features]))
    np.testing.assert_allclose(out, SCORES[:, 3], rtol=1e-4, atol=1e-6)


def test_top_k_of_fewer_segments_is_their_average():
    layer = SegmentConsensus("top_k", k=9)
    np.testing.assert_allclose(
        numpy(layer(SCORES)), SCORES.mean(1), rtol=1e-4, atol=1e-6
    )


def test_unknown_methods_and_empty_choices_are_refused():
    with pytest.raises(SpecError, match=r"average, max, weighted.*'median'"):
        SegmentConsensus("median")
    with pytest.raises(SpecError, match="1 segment or more. Received: k=0"):
        SegmentConsensus("top_k", k=0)


@pytest.mark.parametrize("method", CONSENSUSES)
def test_a_consensus_comes_back_from_its_config(method):
    layer = SegmentConsensus(method, k=2)
    again = SegmentConsensus.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
