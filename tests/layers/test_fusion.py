"""The operators that fuse two streams, against their definitions."""

import keras
import numpy as np
import pytest

from keras_twostream.errors import SpecError
from keras_twostream.layers import StackedIdentity, StreamFusion

pytestmark = pytest.mark.agnostic


def maps(*shape, low=0.0):
    rng = np.random.default_rng(0)
    return [rng.uniform(low, 1, shape).astype("float32") for _ in range(2)]


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def fused(method, pair, **options):
    layer = StreamFusion(method, **options)
    out = numpy(layer(pair))
    shapes = [x.shape for x in pair]
    assert layer.compute_output_shape(shapes)[1:] == out.shape[1:]
    return out


@pytest.mark.parametrize(
    ("method", "definition"),
    [
        ("sum", np.add),
        ("max", np.maximum),
        ("concat", lambda a, b: np.concatenate([a, b], axis=-1)),
        ("conv", np.add),
    ],
)
def test_operators_do_what_they_are_called(method, definition):
    a, b = maps(2, 3, 4, 5)
    out = fused(method, [a, b])
    # A 1x1 convolution starts as the sum of the streams.
    np.testing.assert_allclose(out, definition(a, b), rtol=1e-5)


@pytest.mark.parametrize("method", ["conv", "conv3d"])
def test_learned_fusions_end_in_a_relu(method):
    a, b = maps(1, 3, 3, 3, 2, low=-1)
    linear = fused(method, [a, b], activation=None)
    assert linear.min() < -0.01
    np.testing.assert_allclose(
        fused(method, [a, b]), np.maximum(linear, 0), atol=1e-6
    )


def test_conv3d_starts_as_a_quarter_and_three_quarters():
    a, b = (np.full((1, 5, 6, 6, 3), v, "float32") for v in (2.0, 4.0))
    out = fused("conv3d", [a, b])
    inside = out[:, 1:-1, 1:-1, 1:-1]
    np.testing.assert_allclose(inside, 0.25 * 2 + 0.75 * 4, rtol=1e-5)
    assert (out[:, 0] < 0.9 * inside.max()).all()


def test_conv3d_blurs_by_a_gaussian_of_one_tap():
    kernel = numpy(StackedIdentity()((3, 3, 3, 2, 1)))
    assert kernel.sum((0, 1, 2)) == pytest.approx(np.array([[0.25], [0.75]]))
    centre = kernel[1, 1, 1, 0, 0]
    assert kernel[0, 1, 1, 0, 0] == pytest.approx(centre * np.exp(-0.5))
    assert kernel[0, 0, 2, 0, 0] == pytest.approx(centre * np.exp(-1.5))


def test_channels_are_never_mixed_at_the_start():
    kernel = numpy(StackedIdentity((1, 2), split=3)((5, 4)))
    np.testing.assert_array_equal(kernel[:3], np.eye(3, 4))
    np.testing.assert_array_equal(kernel[3:], 2 * np.eye(2, 4))


def test_the_smaller_map_is_padded_below_and_to_the_right():
    a, _ = maps(1, 3, 3, 2)
    b, _ = maps(1, 2, 2, 2)
    out = fused("sum", [a, b])
    np.testing.assert_array_equal(out[:, 2], a[:, 2])
    np.testing.assert_array_equal(out[:, :, 2], a[:, :, 2])
    np.testing.assert_allclose(out[:, :2, :2], a[:, :2, :2] + b, rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 2, 2, 5)])
def test_bilinear_is_a_normalised_sum_of_outer_products(shape):
    a, b = maps(*shape, low=-1)
    out = fused("bilinear", [a, b])
    expected = np.einsum("bpc,bpd->bcd", *(x.reshape(2, -1, 5) for x in (a, b)))
    expected = expected.reshape(2, 25)
    expected = np.sign(expected) * np.sqrt(np.abs(expected))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, rtol=1e-5)


def test_bilinear_takes_maps_of_different_widths():
    a, b = np.ones((1, 2, 2, 3), "float32"), np.ones((1, 2, 2, 2), "float32")
    np.testing.assert_allclose(fused("bilinear", [a, b]), 6**-0.5, rtol=1e-5)


def test_bilinear_trains_where_features_are_zero():
    inputs = keras.Input((3, 3, 2))
    a, b = (keras.layers.Dense(2, activation="relu")(inputs) for _ in range(2))
    outputs = keras.layers.Dense(2)(StreamFusion("bilinear")([a, b]))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    model.train_on_batch(np.zeros((2, 3, 3, 2), "f4"), np.ones((2, 2), "f4"))
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_scores_are_fused_without_a_relu():
    out = fused("conv", maps(2, 1, 4, low=-9), activation=None)
    assert (out < 0).any()


def test_a_fusion_survives_saving(tmp_path):
    shapes = [(2, 4, 4, 3), (2, 4, 4, 5)]
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, StreamFusion("conv3d")(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    batch = [np.ones((1, *shape), "float32") for shape in shapes]
    np.testing.assert_allclose(
        numpy(model(batch)), numpy(again(batch)), rtol=1e-5
    )


def test_options_come_back_from_the_config():
    layer = StreamFusion("conv", activation="tanh", kernel_initializer="zeros")
    again = StreamFusion.from_config(layer.get_config())
    ones = np.ones((1, 2, 2, 3), "float32")
    assert not numpy(again([ones, ones])).any()
    again.bias.assign(keras.ops.ones((3,)))
    np.testing.assert_allclose(numpy(again([ones, ones])), np.tanh(1.0), 1e-5)


@pytest.mark.parametrize(
    ("method", "shapes", "message"),
    [
        ("mean", [(1, 2, 2, 3)] * 2, "must be one of sum, max, .*'mean'"),
        (
            "sum",
            [(1, 2, 2, 3), (1, 2, 2, 4)],
            "same rank, and of the same channels",
        ),
        ("conv3d", [(1, 2, 2, 3)] * 2, "conv3d fusion needs maps"),
    ],
)
def test_impossible_fusions_are_refused(method, shapes, message):
    with pytest.raises(SpecError, match=message):
        StreamFusion(method)([np.ones(shape, "float32") for shape in shapes])
