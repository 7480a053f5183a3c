"""Two-stream fusion: operators, places, pooling in time, unequal towers."""

import numpy as np
import pytest

import keras_twostream as kts
from keras_twostream.errors import SpecError, UnknownNameError

pytestmark = pytest.mark.portable


def build(**options):
    options = {
        "backbones": ("cnn_m", "cnn_m"),
        "keep_temporal": False,
        "clip_spec": {"crop": (64, 64)},
        "flow_length": 1,
        "fusion": "sum",
        **options,
    }
    return kts.models.two_stream_fusion(3, **options)


def names(model):
    return {layer.name for layer in model.layers}


def batch(model, size=None):
    rng, spec = np.random.default_rng(0), kts.clip_spec(model)
    return {
        stream: rng.uniform(
            0,
            9,
            (1, spec.clip_length, *(size or spec.crop), spec.channels(stream)),
        ).astype("float32")
        for stream in spec.streams
    }


def test_the_default_is_the_paper_s_final_network():
    options = kts.registry.model_entry("two_stream_fusion").options
    assert options["backbones"] == ("vgg16", "vgg16")
    assert options["fusion"] == "conv3d"
    assert options["temporal_pool"] == "3d"
    assert options["keep_temporal"]


def test_conv3d_and_3d_pooling_leave_one_step():
    model = build(fusion="conv3d", keep_temporal=True)
    assert model.get_layer("fused_conv5").kernel.shape == (3, 3, 3, 1024, 512)
    for stream in ("rgb", "flow"):
        pool = model.get_layer(f"{stream}_pool5_time")
        assert pool.pool_size == (5, 1, 1) and pool.strides == (2, 1, 1)
        assert pool.output.shape[1] == 1
    assert {"rgb_fc8", "flow_fc8"} <= names(model)
    assert model.predict_on_batch(batch(model)).shape == (1, 3)


def test_the_flow_tower_ends_at_the_fusion():
    model = build(temporal_pool="2d", clip_length=2)
    assert "flow_conv5" in names(model)
    assert not {"flow_pool5", "flow_full6", "flow_fc8"} & names(model)


@pytest.mark.agnostic
def test_2d_pooling_averages_the_scores_of_the_steps():
    model = build(temporal_pool="2d", clip_length=2)
    single = build(temporal_pool=None)
    single.set_weights(model.get_weights())
    clips = batch(model)
    steps = [
        single.predict_on_batch({k: v[:, t : t + 1] for k, v in clips.items()})
        for t in range(2)
    ]
    np.testing.assert_allclose(
        model.predict_on_batch(clips), np.mean(steps, 0), rtol=1e-3, atol=1e-4
    )


@pytest.mark.agnostic
def test_unequal_towers_are_padded_to_the_larger():
    model = build(
        backbones=("vgg16", "cnn_m"), temporal_pool=None, fusion="max"
    )
    names = ["rgb.conv5_3", "flow.conv5", "fused.conv5_3"]
    out = kts.taps(model, names).predict_on_batch(batch(model))
    rgb, flow, fused = (out[name][0, 0] for name in names)
    assert (rgb.shape, flow.shape) == ((4, 4, 512), (3, 3, 512))
    padded = np.pad(flow, [(0, 1), (0, 1), (0, 0)])
    np.testing.assert_allclose(fused, np.maximum(rgb, padded), rtol=1e-6)


@pytest.mark.agnostic
@pytest.mark.parametrize("backbone", ["cnn_m", "vgg16"])
def test_whole_frames_are_scored_at_every_place(backbone):
    model = build(backbones=("vgg16", backbone), temporal_pool=None)
    for size, places in (((64, 64), (1, 1)), ((70, 130), (1, 3))):
        clips = batch(model, size)
        net = kts.taps(model, ["rgb.pool5", "rgb.fc8"])
        seen = net.predict_on_batch(clips)
        pooled, scores = seen["rgb.pool5"][0, 0], seen["rgb.fc8"][0, 0]
        (w6, b6), (w7, b7), (w8, b8) = (
            model.get_layer(f"rgb_{name}").get_weights()
            for name in ("fc6", "fc7", "fc8")
        )
        answers = []
        for row, column in np.ndindex(places):
            window = pooled[row : row + 2, column : column + 2].ravel()
            hidden = np.maximum(np.maximum(window @ w6 + b6, 0) @ w7 + b7, 0)
            answers.append(hidden @ w8 + b8)
        np.testing.assert_allclose(
            scores, np.mean(answers, 0), rtol=1e-3, atol=1e-5
        )


def test_the_paper_s_test_sees_the_whole_frame_and_its_mirror():
    model = build(keep_temporal=True, clip_length=2, temporal_pool="2d")
    frames = np.random.default_rng(0).integers(0, 256, (40, 80, 100, 3))
    spec = kts.clip_spec(model).replace(short_side=80)
    clips = kts.data.clips(frames.astype("uint8"), spec, crops="whole_mirrored")
    assert clips["rgb"].shape == (2, 2, 80, 100, 3)
    assert np.isfinite(model.predict_on_batch(clips)).all()


def test_dense_layers_have_no_time_to_convolve():
    with pytest.raises(SpecError, match="conv3d fusion needs maps"):
        build(fusion="conv3d", fuse_at="fc6", temporal_pool="2d")


@pytest.mark.agnostic
def test_several_layers_and_the_scores_can_be_fused():
    model = build(
        fusion="conv", fuse_at=("fc8", "conv3", "fc6"), temporal_pool=None
    )
    fused = {name for name in names(model) if name.startswith("fused")}
    assert fused == {"fused_conv3", "fused_full6", "fused_fc8"}
    out = kts.taps(model, ["rgb.fc8", "flow.fc8", "fused.fc8"])
    scores = out.predict_on_batch(batch(model))
    # A convolution of scores starts as their sum, without a ReLU.
    np.testing.assert_allclose(
        scores["fused.fc8"],
        scores["rgb.fc8"] + scores["flow.fc8"],
        rtol=1e-3,
        atol=1e-5,
    )


@pytest.mark.parametrize("pool", ["2d", "3d"])
def test_bilinear_features_go_straight_to_the_classifier(pool):
    model = build(fusion="bilinear", temporal_pool=pool, clip_length=2)
    steps = {"2d": 2, "3d": 1}[pool]
    assert model.get_layer("rgb_unfold").output.shape[1:] == (
        steps,
        512 * 512,
    )
    assert "rgb_full6" not in names(model)


def test_concat_widens_the_next_layer():
    model = build(fusion="concat", fuse_at="conv4", temporal_pool=None)
    assert model.get_layer("rgb_conv5").kernel.shape[2] == 1024


def test_streams_are_fused_in_the_spec_s_order():
    spec = {"crop": (64, 64), "stream_weights": (3, 1)}
    model = build(streams=("flow", "rgb"), keep_temporal=True, clip_spec=spec)
    scores = [x.name for x in model.get_layer("scores").input]
    fused = model.get_layer("scores")
    assert fused.weights_ == [3.0, 1.0]
    assert [
        model.get_layer(f"{s}_fc8_mean").output.name for s in ("flow", "rgb")
    ] == scores


@pytest.mark.parametrize(
    ("site", "trained"),
    [
        ("conv3", {"rgb_conv4", "rgb_conv5", "rgb_full6"}),
        ("conv5", {"rgb_full6", "rgb_full7"}),
        ("fc8", {"rgb_conv1", "flow_conv1", "rgb_full6"}),
    ],
)
def test_the_recipe_leaves_what_is_below_the_fusion(site, trained):
    model = build(fuse_at=site)
    kts.training.compile(model, steps=10)
    moving = {x.name for x in model.layers if x.weights and x.trainable}
    assert trained <= moving
    below = {f"{s}_conv{i}" for s in ("rgb", "flow") for i in (1, 2, 3)}
    assert site == "fc8" or not moving & below


def test_one_stream_alone_has_no_fusion():
    model = build(streams=("flow",), clip_length=2)
    assert not any(name.startswith("fused") for name in names(model))
    assert kts.clip_spec(model).flow_offset == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"fuse_at": "conv9"}, UnknownNameError, "both towers have.*conv9"),
        ({"fuse_at": "conv5_9"}, UnknownNameError, "both towers have"),
        ({"backbones": ("vgg16",)}, SpecError, "must be two of vgg16, cnn_m"),
        ({"temporal_pool": "1d"}, SpecError, "one of None, 2d, 3d"),
        (
            {"temporal_pool": None, "clip_length": 2},
            SpecError,
            "takes one step.*clip_length=2",
        ),
        (
            {"fusion": "bilinear", "fuse_at": "fc8"},
            SpecError,
            "fused by sum, max or conv",
        ),
        ({"fusion": "mean"}, SpecError, "`fusion` must be one of"),
        (
            {"fusion": "bilinear", "fuse_at": ("conv5", "fc6")},
            SpecError,
            "no maps to fuse again",
        ),
        ({"fuse_at": ("conv5", "conv5")}, SpecError, "a layer twice"),
        ({"fuse_at": ()}, SpecError, "one layer or more.*fc8"),
    ],
)
def test_impossible_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        build(**options)
