"""Optimisers, against their update rules in NumPy."""

import keras
import numpy as np
import pytest

from keras_twostream import training
from keras_twostream.training._optimizers import CaffeSGD, optimizer

pytestmark = pytest.mark.agnostic

ADAMW = training.Recipe(
    "x",
    optimizer="adamw",
    learning_rate=0.1,
    schedule={"name": "constant"},
    weight_decay=0.5,
)


def _apply(opt, values, gradients, times=1):
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, name="flow_conv1")]
    )
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(np.full(variable.shape, value))
    opt.build(model.trainable_variables)
    for _ in range(times):
        grads = [
            keras.ops.full(variable.shape, gradient)
            for variable, gradient in zip(
                model.trainable_variables, gradients, strict=True
            )
        ]
        opt.apply(grads)
    return [
        float(np.ravel(keras.ops.convert_to_numpy(variable))[0])
        for variable in model.trainable_variables
    ]


def test_decay_is_part_of_the_gradient_and_spares_the_bias():
    kernel, bias = _apply(
        CaffeSGD(0.1, momentum=0.9, l2=0.5), [2.0, 2.0], [0.0, 0.0], 2
    )
    # Step 1: g = 0.5 * 2, v = -0.1. Step 2: g = 0.95, v = -0.09 - 0.095.
    assert kernel == pytest.approx(2.0 - 0.1 - 0.185, rel=1e-6)
    assert bias == 2.0


def test_first_multiplier_that_matches_counts():
    opt = CaffeSGD(0.1, multipliers={"conv1/kernel$": 5.0, "conv1": 2.0})
    kernel, bias = _apply(opt, [0.0, 0.0], [1.0, 1.0])
    assert kernel == pytest.approx(-0.5)
    assert bias == pytest.approx(-0.2)


def test_adamw_multiplies_and_spares_the_bias():
    recipe = training.load_recipe("actors").replace(
        schedule={"name": "constant"},
        learning_rate=0.1,
        weight_decay=0.5,
        multipliers={"bias$": 3.0},
    )
    kernel, bias = _apply(optimizer(recipe), [1.0, 1.0], [0.0, 1.0])
    assert kernel == pytest.approx(1.0 - 0.1 * 0.5)
    assert bias == pytest.approx(1.0 - 0.3, rel=1e-4)


def test_gradients_are_clipped_together():
    recipe = training.load_recipe("two_stream").replace(
        schedule={"name": "constant"}, clip_norm=1.0, weight_decay=0.0
    )
    kernel, bias = _apply(optimizer(recipe), [0.0, 0.0], [3.0, 4.0])
    assert (kernel, bias) == pytest.approx((-0.006, -0.008), rel=1e-4)


def test_optimizers_come_back_from_their_config():
    opt = CaffeSGD(0.1, l2=0.5, multipliers={"x": 2.0})
    copy = CaffeSGD.from_config(opt.get_config())
    assert (copy.l2, dict(copy.multipliers)) == (0.5, {"x": 2.0})


def test_decay_is_at_the_variables_own_rate():
    recipe = ADAMW.replace(multipliers={"/kernel$": 0.1})
    kernel, bias = _apply(optimizer(recipe), [2.0, 2.0], [0.0, 0.0])
    assert kernel == pytest.approx(2.0 - 0.1 * 0.1 * 0.5 * 2.0, rel=1e-6)
    assert bias == 2.0


def test_adamw_is_kerass_where_all_variables_are_alike():
    ours, _ = _apply(optimizer(ADAMW), [2.0, 2.0], [0.3, 0.3], 3)
    theirs = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    kernel, _ = _apply(theirs, [2.0, 2.0], [0.3, 0.3], 3)
    assert ours == pytest.approx(kernel, rel=1e-5)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_kerass(nesterov):
    options = {"momentum": 0.9, "nesterov": nesterov}
    ours = _apply(CaffeSGD(0.1, **options), [2.0, 1.0], [0.3, -0.4], 3)
    theirs = keras.optimizers.SGD(0.1, **options)
    expected = _apply(theirs, [2.0, 1.0], [0.3, -0.4], 3)
    assert ours == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_two_batches_make_one_step(name):
    recipe = ADAMW.replace(optimizer=name, clip_norm=0.1)
    once = _apply(optimizer(recipe), [2.0, 2.0], [0.3, 0.3], 2)
    halves = optimizer(recipe.replace(accumulate=2))
    assert _apply(halves, [2.0, 2.0], [0.3, 0.3], 4) == pytest.approx(once)


@pytest.mark.parametrize("name", ["steps", "cosine"])
def test_a_schedule_counts_steps_not_the_batches_of_a_step(name):
    recipe = ADAMW.replace(
        optimizer="sgd",
        momentum=0.0,
        weight_decay=0.0,
        steps=4,
        schedule={"name": name, **({"at": [2]} if name == "steps" else {})},
    )
    once = _apply(optimizer(recipe), [0.0, 0.0], [1.0, 1.0], 4)
    quarters = optimizer(recipe.replace(accumulate=4))
    assert _apply(quarters, [0.0, 0.0], [1.0, 1.0], 16) == pytest.approx(once)
