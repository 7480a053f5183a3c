"""Actions as transformations, against loops over classes and boundaries."""

import keras
import numpy as np
import pytest

from keras_twostream.layers import (
    ActionTransformations,
    DistanceLogits,
    SegmentMeans,
)

pytestmark = pytest.mark.agnostic


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_segments_are_means_of_their_frames():
    x = numbers(2, 6, 3)
    layer = SegmentMeans([(0, 2), (0, 3), (4, 6)])
    expected = [x[:, :2].mean(1), x[:, :3].mean(1), x[:, 4:].mean(1)]
    out = numpy(layer(x))
    np.testing.assert_allclose(out, np.stack(expected, 1), atol=1e-6)
    assert layer.compute_output_shape(x.shape) == out.shape


def test_distances_are_cosine_distances_of_every_pair():
    before, after = numbers(2, 3, 4), numbers(2, 2, 4)[:, ::-1].copy()
    layer = ActionTransformations(5)
    layer.build([before.shape, after.shape])
    matrices = numbers(5, 4, 4)
    layer.set_weights([matrices])
    out = numpy(layer([before, after]))
    assert out.shape == (2, 3, 2, 5)
    for index in np.ndindex(out.shape):
        b, p, e, n = index
        expected = 1 - cosine(before[b, p] @ matrices[n], after[b, e])
        assert out[index] == pytest.approx(expected, abs=1e-5)


def test_transformations_start_near_the_identity_but_apart():
    layer = ActionTransformations(3)
    layer.build([(None, 1, 64), (None, 1, 64)])
    matrices = numpy(layer.kernel)
    assert np.abs(matrices - np.eye(64)).max() < 0.1
    assert np.abs(matrices[0] - matrices[1]).max() > 0.01


def test_a_zero_embedding_has_no_nan():
    zero = np.zeros((1, 1, 4), "float32")
    out = numpy(ActionTransformations(2)([zero, zero]))
    np.testing.assert_allclose(out, 1.0)


def test_each_class_takes_its_own_boundaries():
    distances = abs(numbers(2, 3, 4, 5))
    out = numpy(DistanceLogits(10.0)(distances))
    np.testing.assert_allclose(out, -10 * distances.min((1, 2)), rtol=1e-5)


def test_every_boundary_on_request():
    distances = abs(numbers(1, 2, 2, 3))
    layer = DistanceLogits(2.0, every_boundary=True)
    np.testing.assert_allclose(numpy(layer(distances)), -2 * distances)
    assert layer.compute_output_shape(distances.shape) == distances.shape


@pytest.mark.parametrize(
    "layer",
    [
        SegmentMeans([(0, 1), (1, 4)]),
        ActionTransformations(3),
        DistanceLogits(5.0, every_boundary=True),
    ],
)
def test_layers_come_back_from_their_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
