"""Temporal segments: BN-Inception's traps, consensus, RGB difference."""

import keras
import numpy as np
import pytest
from weightless import weightless

import keras_twostream as kts
from keras_twostream.errors import SpecError
from keras_twostream.inspection import head_layers
from keras_twostream.layers import CeilMaxPooling2D
from keras_twostream.models import _temporal_segment
from keras_twostream.models.backbones import bn_inception

pytestmark = pytest.mark.portable

RNG = np.random.default_rng(0)


def build(**options):
    options = {"streams": ("rgb",), "backbone": "resnet50", **options}
    return kts.models.temporal_segment(4, **options)


@pytest.fixture(scope="module")
def model():
    return build(streams=("rgb", "flow"), consensus="attention")


@pytest.fixture(scope="module")
def tower():
    inputs = keras.Input((224, 224, 3))
    with weightless():
        return keras.Model(inputs, bn_inception.features(inputs, "rgb"))


def test_ceil_pooling_gives_the_authors_sizes(tower):
    def shape(name):
        return tuple(tower.get_layer(f"rgb_{name}").output.shape[1:])

    assert shape("pool1_3x3_s2") == (56, 56, 64)
    assert shape("pool2_3x3_s2") == (28, 28, 192)
    assert shape("inception_3b") == (28, 28, 320)
    assert shape("inception_3c") == (14, 14, 576)
    assert shape("inception_4d") == (14, 14, 608)
    assert shape("inception_4e") == (7, 7, 1056)
    assert shape("inception_5b") == (7, 7, 1024)


def test_a_crop_of_112_pixels_halves_every_map():
    frames = keras.Input((112, 112, 3))
    with weightless():
        net = keras.Model(frames, bn_inception.features(frames, "rgb"))
    sides = {"3b": 14, "3c": 7, "4d": 7, "4e": 4, "5b": 4}
    for module, side in sides.items():
        maps = net.get_layer(f"rgb_inception_{module}").output
        assert maps.shape[1:3] == (side, side), module


def test_the_last_module_and_those_that_stride_pool_by_maximum(tower):
    pools = {
        module: type(tower.get_layer(f"rgb_inception_{module}_pool")).__name__
        for module in bn_inception.MODULES
    }
    for module in ("3c", "4e", "5b"):
        assert pools.pop(module) == "MaxPooling2D"
    assert set(pools.values()) == {"AveragePooling2D"}


def test_every_convolution_has_a_bias_and_a_normalisation(tower):
    convs = [x for x in tower.layers if isinstance(x, keras.layers.Conv2D)]
    assert len(convs) == 69
    for conv in convs:
        assert conv.use_bias
        bn = tower.get_layer(f"{conv.name}_bn")
        assert bn.epsilon == pytest.approx(1e-5)


@pytest.mark.agnostic
def test_segments_that_are_copies_score_as_one(model):
    clips = {
        "rgb": RNG.uniform(0, 255, (1, 1, 32, 32, 3)),
        "flow": RNG.normal(0, 4, (1, 1, 32, 32, 10)),
    }
    clips = {k: np.repeat(v, 3, 1).astype("f4") for k, v in clips.items()}
    names = ["rgb.fc", "rgb.fc_consensus"]
    out = kts.taps(model, names).predict_on_batch(clips)
    segments, video = (np.asarray(out[name]) for name in names)
    assert segments.shape == (1, 3, 4)
    for segment in range(3):
        np.testing.assert_allclose(
            video, segments[:, segment], rtol=1e-3, atol=1e-5
        )


@pytest.mark.agnostic
def test_differences_are_made_inside():
    model = build(modality="rgb_diff", clip_length=2)
    assert model.inputs[0].shape == (None, 2, None, None, 18)
    assert model.get_layer("rgb_conv1").kernel.shape[2] == 15
    frames = RNG.uniform(0, 255, (2, 2, 32, 32, 3)).astype("float32")
    still = np.tile(frames, (1, 1, 1, 1, 6))
    out = model.predict_on_batch({"rgb": still})
    np.testing.assert_allclose(out[0], out[1], atol=1e-5)


def test_the_clip_and_the_fusion_are_the_paper_s(model):
    spec = kts.clip_spec(model)
    assert (spec.clip_length, spec.flow_length) == (3, 5)
    assert spec.sampling == "segments"
    assert spec.stream_weights == (1, 1.5)
    assert spec.score_fusion == "logits"
    assert model.get_layer("rgb_dropout").rate == pytest.approx(0.8)
    assert model.get_layer("flow_dropout").rate == pytest.approx(0.7)
    assert model.get_layer("flow_fc_consensus").method == "attention"


def test_the_head_starts_as_small_as_the_authors():
    head = _temporal_segment._consensus_head("average", 2)
    features = keras.Input((256,))
    model = keras.Model(features, head(features, 64, "fc"))
    deviation = np.std(keras.ops.convert_to_numpy(model.get_layer("fc").kernel))
    assert deviation == pytest.approx(0.001, rel=0.05)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"modality": "depth"}, "`modality` must be one of rgb, rgb_diff"),
        ({"backbone": "vgg"}, "`backbone` must be one of bn_inception"),
        (
            {"modality": "rgb_diff", "clip_spec": {"frames_per_step": 1}},
            "must be 2 or more.*frames_per_step=1",
        ),
    ],
)
def test_unknown_choices_are_listed(option, message):
    with pytest.raises(SpecError, match=message):
        build(**option)


def test_weights_of_as_many_segments_as_classes_are_no_head():
    model = kts.models.temporal_segment(
        3, consensus="weighted", backbone="resnet50", streams=("rgb",)
    )
    assert head_layers(model) == {"rgb_fc"}


@pytest.mark.agnostic
@pytest.mark.parametrize("side", [8, 7])
def test_strided_pools_stand_where_the_convolutions_beside_them_do(side):
    frames = keras.Input((side, side, 4))
    net = keras.Model(
        frames,
        [
            bn_inception._pool_branch(frames, "pooled", 0, False),
            CeilMaxPooling2D(3, 2)(frames),
        ],
    )
    x = np.random.default_rng(0).normal(size=(1, side, side, 4))
    pooled, caffe = net.predict_on_batch(x.astype("float32"))
    if side == 8:
        np.testing.assert_array_equal(pooled, caffe)
    padded = np.pad(x[0], [(side % 2, 1), (side % 2, 1), (0, 0)],
                    constant_values=-np.inf)  # fmt: skip
    expected = [
        [
            padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((0, 1))
            for j in range(4)
        ]
        for i in range(4)
    ]
    np.testing.assert_allclose(pooled[0], expected, rtol=1e-6)
