"""Actions ~ Transformations, against loops over classes and boundaries."""

import itertools

import keras
import numpy as np
import pytest

import keras_twostream as kts
from keras_twostream.errors import SpecError
from keras_twostream.layers import boundaries

pytestmark = pytest.mark.portable

SMALL = {
    "streams": ("flow",),
    "flow_length": 1,
    "clip_length": 6,
    "embedding": 16,
    "clip_spec": {"crop": (32, 32)},
}


@pytest.fixture(scope="module")
def model():
    return kts.models.action_transformation(3, scale=7.0, **SMALL)


@pytest.fixture(scope="module")
def clip():
    shape = (2, 6, 32, 32, 2)
    flow = np.random.default_rng(0).normal(size=shape) * 9
    return {"flow": flow.astype("float32")}


def taps(model, clip, *names):
    outputs = [model.get_layer(name).output for name in names]
    return keras.Model(model.inputs, outputs).predict_on_batch(clip)


def weights(model, name):
    layer = model.get_layer(name)
    return [keras.ops.convert_to_numpy(weight) for weight in layer.weights]


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_boundaries_are_the_paper_s():
    before, after = boundaries(25)
    assert before == [(0, z) for z in (8, 9, 10, 11, 12)]
    assert after == [(z - 1, 25) for z in (13, 14, 15, 16, 17)]


@pytest.mark.parametrize("length", range(2, 40))
def test_no_segment_is_empty(length):
    for start, stop in itertools.chain(*boundaries(length)):
        assert 0 <= start < stop <= length


@pytest.mark.agnostic
def test_features_are_averaged_first_then_embedded(model, clip):
    frames, before, after = taps(
        model, clip, "flow_unfold", "flow_precondition", "flow_effect"
    )
    kernel, bias = weights(model, "flow_embedding")
    for state, segments in zip((before, after), boundaries(6), strict=True):
        for index, (start, stop) in enumerate(segments):
            mean = frames[:, start:stop].mean(1)
            np.testing.assert_allclose(
                state[:, index], mean @ kernel + bias, rtol=1e-3, atol=1e-5
            )


@pytest.mark.agnostic
def test_logits_are_scaled_distances_at_the_best_boundaries(model, clip):
    before, after = taps(model, clip, "flow_precondition", "flow_effect")
    (matrices,) = weights(model, "flow_transformation")
    logits = model.predict_on_batch(clip)
    for b, n in np.ndindex(logits.shape):
        distances = [
            1 - cosine(f_p @ matrices[n], f_e)
            for f_p in before[b]
            for f_e in after[b]
        ]
        assert logits[b, n] == pytest.approx(-7 * min(distances), abs=1e-4)


@pytest.mark.agnostic
def test_every_boundary_on_request(clip):
    net = kts.models.action_transformation(3, every_boundary=True, **SMALL)
    before, after = boundaries(6)
    logits = net.predict_on_batch(clip)
    assert logits.shape == (2, len(before), len(after), 3)


def test_separate_towers_double_everything_but_the_matrices(model):
    net = kts.models.action_transformation(3, share_towers=False, **SMALL)
    matrices = 3 * 16 * 16
    shared = model.count_params() - matrices
    assert net.count_params() - matrices == 2 * shared
    assert net.get_layer("flow_effect_fc7") is not None


def test_one_step_has_no_boundary():
    with pytest.raises(SpecError, match="clip_length must be 2 or more"):
        kts.models.action_transformation(clip_length=1)
