"""Caffe's pooling and normalisation against plain loops."""

import gc
import math
import weakref

import keras
import numpy as np
import pytest
from gradients import gradient
from keras import ops

from keras_twostream.layers import (
    CeilMaxPooling2D,
    LocalResponseNormalization,
)

pytestmark = pytest.mark.agnostic


def caffe_pool(x, size, stride):
    """The definition: windows start at i * stride and end at the border."""
    outputs = [math.ceil((side - size) / stride) + 1 for side in x.shape[1:3]]
    out = np.empty((x.shape[0], *outputs, x.shape[3]), x.dtype)
    for i in range(outputs[0]):
        for j in range(outputs[1]):
            window = x[
                :,
                i * stride : i * stride + size,
                j * stride : j * stride + size,
            ]
            out[:, i, j] = window.max((1, 2))
    return out


@pytest.mark.parametrize("side", [6, 7, 8, 13, 26, 55])
@pytest.mark.parametrize(("size", "stride"), [(3, 2), (2, 2)])
def test_pooling_rounds_up_at_the_far_edge(side, size, stride):
    x = np.random.default_rng(0).normal(size=(1, side, side, 2))
    layer = CeilMaxPooling2D(size, stride)
    out = keras.ops.convert_to_numpy(layer(x.astype("float32")))
    np.testing.assert_allclose(out, caffe_pool(x, size, stride), rtol=1e-5)
    assert layer.compute_output_shape(x.shape) == out.shape


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_lrn_of_strong_features_in_half_precision(half):
    x = np.random.default_rng(0).uniform(100, 900, (1, 2, 2, 9))
    full = LocalResponseNormalization()(x.astype("float32"))
    ours = LocalResponseNormalization(dtype=half)(x.astype("float32"))
    assert keras.backend.standardize_dtype(ours.dtype) == half
    full, ours = (
        keras.ops.convert_to_numpy(keras.ops.cast(out, "float32"))
        for out in (full, ours)
    )
    np.testing.assert_allclose(ours, full, rtol=0.02)


def test_lrn_divides_alpha_by_the_window():
    x = np.random.default_rng(0).normal(size=(1, 1, 1, 7)) * 50
    layer = LocalResponseNormalization(5, 2.0, 1e-2, 0.75)
    out = keras.ops.convert_to_numpy(layer(x.astype("float32")))
    for c in range(7):
        near = x[..., max(0, c - 2) : c + 3]
        scale = 2.0 + 1e-2 / 5 * (near**2).sum()
        expected = x[..., c] / scale**0.75
        np.testing.assert_allclose(out[..., c], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("size", "k", "alpha", "beta"),
    [(5, 2.0, 5e-4, 0.75), (3, 1.0, 0.1, 0.5), (1, 1.0, 1e-2, 1.0)],
)
def test_the_gradient_of_lrn_in_training_is_that_of_its_formula(
    size, k, alpha, beta
):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 20, (2, 3, 3, 7)).astype("float32")
    weights = ops.array(rng.normal(size=x.shape), "float32")
    layer = LocalResponseNormalization(size, k, alpha, beta)

    def gradient_of(training):
        return gradient(
            lambda x: ops.sum(layer(x, training=training) * weights), x
        )

    found, expected = gradient_of(True), gradient_of(False)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    out = [ops.convert_to_numpy(layer(x, training=t)) for t in (True, False)]
    np.testing.assert_array_equal(*out)


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="another has no such graph"
)
def test_lrn_lets_go_of_its_output_after_a_step_on_pytorch():
    x = keras.Variable(np.ones((1, 2, 2, 7), "float32"))
    gc.disable()
    try:
        out = LocalResponseNormalization()(x.value, training=True)
        ops.sum(out).backward()
        alive = weakref.ref(out)
        del out
        assert alive() is None
    finally:
        gc.enable()
