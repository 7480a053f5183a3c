"""ST-ResNet: the injection point, time, and the shape at every stage."""

import keras
import numpy as np
import pytest
from keras import ops
from weightless import weightless

import keras_twostream as kts
from keras_twostream import training
from keras_twostream.errors import SpecError

pytestmark = pytest.mark.portable


def build(num_classes=5, **options):
    options = {
        "depth": 26,
        "width": 4,
        "clip_length": 3,
        "flow_length": 2,
        **options,
    }
    return kts.models.spatiotemporal_resnet(num_classes, **options)


def clips(model, size=32, static=False):
    rng = np.random.default_rng(1)
    spec = kts.clip_spec(model)
    steps = 1 if static else spec.clip_length
    shape = (2, steps, size, size)
    drawn = {
        "rgb": rng.uniform(0, 255, (*shape, 3)),
        "flow": rng.normal(0, 4, (*shape, 2 * spec.flow_length)),
    }
    return {
        stream: np.repeat(clip, spec.clip_length // steps, 1).astype("f4")
        for stream, clip in drawn.items()
        if stream in spec.streams
    }


@pytest.fixture(scope="module")
def model():
    return build()


def activations(model, names, batch):
    out = kts.taps(model, names).predict_on_batch(batch)
    return {name: np.asarray(out[name]) for name in names}


def test_every_stage_has_the_paper_s_shape():
    with weightless():
        model = kts.models.spatiotemporal_resnet(width=8, clip_length=2)
    names = [f"rgb.{n}" for n in ("conv1_relu", "pool1")]
    names += [f"{s}.res{n}" for n in (2, 3, 4, 5) for s in ("rgb", "flow")]
    shapes = kts.taps(model, names).compute_output_shape(
        [(2, 2, 224, 224, x.shape[-1]) for x in model.inputs]
    )
    assert {shape[:2] for shape in shapes.values()} == {(2, 2)}
    sides = {n: (shape[2], shape[4]) for n, shape in shapes.items()}
    assert sides["rgb.conv1_relu"] == (112, 8)
    assert sides["rgb.pool1"] == (56, 8)
    for stream in ("rgb", "flow"):
        assert sides[f"{stream}.res2"] == (56, 32)
        assert sides[f"{stream}.res3"] == (28, 64)
        assert sides[f"{stream}.res4"] == (14, 128)
        assert sides[f"{stream}.res5"] == (7, 256)


@pytest.fixture(scope="module")
def injections(model):
    """Inputs and outputs of each stage's injection."""
    names = []
    for stage in (2, 3, 4, 5):
        a, b = f"rgb.res{stage}a", f"rgb.res{stage}b"
        names += [a, f"{a}_relu", f"flow.res{stage}a_relu", f"{b}_injected"]
        names += [b, f"rgb.bn{stage}b_branch2c"]
    return activations(model, names, clips(model))


@pytest.mark.agnostic
@pytest.mark.parametrize("stage", [2, 3, 4, 5])
def test_injection_feeds_only_the_residual_branch(model, injections, stage):
    a, b = f"rgb.res{stage}a", f"rgb.res{stage}b"
    # The branch sees the appearance sum before its ReLU, plus the motion
    # after its own; the shortcut carries the rectified appearance alone.
    np.testing.assert_allclose(
        injections[f"{b}_injected"],
        injections[a] + injections[f"flow.res{stage}a_relu"],
        rtol=1e-4,
        atol=1e-4,
    )
    assert (injections[a] < 0).any()
    np.testing.assert_allclose(
        injections[b],
        injections[f"{a}_relu"] + injections[f"rgb.bn{stage}b_branch2c"],
        rtol=1e-4,
        atol=1e-4,
    )
    consumers = [
        node.operation.name
        for node in model.get_layer(f"rgb_res{stage}b_injected")._outbound_nodes
        if node.operation in model.layers
    ]
    assert len(consumers) == 1 and "branch2a" in consumers[0]


@pytest.mark.agnostic
def test_the_motion_stream_is_untouched(model):
    joint, alone = model, build(streams=("flow",))
    for layer in alone.layers:
        layer.set_weights(joint.get_layer(layer.name).get_weights())
    batch = clips(joint)
    np.testing.assert_allclose(
        activations(joint, ["flow.res5"], batch)["flow.res5"],
        activations(alone, ["flow.res5"], batch)["flow.res5"],
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.agnostic
def test_gradients_of_appearance_reach_the_motion_stream():
    if keras.backend.backend() != "torch":
        pytest.skip("one backend's tape is enough to see a graph's edges")
    model = build(outputs="streams")
    batch = {k: ops.convert_to_tensor(v) for k, v in clips(model).items()}
    ops.sum(model(batch)["rgb"]).backward()
    kernel = model.get_layer("flow_conv1").kernel
    assert float(ops.sum(ops.abs(kernel.value.grad))) > 0


def test_classes_without_names_are_numbers_whatever_the_heads():
    numbers = ["0", "1", "2"]
    assert kts.inspection.class_names(build(num_classes=3)) == numbers
    heads = build(num_classes=3, outputs="streams")
    assert kts.inspection.class_names(heads) == numbers


def test_only_second_blocks_see_time_and_start_as_an_average():
    model = build(depth=50)
    lifted = {
        layer.name: np.asarray(ops.convert_to_numpy(layer.kernel))
        for layer in model.layers
        if len(getattr(layer, "kernel", np.empty(0)).shape) == 5
    }
    assert len(lifted) == 16
    for name, kernel in lifted.items():
        assert "b_branch2a" in name or "b_branch2c" in name
        assert kernel.shape[:3] == (3, 1, 1)
        np.testing.assert_allclose(kernel[0], kernel[1])
        np.testing.assert_allclose(kernel[1], kernel[2])
        fan_in = kernel.shape[3]
        assert kernel.sum(0).std() == pytest.approx(
            np.sqrt(2 / fan_in), rel=0.35
        )


@pytest.mark.agnostic
def test_a_static_clip_gives_the_same_frames_away_from_its_ends():
    model = build(clip_length=5, streams=("rgb",), depth=18)
    out = activations(model, ["rgb.res2"], clips(model, static=True))
    frames = out["rgb.res2"]
    np.testing.assert_allclose(frames[:, 1], frames[:, 2], atol=1e-4)
    assert np.abs(frames[:, 0] - frames[:, 1]).max() > 1e-3


@pytest.mark.parametrize("depth", [18, 26, 34])
def test_basic_and_small_networks_build(depth):
    model = build(depth=depth)
    assert model.output_shape == (None, 5)


def test_the_authors_stride_in_the_first_1x1(model):
    other = build(stride_in="3x3")
    ours = model.get_layer("rgb_res3a_branch2a")
    torchvision = other.get_layer("rgb_res3a_branch2b")
    assert ours.strides == torchvision.strides == (2, 2)
    assert model.count_params() == other.count_params()


def test_weights_fit_any_clip_length_and_pooling():
    short = build(clip_length=5)
    long = build(clip_length=11, temporal_pool=5)
    long.set_weights(short.get_weights())
    pooled = long.get_layer("rgb_temporal_pool").output
    assert pooled.shape[1] == 4


@pytest.mark.agnostic
def test_the_score_is_the_mean_of_those_of_every_step():
    stepwise = build(outputs="steps")
    batch = clips(stepwise)
    steps = stepwise.predict_on_batch(batch)
    assert {x.shape for x in steps.values()} == {(2, 3, 5)}
    assert not np.allclose(steps["flow"][:, 0], steps["flow"][:, 1])
    mean = sum(np.asarray(x).mean(axis=1) for x in steps.values()) / 2
    fused = training.fused_copy(stepwise).predict_on_batch(batch)
    np.testing.assert_allclose(mean, fused, rtol=1e-4, atol=1e-5)


def test_moving_averages_are_as_slow_as_the_authors(model):
    momenta = {x.momentum for x in model.layers if hasattr(x, "momentum")}
    assert momenta == {0.95}


def test_a_pool_longer_than_the_clip_is_refused():
    with pytest.raises(SpecError, match="from 1 to clip_length. Received"):
        build(temporal_pool=9)


def test_an_unknown_depth_lists_the_choices():
    with pytest.raises(SpecError, match="must be one of 18, 26, 34"):
        build(depth=20)
