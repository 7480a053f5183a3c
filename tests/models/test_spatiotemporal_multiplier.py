"""ST-multiplier: the gate, and time that starts as the identity."""

import math

import numpy as np
import pytest
from weightless import weightless

import keras_twostream as kts
from keras_twostream.errors import SpecError

pytestmark = pytest.mark.portable


def build(**options):
    options = {
        "depth": 26,
        "width": 4,
        "clip_length": 3,
        "flow_length": 2,
        **options,
    }
    return kts.models.spatiotemporal_multiplier(5, **options)


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture(scope="module")
def activations(model):
    rng = np.random.default_rng(1)
    batch = {
        "rgb": rng.uniform(0, 255, (1, 3, 64, 64, 3)).astype("float32"),
        "flow": rng.normal(0, 4, (1, 3, 64, 64, 4)).astype("float32"),
    }
    names = [f"rgb.res{k}{part}" for k in (2, 5) for part in ("a", "b_gated")]
    names += [f"flow.res{k}a_relu" for k in (2, 5)]
    for stream in ("rgb", "flow"):
        names += [f"{stream}.res3b_temporal", f"{stream}.res3b_branch2b_relu"]
    out = kts.taps(model, names).predict_on_batch(batch)
    return {name: np.asarray(out[name]) for name in names}


def consumers(model, name):
    nodes = model.get_layer(name)._outbound_nodes
    names = {layer.name for layer in model.layers}
    return [x.operation.name for x in nodes if x.operation.name in names]


@pytest.mark.agnostic
@pytest.mark.parametrize("stage", [2, 5])
def test_motion_gates_the_appearance_before_its_relu(activations, stage):
    appearance = activations[f"rgb.res{stage}a"]
    motion = activations[f"flow.res{stage}a_relu"]
    assert (appearance < 0).any()
    np.testing.assert_allclose(
        activations[f"rgb.res{stage}b_gated"],
        appearance * motion,
        rtol=1e-3,
        atol=1e-5,
    )


@pytest.mark.parametrize("stage", [2, 3, 4, 5])
def test_the_gate_feeds_only_the_residual_branch(model, stage):
    assert consumers(model, f"rgb_res{stage}b_gated") == [
        f"rgb_res{stage}b_branch2a"
    ]
    # The shortcut stays the rectified appearance.
    rectified = consumers(model, f"rgb_res{stage}a_relu")
    assert rectified == [f"rgb_res{stage}b"]


@pytest.mark.agnostic
def test_time_starts_as_the_identity_in_both_streams(model, activations):
    temporal = [x for x in model.layers if x.name.endswith("_temporal")]
    assert len(temporal) == 8
    assert all(layer.kernel.shape[:3] == (3, 1, 1) for layer in temporal)
    for stream in ("rgb", "flow"):
        before = activations[f"{stream}.res3b_branch2b_relu"]
        after = activations[f"{stream}.res3b_temporal"].reshape(before.shape)
        np.testing.assert_allclose(after, before, atol=1e-5)


def test_the_motion_stream_may_be_deeper():
    model = build(motion_depth=50)
    names = {layer.name for layer in model.layers}
    assert "flow_res4f" in names and "rgb_res4c" not in names
    assert model.output_shape == (None, 5)


def _parameters(blocks, width, channels, classes):
    """Trainable numbers of a bottleneck network, counted from the paper."""
    normalised = 2  # gamma and beta of each channel
    count = 49 * channels * width + normalised * width
    inputs = width
    for stage, number in enumerate(blocks):
        inner = width * 2**stage
        for block in range(number):
            count += inputs * inner + 9 * inner**2 + 4 * inner**2
            count += normalised * (inner + inner + 4 * inner)
            if block == 0:
                count += inputs * 4 * inner + normalised * 4 * inner
            if block == 1:  # three taps of the convolution through time
                count += 3 * inner**2 + inner
            inputs = 4 * inner
    return count + inputs * classes + classes


def _counted_parameters(model, stream):
    paths = [w for w in model.trainable_weights if w.path.startswith(stream)]
    return sum(math.prod(weight.shape) for weight in paths)


def test_the_paper_s_best_has_a_motion_stream_of_152_layers():
    with weightless():
        model = build(depth=50, motion_depth=152)
    shapes = {"rgb": ((3, 4, 6, 3), 3), "flow": ((3, 8, 36, 3), 4)}
    for stream, (blocks, channels) in shapes.items():
        expected = _parameters(blocks, 4, channels, 5)
        assert _counted_parameters(model, stream) == expected
    names = {layer.name for layer in model.layers}
    temporal = {name for name in names if name.endswith("_temporal")}
    # The second block is b1 in the long stages of the motion stream.
    assert {x for x in temporal if x.startswith("flow")} == {
        f"flow_res{block}_temporal" for block in ("2b", "3b1", "4b1", "5b")
    }
    assert "flow_res4b35_branch2c" in names and "flow_res3b7" in names
    for stage in (2, 3, 4, 5):
        gate = model.get_layer(f"rgb_res{stage}b_gated")
        motion, appearance = f"flow_res{stage}a_relu", f"rgb_res{stage}a"
        assert {x._keras_history.operation.name for x in gate.input} == {
            motion,
            appearance,
        }


@pytest.mark.full
@pytest.mark.agnostic
def test_152_layers_of_motion_give_a_score():
    model = build(depth=50, motion_depth=152)
    rng = np.random.default_rng(0)
    clips = {
        "rgb": rng.uniform(0, 255, (1, 3, 32, 32, 3)).astype("float32"),
        "flow": rng.normal(0, 4, (1, 3, 32, 32, 4)).astype("float32"),
    }
    scores = np.asarray(model.predict_on_batch(clips))
    clips["flow"] = -clips["flow"]
    other = np.asarray(model.predict_on_batch(clips))
    assert np.isfinite(scores).all() and not np.allclose(scores, other)


def test_weights_fit_any_clip_length(model):
    longer = build(clip_length=9)
    longer.set_weights(model.get_weights())
    assert longer.get_layer("rgb_temporal_pool").output.shape[1] == 5
    assert model.get_layer("rgb_temporal_pool").output.shape[1] == 1


def test_only_the_motion_stream_drops(model):
    assert model.get_layer("rgb_dropout").rate == 0
    assert model.get_layer("flow_dropout").rate == pytest.approx(0.8)


def test_impossible_options_are_refused():
    with pytest.raises(SpecError, match="motion_depth=50"):
        build(depth=18, motion_depth=50)
    for pool in (0, None):  # None is ST-ResNet's way to have none
        with pytest.raises(SpecError, match=f"Received: temporal_pool={pool}"):
            build(temporal_pool=pool)
