"""Every registered model: builds, counts, learns, saves, reloads, predicts.

`TINY` makes each of them small enough to run; a new architecture adds a row,
and its published number of parameters to `COUNTS`.
"""

import functools
import json

import av
import keras
import numpy as np
import pytest
from click.testing import CliRunner
from moving_texture import frames_moving
from weightless import weightless

import keras_twostream as kts
from keras_twostream import cli, inspection
from keras_twostream.costs import costs
from keras_twostream.errors import SpecError
from keras_twostream.explaining._spatial_maps import last_maps
from keras_twostream.graph import operation_of
from keras_twostream.layers import ScoreFusion
from keras_twostream.scoring.predicting import kept_scorer
from keras_twostream.scoring.scorer import scorer

CLASSES = ("bend", "drink", "jump", "run", "wave")
# TensorFlow traces a deep network for longer than it runs it here.
EAGER = keras.backend.backend() == "tensorflow"


def at(side):
    """Frames of one size and quick flow."""
    fields = {"crop": (side, side), "short_side": side}
    return {"clip_spec": {**fields, "flow_algorithm": "farneback"}}


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
    ("fstcn", {}, 60_145_189),
    ("fstcn", {"permutation": False}, 60_128_805),
    ("fstcn", {"transformation": "plane"}, 206_930_469),
    ("action_transformation", {"streams": ("rgb",)}, 162_834_752),
    (
        "action_transformation",
        {"streams": ("rgb",), "share_towers": False},
        299_192_960,
    ),
    ("action_tubes", {"streams": ("rgb",)}, 77_809_302),
    ("action_tubes", {"num_classes": 11, "streams": ("flow",)}, 77_764_235),
    ("r2plus1d", {}, 31_505_325),
    ("r2plus1d", {"midplanes": "vmz"}, 33_370_839),
    ("r2plus1d", {"depth": 34}, 61_831_661),
    ("r2plus1d", {"depth": 34, "midplanes": "vmz"}, 63_697_175),
]


def build(name, **options):
    return getattr(kts.models, name)(len(CLASSES), **TINY[name], **options)


@functools.cache
def tiny(name):
    """The one small network of a name, for every test that may share it."""
    return build(name)


def outputs(model, clips):
    model.run_eagerly = EAGER
    return np.asarray(model.predict_on_batch(clips))


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two that differ, as statistics of equal clips have no gradient."""
    folder = tmp_path_factory.mktemp("zoo")
    return [
        moving_video(folder / "right.mp4", frames_moving(2, 1, 12, seed=1)),
        moving_video(folder / "left.mp4", frames_moving(-1, 2, 12, seed=2)),
    ]


def moving_video(path, frames):
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 80, 64, "yuv420p"
        for image in frames:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return str(path)


@pytest.fixture
def batch(name, videos):
    """Two clips of video files with labels, as training sees them."""
    clips, labels = next(
        iter(
            kts.data.video_dataset(
                list(zip(videos, (1, 2), strict=True)),
                kts.clip_spec(tiny(name)),
                batch_size=2,
                training=True,
            )
        )
    )
    clips = {stream: np.asarray(clip) for stream, clip in clips.items()}
    return clips, np.asarray(labels)


# JAX compiles each network, which takes minutes for all: there the gate has
# two of them, and golden logits of every one, and .ci/full has the rest.
FEW = ("spatiotemporal_resnet", "two_stream")
every_backend = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=() if EAGER or name in FEW else pytest.mark.full
        )
        for name in kts.list_models()
    ],
)
every_model = pytest.mark.parametrize("name", kts.list_models())
# Detectors answer to `detect`.
CLIP_MODELS = [name for name in kts.list_models() if name != "action_tubes"]


def test_every_model_has_a_row():
    assert sorted(TINY) == kts.list_models()
    assert {name for name, _, _ in COUNTS} <= set(TINY)


@pytest.mark.parametrize(("name", "options", "count"), COUNTS)
def test_parameters_are_exactly_the_paper_s(name, options, count):
    with weightless():
        model = getattr(kts.models, name)(**options)
    shapes = [weight.shape for weight in model.trainable_weights]
    assert sum(int(np.prod(shape)) for shape in shapes) == count


@pytest.mark.agnostic
@every_backend
def test_every_network_gives_finite_logits_and_reloads(name, batch, tmp_path):
    model, (clips, _) = tiny(name), batch
    before = outputs(model, clips)
    assert before.shape == (2, len(CLASSES))
    assert np.isfinite(before).all()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        outputs(again, clips), before, rtol=1e-5, atol=1e-6
    )
    assert kts.clip_spec(again) == kts.clip_spec(model)


@pytest.mark.agnostic
@every_backend
def test_a_training_step_moves_the_weights(name, batch):
    model, (clips, labels) = tiny(name), batch
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    sgd = keras.optimizers.SGD(1e-2, clipnorm=1.0)
    model.compile(sgd, loss, run_eagerly=EAGER)
    before = [np.array(w) for w in model.get_weights()]
    value = model.train_on_batch(clips, labels)
    after = model.get_weights()
    model.set_weights(before)
    assert np.isfinite(value)
    moved = [
        not np.array_equal(old, new)
        for old, new in zip(before, after, strict=True)
    ]
    assert np.mean(moved) > 0.5


@pytest.mark.agnostic
@every_backend
def test_every_network_runs_in_mixed_precision_with_exact_ends(name, batch):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(name)
    finally:
        keras.config.set_dtype_policy("float32")
    computed = {layer.compute_dtype for layer in model.layers}
    assert "bfloat16" in computed
    for stream in kts.clip_spec(model).streams:
        layer = model.get_layer(f"{stream}_input")
        assert layer.compute_dtype == "float32"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    logits = outputs(model, batch[0])
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


@pytest.mark.parametrize(
    "name",
    [
        name if name in FEW else pytest.param(name, marks=pytest.mark.full)
        for name in CLIP_MODELS
    ],
)
def test_the_command_line_names_an_action(name, videos, tmp_path):
    model = tiny(name)
    inspection.update_card(model, classes=list(CLASSES), head_trained=True)
    folder = kts.save_pretrained(model, tmp_path / name, license="mit")
    command = ["predict", videos[0], "--model", f"local:{folder}"]
    result = CliRunner().invoke(cli.group, [*command, "--no-video", "--json"])
    assert result.exit_code == 0, result.output
    (file,) = json.loads(result.stdout)["files"]
    assert {answer["action"] for answer in file["top"]} == set(CLASSES)
    total = sum(answer["probability"] for answer in file["top"])
    assert total == pytest.approx(1.0, abs=1e-3)


@every_model
def test_the_summary_names_streams_and_layers(name):
    for layer in tiny(name).layers:
        kind, _, rest = layer.name.partition("_")
        assert kind in ("rgb", "flow", "fused", "scores"), layer.name
        assert rest or isinstance(layer, keras.layers.InputLayer | ScoreFusion)


@every_model
def test_the_costs_of_every_network_are_known(name):
    model = tiny(name)
    measured = costs(model)
    assert measured.parameters == sum(
        int(np.prod(weight.shape)) for weight in model.trainable_weights
    )
    idle = {layer.name for layer in measured.layers if not layer.macs}
    working = {x.name for x in model.layers if getattr(x, "filters", 0)}
    assert working and not working & idle


# The layers whose maps explain each stream, at the crops of `TINY`.
LAST_MAPS = {
    "action_transformation": ["rgb_conv5_3", "flow_conv5_3"],
    "action_tubes": ["rgb_conv5", "flow_conv5"],
    "c3d": ["rgb_conv5a"],
    "context_fovea": ["rgb_conv5"],
    "fstcn": ["rgb_temporal_conv", "rgb_spatial_conv"],
    "i3d": ["rgb_Mixed_4f", "flow_Mixed_4f"],
    "r2plus1d": ["rgb_layer4"],
    "spatiotemporal_multiplier": ["rgb_res4", "flow_res4"],
    "spatiotemporal_resnet": ["rgb_res4", "flow_res4"],
    "temporal_segment": ["rgb_inception_5b", "flow_inception_5b"],
    "two_stream": ["rgb_conv5", "flow_conv5"],
    "two_stream_fusion": ["fused_conv5_3", "flow_conv5_3"],
    "two_stream_googlenet": ["rgb_inception_5b", "flow_inception_5b"],
    "two_stream_vgg16": ["rgb_conv5_3", "flow_conv5_3"],
}


@pytest.mark.parametrize("name", LAST_MAPS)
def test_the_last_maps_are_found(name):
    model = tiny(name)
    spec, network = kts.clip_spec(model), scorer(model, regions=True)
    shapes = {
        x.name: (1, spec.clip_length, *spec.crop, x.shape[-1])
        for x in model.inputs
    }
    result = last_maps(network.output["fused"], network.inputs, shapes)
    names = [operation_of(maps.tensor).name for maps in result]
    assert sorted(names) == sorted(LAST_MAPS[name])


def explained(name, clips):
    model = tiny(name)
    inspection.update_card(model, head_trained=True)
    kept_scorer(model).run_eagerly = EAGER
    first = {stream: clip[:1] for stream, clip in clips.items()}
    return kts.explain(first, model, label=1)


@pytest.mark.agnostic
@pytest.mark.parametrize("name", ["spatiotemporal_resnet"])
def test_a_stream_s_maps_are_of_the_clip(name, batch):
    why, (clips, _) = explained(name, batch[0]), batch
    assert set(why.maps) == set(kts.clip_spec(tiny(name)).streams)
    for stream, maps in why.maps.items():
        assert maps.shape == clips[stream].shape[1:4]
        assert np.isfinite(maps).all() and maps.max() <= 1
    difference = why.logit - why.neutral_logit
    total = sum(why.contributions.values())
    assert total == pytest.approx(difference, abs=1e-5)


@pytest.mark.full
@pytest.mark.agnostic
@every_model
def test_every_architecture_is_explained(name, batch):
    test_a_stream_s_maps_are_of_the_clip(name, batch)


@every_model
def test_every_tap_has_clips_first(name):
    model = tiny(name)
    crop = kts.clip_spec(model).crop
    # Every tenth, as each has its shape inferred.
    taps = kts.taps(model, inspection.tap_names(model)[::10])
    shapes = taps.compute_output_shape(
        [(2, x.shape[1], *crop, x.shape[-1]) for x in model.inputs]
    )
    for tap, item in shapes.items():
        for shape in [item] if isinstance(item, tuple) else item:
            assert shape[0] == 2, tap


@every_model
def test_crops_of_112_pixels_go_in(name):
    with weightless():
        model = getattr(kts.models, name)(5, **{**TINY[name], **at(112)})
    assert kts.clip_spec(model).crop == (112, 112)
    assert model.output_shape == (None, 5)


# The smallest crop of each network whose strides and pools leave nothing of
# a smaller one.
SMALLEST = {
    "action_transformation": 32,
    "action_tubes": 49,
    "context_fovea": 22,
    "fstcn": 53,
    "temporal_segment": 7,
    "two_stream": 41,
    "two_stream_fusion": 32,
    "two_stream_googlenet": 31,
    "two_stream_inception_v3": 75,
    "two_stream_vgg16": 32,
}


@pytest.mark.parametrize("name", SMALLEST)
def test_a_crop_too_small_names_the_smallest(name):
    smallest, stream = SMALLEST[name], kts.clip_spec(tiny(name)).streams[:1]
    build = functools.partial(getattr(kts.models, name), 5, streams=stream)
    with weightless():
        model = build(**{**TINY[name], **at(smallest)})
    assert model.output_shape == (None, 5)
    with pytest.raises(SpecError, match=f"a crop of {smallest} x {smallest} "):
        build(**{**TINY[name], **at(smallest - 1)})


@every_model
def test_streams_can_be_chosen(name):
    entry = kts.registry.model_entry(name)
    for stream in entry.options["streams"]:
        with weightless():
            model = build(name, streams=(stream,))
        assert [tensor.name for tensor in model.inputs] == [stream]
        assert model.output_shape == (None, len(CLASSES))


@every_model
def test_heads_are_the_layers_that_change_with_the_classes(name):
    with weightless():
        more = getattr(kts.models, name)(len(CLASSES) + 2, **TINY[name])
    pairs = zip(tiny(name).layers, more.layers, strict=True)
    changed = {
        layer.name
        for layer, other in pairs
        if [w.shape for w in layer.weights] != [w.shape for w in other.weights]
    }
    assert inspection.head_layers(more) == changed
