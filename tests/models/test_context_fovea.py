"""Karpathy's fusions in time: what sees how many frames, what is shared."""

import keras
import numpy as np
import pytest
from weightless import weightless

import keras_twostream as kts
from keras_twostream.errors import SpecError

pytestmark = pytest.mark.portable


def build(small=True, **options):
    if not small:  # some 100 million weights
        with weightless():
            return kts.models.context_fovea(3, **options)
    options["clip_spec"] = {"crop": (64, 64)}
    return kts.models.context_fovea(3, **options)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def shape(model, name):
    return tuple(model.get_layer(f"rgb_{name}").output.shape[1:])


@pytest.fixture(scope="module")
def multiresolution():
    return build(small=False, multiresolution=True)


def test_170_pixels_end_in_7x7():
    model = build(small=False)
    assert model.inputs[0].shape == (None, 1, 170, 170, 3)
    assert shape(model, "conv1") == (57, 57, 96)
    assert shape(model, "pool2") == (14, 14, 256)
    assert shape(model, "pool5") == (7, 7, 256)


@pytest.mark.agnostic
def test_raw_pixels_give_moderate_scores_at_the_start():
    """Other initialisers give tens, and the first steps then thousands."""
    model = build()
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 255, (4, 1, 64, 64, 3)).astype("float32")
    scores = numpy(model({"rgb": pixels}))
    assert 1e-4 < np.abs(scores).max() < 5
    for layer, start in (("conv1", 0), ("conv2", 1), ("conv5", 1), ("fc7", 1)):
        assert (numpy(model.get_layer(f"rgb_{layer}").bias) == start).all()


def test_context_and_fovea_lack_the_last_pool(multiresolution):
    assert multiresolution.inputs[0].shape == (None, 1, 178, 178, 3)
    for part in ("context", "fovea"):
        assert shape(multiresolution, f"{part}_conv1") == (30, 30, 96)
        assert shape(multiresolution, f"{part}_conv5") == (7, 7, 256)
    assert shape(multiresolution, "context_fovea") == (7, 7, 512)
    names = {layer.name for layer in multiresolution.layers}
    assert not any(name.endswith("pool5") for name in names)


def test_normalisation_is_the_paper_s(multiresolution):
    norm = multiresolution.get_layer("rgb_fovea_norm1")
    out = numpy(norm(np.full((1, 1, 1, 96), 100.0, "float32")))
    expected = 100 / (2 + 1e-4 * 5 * 100**2) ** 0.5
    np.testing.assert_allclose(out[..., 2:-2], expected, rtol=1e-5)


@pytest.mark.agnostic
def test_late_fusion_shares_its_towers():
    model = build(fusion="late")
    spec = kts.clip_spec(model)
    np.testing.assert_array_equal(spec.rgb_frames()[:, 0], [0, 15])
    convs = [x for x in model.layers if x.name.startswith("rgb_conv")]
    assert len([x for x in convs if hasattr(x, "kernel")]) == 5
    frame = np.random.default_rng(0).uniform(0, 255, (1, 1, 64, 64, 3))
    clip = np.repeat(frame, 2, axis=1).astype("float32")
    pool = kts.taps(model, ["rgb.pool5"]).predict_on_batch({"rgb": clip})
    one, other = pool["rgb.pool5"][0]
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    # The first dense layer sees both.
    assert model.get_layer("rgb_fc6").kernel.shape[0] == 2 * one.size


def test_slow_fusion_sees_four_then_two_then_two_frames():
    model = build(fusion="slow")
    windows = [
        tuple(model.get_layer(f"rgb_{conv}_window").output.shape[1:])
        for conv in ("conv1", "conv2", "conv3")
    ]
    assert [w[0] for w in windows] == [4, 2, 1]
    assert [w[-1] for w in windows] == [4 * 3, 2 * 96, 2 * 256]


def test_early_fusion_collapses_time_at_once():
    model = build(fusion="early")
    assert model.get_layer("rgb_conv1").kernel.shape == (11, 11, 30, 96)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fusion": "middle"}, "`fusion` must be one of single, early"),
        ({"fusion": "slow", "clip_length": 4}, "`clip_length` must be 10"),
        ({"streams": ("flow",)}, "`streams` must be"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        build(**options)
