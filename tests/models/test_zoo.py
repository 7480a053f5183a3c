"""Every registered model: builds, counts, learns, saves, reloads.

`TINY` makes each of them small enough to run; a new architecture adds a row,
and its published number of parameters to `COUNTS`.
"""

import functools

import keras
import numpy as np
import pytest

import keras_twostream as kts

CLASSES = 5


def at(side, **fields):
    return {"clip_spec": {"crop": (side, side), **fields}}


RESNET = {"width": 4, "clip_length": 2, "flow_length": 2, **at(32)}
STACK = {"flow_length": 2}

# Options that shrink each model.
TINY = {
    "action_transformation": {"clip_length": 6, **STACK, **at(32)},
    "action_tubes": at(67),
    "c3d": {"variant": "small", **at(32)},
    "context_fovea": at(74),
    "fstcn": {"clip_length": 5, **at(60)},
    "i3d": {"clip_length": 8, **at(32)},
    "r2plus1d": {"clip_length": 4, **at(32)},
    "spatiotemporal_multiplier": {**RESNET, "depth": 26, "temporal_pool": 2},
    "spatiotemporal_resnet": {**RESNET, "depth": 26},
    "temporal_segment": {"clip_length": 2, **STACK, **at(64)},
    "two_stream": {**STACK, **at(75)},
    "two_stream_fusion": {
        "clip_length": 2,
        "fusion": "sum",
        "temporal_pool": "2d",
        **STACK,
        **at(32),
    },
    "two_stream_googlenet": {**STACK, **at(64)},
    "two_stream_inception_v3": {**STACK, **at(75)},
    "two_stream_vgg16": {**STACK, **at(32)},
}

# (name, options, trainable parameters): DESIGN's table and the papers.
COUNTS = [
    ("context_fovea", {}, 73_908_071),
    ("context_fovea", {"fusion": "early"}, 74_221_703),
    ("context_fovea", {"fusion": "late"}, 125_288_295),
    ("context_fovea", {"fusion": "slow"}, 75_511_751),
    ("context_fovea", {"multiresolution": True}, 129_035_495),
    (
        "context_fovea",
        {"fusion": "slow", "multiresolution": True},
        132_242_855,
    ),
    ("two_stream", {"streams": ("rgb",)}, 90_627_813),
    ("two_stream", {"streams": ("flow",)}, 90_707_781),
    ("two_stream_vgg16", {"streams": ("rgb",)}, 134_674_341),
    ("two_stream_vgg16", {"streams": ("flow",)}, 134_684_133),
    ("two_stream_googlenet", {"streams": ("rgb",)}, 6_077_077),
    ("two_stream_googlenet", {"streams": ("flow",)}, 6_130_389),
    ("two_stream_fusion", {}, 283_514_762),
    ("two_stream_fusion", {"keep_temporal": False}, 163_555_109),
    ("spatiotemporal_resnet", {}, 58_624_394),
    ("spatiotemporal_resnet", {"num_classes": 51}, 58_419_494),
    ("spatiotemporal_multiplier", {}, 49_574_154),
    ("temporal_segment", {"streams": ("rgb",)}, 10_373_765),
    ("temporal_segment", {"streams": ("flow",)}, 10_395_717),
    ("i3d", {"streams": ("rgb",)}, 12_689_984),
    ("i3d", {"streams": ("flow",)}, 12_668_032),
    ("c3d", {}, 79_991_015),
    ("c3d", {"num_classes": 101}, 78_409_573),
    ("fstcn", {}, 60_128_805),
    ("action_transformation", {"streams": ("rgb",)}, 162_834_752),
    (
        "action_transformation",
        {"streams": ("rgb",), "share_towers": False},
        299_192_960,
    ),
    ("action_tubes", {"streams": ("rgb",)}, 77_809_302),
    ("r2plus1d", {}, 31_505_325),
    ("r2plus1d", {"midplanes": "vmz"}, 33_370_839),
    ("r2plus1d", {"depth": 34}, 61_831_661),
    ("r2plus1d", {"depth": 34, "midplanes": "vmz"}, 63_697_175),
]


@functools.cache
def tiny(name):
    return getattr(kts.models, name)(CLASSES, **TINY[name])


@functools.cache
def batch(name):
    rng = np.random.default_rng(0)
    spec = kts.clip_spec(tiny(name))
    clips = {}
    for stream in spec.streams:
        size = (2, spec.clip_length, *spec.crop, spec.channels(stream))
        scale = 255.0 if stream == "rgb" else 4.0
        clips[stream] = rng.uniform(0, scale, size).astype("float32")
    return clips


def outputs(model, clips):
    return np.asarray(model.predict_on_batch(clips))


every_model = pytest.mark.parametrize("name", kts.list_models())


def test_every_model_has_a_row():
    assert sorted(TINY) == kts.list_models()
    assert {name for name, _, _ in COUNTS} <= set(TINY)


@pytest.mark.parametrize(("name", "options", "count"), COUNTS)
def test_parameters_are_exactly_the_paper_s(name, options, count):
    model = getattr(kts.models, name)(**options)
    shapes = [weight.shape for weight in model.trainable_weights]
    assert sum(int(np.prod(shape)) for shape in shapes) == count


@pytest.mark.agnostic
@every_model
def test_it_gives_finite_logits_and_reloads(name, tmp_path):
    model = tiny(name)
    before = outputs(model, batch(name))
    assert before.shape == (2, CLASSES)
    assert np.isfinite(before).all()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        outputs(again, batch(name)), before, rtol=1e-5, atol=1e-6
    )
    assert kts.clip_spec(again) == kts.clip_spec(model)


@pytest.mark.agnostic
@pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="XLA compiles the deepest training steps for minutes",
)
@every_model
def test_a_training_step_moves_the_weights(name):
    model = keras.models.clone_model(tiny(name))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    sgd = keras.optimizers.SGD(1e-4, clipnorm=1.0)
    model.compile(sgd, loss, run_eagerly=True)  # tracing costs minutes
    before = [np.array(w) for w in model.get_weights()]
    value = model.train_on_batch(batch(name), np.array([1, 2]))
    assert np.isfinite(value)
    moved = [
        not np.array_equal(old, new)
        for old, new in zip(before, model.get_weights(), strict=True)
    ]
    assert np.mean(moved) > 0.5


@every_model
def test_it_runs_in_mixed_precision_with_exact_ends(name):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = getattr(kts.models, name)(CLASSES, **TINY[name])
    finally:
        keras.config.set_dtype_policy("float32")
    for stream in kts.clip_spec(model).streams:
        layer = model.get_layer(f"{stream}_input")
        assert layer.compute_dtype == "float32"
    logits = model.predict_on_batch(batch(name))
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


@every_model
def test_streams_can_be_chosen(name):
    entry = kts.registry.model_entry(name)
    for stream in entry.options["streams"]:
        model = entry.builder(CLASSES, **{**TINY[name], "streams": (stream,)})
        assert [tensor.name for tensor in model.inputs] == [stream]
        assert model.output_shape == (None, CLASSES)
