"""Folding leaves the numbers as they are and the normalisation out."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from small_model import SPEC, small_model
from tiny_net import tiny_net

from keras_twostream import inspection
from keras_twostream.deploy import folded
from keras_twostream.folding import Folding
from keras_twostream.layers import (
    BatchNormalization,
    FoldTime,
    GroupedConv2D,
    SharedSum,
    SlidingDense,
    SpatialConv,
    TemporalConv,
    UnfoldTime,
)

pytestmark = pytest.mark.agnostic

LAST = {"data_format": "channels_last"}


def randomized(model):
    """The model with telling statistics, as after training."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            randomized(layer)
            continue
        layer.set_weights(
            [
                rng.uniform(0.3, 2, weight.shape)
                if "variance" in weight.path or "gamma" in weight.path
                else rng.normal(0, 0.5, weight.shape)
                for weight in layer.weights
            ]
        )
    return model


def norms(model):
    return [
        layer.name
        for layer in model.layers
        if isinstance(layer, layers.BatchNormalization)
    ]


def clips(model):
    rng = np.random.default_rng(1)
    sizes = [
        [2, *(12 + i if n is None else n for i, n in enumerate(x.shape[1:]))]
        for x in model.inputs
    ]
    return [rng.normal(0, 1, size).astype("float32") for size in sizes]


def scores(model, clips):
    return keras.ops.convert_to_numpy(model(clips, training=False))


def assert_equal(model, copy):
    inputs = clips(model)
    expected = scores(model, inputs)
    limit = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(scores(copy, inputs), expected, atol=limit)


def chain(shape, *parts):
    start = x = keras.Input(shape)
    for part in parts:
        x = part(x)
    return randomized(keras.Model(start, x))


FOLDED = {
    "volume": (
        (4, 6, 7, 3),
        lambda: [
            layers.Conv3D(5, 3, 2, "same", use_bias=False, **LAST),
            BatchNormalization(scale=False, name="n"),
            layers.ReLU(),
        ],
    ),
    "space, then time": (
        (4, 6, 7, 3),
        lambda: [
            SpatialConv(5, 3, 2),
            BatchNormalization(name="n"),
            layers.ReLU(),
            TemporalConv(4, use_bias=True),
            FoldTime(),
            BatchNormalization(center=False, name="m"),
            UnfoldTime(4),
        ],
    ),
    "groups": (
        (6, 7, 4),
        lambda: [
            GroupedConv2D(6, 3, 2),
            layers.BatchNormalization(name="n"),
            SlidingDense(3, (4, 5)),
            BatchNormalization(name="m"),
        ],
    ),
    "dense": (
        (6,),
        lambda: [layers.Dense(4), BatchNormalization(name="n")],
    ),
}


@pytest.mark.parametrize("kind", FOLDED)
def test_normalisation_becomes_part_of_the_layer_before_it(kind):
    shape, parts = FOLDED[kind]
    model = chain(shape, *parts())
    copy = folded(model)
    assert norms(model) and not norms(copy)
    assert_equal(model, copy)


def test_what_cannot_be_folded_stays():
    shared = layers.Conv2D(3, 1, **LAST, name="shared")
    start = keras.Input((5, 6, 3))
    x = BatchNormalization(name="first")(start)
    x = layers.Conv2D(3, 3, activation="relu", **LAST)(x)
    x = BatchNormalization(name="after_relu")(x)
    both = layers.Conv2D(3, 1, **LAST, name="read_twice")(x)
    normal = BatchNormalization(name="beside")(both)
    twice = layers.Add()([shared(normal), shared(both)])
    x = BatchNormalization(name="after_sum")(twice)
    half = layers.Conv2D(3, 1, dtype="bfloat16", **LAST, name="half")
    x = BatchNormalization(name="after_half", dtype="bfloat16")(half(x))
    model = keras.Model(start, x)
    assert norms(folded(model)) == norms(model)
    assert len(norms(model)) == 5


def test_layers_that_compute_in_half_precision_are_folded_as_exactly():
    model = randomized(tiny_net(3))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = tiny_net(3)
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(model.get_weights())
    copy = folded(half)
    assert norms(half) and not norms(copy)
    inputs = clips(model)
    exact, plain, quick = (scores(net, inputs) for net in (model, half, copy))
    rounding = np.abs(plain - exact).max()
    assert 0 < np.abs(quick - exact).max() <= 2 * rounding
    assert rounding < 0.02 * np.abs(exact).max()


def test_an_output_that_is_normalised_too_stays_as_it_is():
    start = keras.Input((5, 6, 3))
    x = layers.Conv2D(3, 3, **LAST)(start)
    model = randomized(keras.Model(start, [x, BatchNormalization()(x)]))
    copy, inputs = folded(model), clips(model)
    assert norms(copy) == norms(model) and len(norms(model)) == 1
    for mine, theirs in zip(
        copy(inputs[0]), model(inputs[0], training=False), strict=True
    ):
        expected = keras.ops.convert_to_numpy(theirs)
        mine = keras.ops.convert_to_numpy(mine)
        np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-5)


def test_a_model_inside_a_model_is_folded():
    inner = chain((6, 7, 3), layers.Conv2D(4, 3, **LAST), BatchNormalization())
    model = chain((6, 7, 3), inner, layers.Dense(2))
    copy = folded(model)
    assert not norms(copy.layers[1]) and norms(model.layers[1])
    assert_equal(model, copy)
    folding = Folding(model)
    inner.layers[1].bias.assign([3.0, 1.0, 2.0, 0.5])
    assert_equal(model, folding.refresh())


def test_a_stack_inside_a_model_is_folded():
    inner = keras.Sequential(
        [layers.Conv2D(4, 3, **LAST), BatchNormalization(), layers.ReLU()]
    )
    model = chain((6, 7, 3), inner, layers.Dense(2))
    copy = folded(model)
    assert not norms(copy.layers[1]) and norms(model.layers[1])
    assert_equal(model, copy)
    assert_equal(inner, folded(inner))


def test_a_network_keeps_its_names_card_and_trained_head():
    model = randomized(tiny_net(3))
    inspection.update_card(model, classes=["a", "b", "c"], head_trained=True)
    copy = folded(model)
    assert [x.name for x in copy.inputs] == ["rgb", "flow"]
    assert inspection.class_names(copy) == ["a", "b", "c"]
    assert inspection.head_is_trained(copy)
    assert inspection.clip_spec(copy) == inspection.clip_spec(model)
    kept = [x.name for x in model.layers if x.name not in norms(model)]
    assert [x.name for x in copy.layers] == kept
    assert norms(model) and not norms(copy)
    assert_equal(model, copy)


def test_a_folding_follows_the_weights():
    model = randomized(tiny_net(3))
    folding = Folding(model)
    model.get_layer("rgb_bn1").gamma.assign([3.0, 1.0, 2.0, 0.5])
    assert_equal(model, folding.refresh())
    model.get_layer("flow_fc").kernel.assign(np.ones((4, 3)))
    assert_equal(model, folding.refresh())


def test_nothing_to_fold_is_a_copy():
    model = small_model(SPEC)
    copy = folded(model)
    assert copy is not model and Folding(model).count == 0
    assert_equal(model, copy)


def test_a_sum_that_two_layers_read_saves_and_stays_a_sum(tmp_path):
    start = keras.Input((6, 7, 3))
    x = layers.Conv2D(3, 1, **LAST)(start)
    first = layers.Add(name="first")([BatchNormalization()(x), start])
    second = layers.Add(name="second")([layers.ReLU()(first), first])
    model = randomized(keras.Model(start, second))
    copy = folded(model)
    assert type(copy.get_layer("first")) is SharedSum
    assert type(copy.get_layer("second")) is layers.Add
    assert_equal(model, copy)
    copy.save(tmp_path / "folded.keras")
    assert_equal(model, keras.models.load_model(tmp_path / "folded.keras"))


FUSING = """
import numpy as np

import keras_twostream as kts

model = kts.deploy.folded(kts.load("spatiotemporal_resnet.actors"))
video = np.zeros((40, 96, 128, 3), "uint8")
clips = kts.clips(video, model)
model.predict_on_batch(clips)
"""


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorFlow's optimiser"
)
def test_tensorflow_can_fuse_the_folded_network():
    done = subprocess.run(
        [sys.executable, "-c", FUSING],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "oneDNN" in done.stderr  # its log can be seen
    assert "remapper failed" not in done.stderr
