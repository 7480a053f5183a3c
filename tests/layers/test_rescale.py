"""The factor of features: saved with the weights, and never trained."""

import keras
import numpy as np
import pytest

from keras_twostream.layers._rescale import Rescale

pytestmark = pytest.mark.agnostic


def test_the_factor_multiplies_and_is_not_trained():
    layer = Rescale()
    ones = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(ones)), ones)
    layer.factor.assign([2.5])
    result = keras.ops.convert_to_numpy(layer(ones))
    np.testing.assert_array_equal(result, 2.5 * ones)
    assert layer.trainable_weights == []
    assert layer.weights[0] is layer.factor
