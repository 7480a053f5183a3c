"""TV-L1 in the graph.

What must hold on every backend is tested through models, which compile.
"""

import keras
import numpy as np
import pytest
from gradients import gradient
from keras import ops
from moving_texture import frames_moving, inner_error

from keras_twostream import flow
from keras_twostream.errors import SpecError
from keras_twostream.flow import _compiled, _tvl1

_QUICK = {"scales": 2, "warps": 4, "iterations": 8}
_ONE_SCALE = {"scales": 1, "warps": 6, "iterations": 8}


def _moving(dx, dy, count=2):
    return frames_moving(dx, dy, count, height=40, width=48)


# === The function ===


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_a_batch_of_movements_is_recovered(channels):
    movements = [(1.25, -0.5), (0.0, 0.0)]
    frames = np.stack([_moving(*m) for m in movements]).astype("float32")
    frames = frames[..., 0] if channels is None else frames[..., :channels]
    fields = keras.ops.convert_to_numpy(
        flow.tvl1(frames[:, 0], frames[:, 1], **_QUICK)
    )
    assert fields.shape == (2, 40, 48, 2) and fields.dtype == np.float32
    for field, movement in zip(fields, movements, strict=True):
        assert inner_error(field, *movement) < 0.1


def test_far_movements_are_found_over_the_levels():
    dx, dy = 9, -6
    frames = frames_moving(dx, dy, height=96, width=128)[..., :1]
    first, second = frames[:, None].astype("float32")
    field = keras.ops.convert_to_numpy(flow.tvl1(first, second, scales=3))
    assert inner_error(field, dx, dy, border=16) < 0.1
    # Points that leave the image follow their neighbours.
    errors = np.linalg.norm(field[0] - [dx, dy], axis=-1)
    assert errors.max() < 5
    assert np.percentile(errors, 99) < 1


def test_only_smoothness_moves_points_that_leave():
    rng = np.random.default_rng(0)
    first, second = rng.uniform(0, 255, (2, 1, 6, 8)).astype("float32")
    field = np.zeros((2, 1, 6, 8), "float32")
    field[0, 0, :, 5:] = 3  # out of the last three columns
    gradient, rest, _ = map(
        keras.ops.convert_to_numpy,
        _tvl1._linearise(first, second, np.ones_like(field), field),
    )
    assert not gradient[..., 5:].any() and not rest[..., 5:].any()
    assert gradient[..., :5].all() and rest[..., :5].all()


def test_brightness_does_not_matter():
    first, second = _moving(1, 1).astype("float32")
    plain = flow.tvl1(first[None], second[None], **_QUICK)
    light = flow.tvl1(first[None] * 0.9, second[None] * 0.9 + 25, **_QUICK)
    difference = keras.ops.convert_to_numpy(plain - light)
    assert np.abs(difference[:, 8:-8, 8:-8]).mean() < 0.1


def test_images_without_texture_stand_still():
    flat = np.full((1, 20, 20), 77, "float32")
    field = keras.ops.convert_to_numpy(flow.tvl1(flat, flat, **_QUICK))
    assert np.isfinite(field).all() and np.abs(field).max() < 1e-3


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((1, 9, 9), (1, 9, 8)), {}, r"one shape.*\(1, 9, 8\)"),
        (((1, 9, 9, 2),) * 2, {}, r"\(B, H, W, 3\).*\(1, 9, 9, 2\)"),
        (((1, 9, 9),) * 2, {"warps": 0}, "whole number, 1 or more.*warps=0"),
        (((1, 9, 9),) * 2, {"scale_step": 1}, "between 0 and 1"),
        (((1, 9, 9),) * 2, {"theta": 0}, "`theta` must be greater than 0"),
        (((1, 9, 9),) * 2, {"texture": 2}, "`texture` must lie between"),
    ],
)
def test_tvl1_refuses(shapes, options, message):
    images = [np.zeros(shape, "float32") for shape in shapes]
    with pytest.raises(SpecError, match=message):
        flow.tvl1(*images, **options)


def test_compiled_flow_has_the_parameters_asked_for():
    def scaled(first, second, warps=5, theta=0.3):
        return keras.ops.stack([first * warps, second * theta], axis=-1)

    compiled = _compiled._compiled(scaled, warps=2, theta=0.5)
    ones = np.ones((1, 2, 2), "float32")
    np.testing.assert_allclose(compiled(ones, ones)[0, 0, 0], [2.0, 0.5])


def test_flow_grows_with_its_axis_from_level_to_level():
    planes = keras.ops.ones((2, 1, 4, 6))
    state = (planes, planes, 2 * planes)
    images = np.zeros((2, 1, 8, 18), "float32")
    flow, *dual = map(
        keras.ops.convert_to_numpy, _tvl1._to_level(state, images)
    )
    np.testing.assert_allclose(flow[0], 3.0, rtol=1e-5)
    np.testing.assert_allclose(flow[1], 2.0, rtol=1e-5)
    np.testing.assert_allclose(dual[0], 1.0, rtol=1e-5)
    np.testing.assert_allclose(dual[1], 2.0, rtol=1e-5)


@pytest.mark.parametrize("wrong", [{"scales": 0}, {"tau": -1}, {"texture": 2}])
def test_the_layer_refuses_what_the_function_refuses(wrong):
    with pytest.raises(SpecError, match=f"`{next(iter(wrong))}`"):
        flow.TVL1(**wrong)


# === The layer ===


@pytest.mark.agnostic
def test_the_layer_gives_fields_of_clips_and_saves(tmp_path):
    frames = _moving(1, -1, count=3)[None]
    inputs = keras.Input((3, 40, 48, 3))
    model = keras.Model(
        inputs, flow.TVL1([[0, 1], [2, 1]], **_ONE_SCALE)(inputs)
    )
    assert model.output_shape == (None, 2, 40, 48, 2)
    fields = model.predict_on_batch(frames)
    assert inner_error(fields[0, 0], 1, -1) < 0.1
    assert inner_error(fields[0, 1], -1, 1) < 0.1
    model.save(tmp_path / "flow.keras")
    again = keras.models.load_model(tmp_path / "flow.keras")
    np.testing.assert_allclose(
        again.predict_on_batch(frames), fields, atol=1e-4
    )


@pytest.mark.agnostic
def test_the_size_of_images_may_be_left_open():
    inputs = keras.Input((2, None, None, 1))
    outputs = flow.TVL1(**_ONE_SCALE)(inputs)
    assert outputs.shape == (None, 1, None, None, 2)
    model = keras.Model(inputs, outputs)
    fields = model.predict_on_batch(_moving(0.5, 1)[None, ..., :1])
    assert inner_error(fields, 0.5, 1) < 0.1


@pytest.mark.agnostic
def test_flow_can_be_learned_through():
    """A gain before the flow gets a finite gradient, also when compiled."""
    inputs = keras.Input((2, 20, 24, 1))
    gain = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    fields = flow.TVL1(scales=1, warps=1, iterations=2)(gain(inputs))
    model = keras.Model(inputs, fields)
    compiled = keras.backend.backend() != "torch"
    model.compile(keras.optimizers.SGD(1e-3), loss="mse", jit_compile=compiled)
    clip = _moving(1, 0)[None, :, :20, :24, :1].astype("float32")
    model.train_on_batch(clip, np.zeros((1, 1, 20, 24, 2), "float32"))
    (kernel,) = gain.get_weights()
    assert np.isfinite(kernel).all()
    assert kernel.item() != 1


@pytest.mark.agnostic
def test_a_still_pair_has_a_finite_gradient():
    frame = _moving(0, 0)[:1, :20, :24, 0].astype("float32")
    quick = {"scales": 1, "warps": 1, "iterations": 2}
    slope = gradient(
        lambda second: ops.sum(flow.tvl1(frame, second, **quick)), frame
    )
    # Flow is constant, and the length of its gradient 0.
    assert np.isfinite(slope).all()
    assert slope.any()


def test_flow_is_float32_under_half_precision():
    layer = flow.TVL1(dtype="mixed_bfloat16", **_QUICK)
    fields = layer(_moving(0, 0)[None].astype("float32"))
    assert keras.backend.standardize_dtype(fields.dtype) == "float32"


@pytest.mark.parametrize(
    ("pairs", "length", "message"),
    [
        (None, 1, "two frames or more.*T=1"),
        ([[0, 5]], 3, "reach frame 5.*T=3"),
        ([[0, 1, 2]], 3, "list of frame numbers"),
        ([], 3, "list of frame numbers"),
    ],
)
def test_the_layer_refuses_wrong_arguments(pairs, length, message):
    with pytest.raises(SpecError, match=message):
        flow.TVL1(pairs)(keras.Input((length, 20, 20, 3)))


def test_pairs_solved_at_once_stay_in_their_places(monkeypatch):
    monkeypatch.setattr(_compiled, "available_cpus", lambda: 3)
    frames = np.random.default_rng(0).uniform(0, 255, (7, 20, 24))
    pairs = np.array([(n, n + 1) for n in range(6)])
    together = _compiled.tvl1_pairs(frames, pairs, **_QUICK)
    for pair, field in zip(pairs, together, strict=True):
        (alone,) = _compiled.tvl1_pairs(frames, pair[None], **_QUICK)
        np.testing.assert_array_equal(field, alone)


def test_pairs_have_the_flow_of_their_frames():
    frames = np.stack([_moving(1, 0, 4), _moving(0, -1, 4)]).reshape(
        -1, 40, 48, 3
    )
    grey = frames[..., 0].astype("float32")
    pairs = np.array([[0, 1], [2, 0], [5, 7]])
    fields = _compiled.tvl1_pairs(grey, pairs, texture=0.5, **_ONE_SCALE)
    alone = flow.tvl1(
        grey[pairs[:, 0]], grey[pairs[:, 1]], texture=0.5, **_ONE_SCALE
    )
    alone = keras.ops.convert_to_numpy(alone)
    np.testing.assert_allclose(fields, alone, atol=1e-3)


def test_an_error_of_a_thread_is_raised(monkeypatch):
    def solve(first, second):
        if first.max() > 4:
            raise RuntimeError("the sixth frame")
        return np.stack([first, second], axis=-1)

    monkeypatch.setattr(_compiled, "_compiled", lambda *_, **__: solve)
    frames = np.arange(8.0)[:, None, None] * np.ones((8, 4, 4))
    pairs = np.array([(n, n + 1) for n in range(7)])
    with pytest.raises(RuntimeError, match="sixth"):
        _compiled.tvl1_pairs(frames, pairs, texture=0)
