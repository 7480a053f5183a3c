import keras
import numpy as np
import pytest

from keras_twostream.errors import SpecError
from keras_twostream.training import CrossEntropy
from keras_twostream.training._losses import Accuracy

pytestmark = pytest.mark.agnostic

LOGITS = np.array([[2.0, 0.5, -1.0], [0.0, 3.0, 1.0]], "float32")


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_is_categorical_cross_entropy_of_smoothed_labels(smoothing):
    ours = CrossEntropy(smoothing)(np.array([0, 2]), LOGITS)
    keras_loss = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=smoothing
    )
    theirs = keras_loss(np.eye(3, dtype="float32")[[0, 2]], LOGITS)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


def test_negative_labels_add_nothing():
    loss = CrossEntropy()
    both = float(loss(np.array([0, -1]), LOGITS))
    first = float(loss(np.array([0]), LOGITS[:1]))
    assert both == pytest.approx(first / 2)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 2.0, 5.0])])
def test_negative_labels_do_not_count_in_the_accuracy(weights):
    metric = Accuracy()
    logits = np.concatenate([LOGITS, LOGITS[:1]])
    metric.update_state(np.array([0, 1, -1]), logits, weights)
    assert float(metric.result()) == 1.0


def test_labels_beyond_the_classes_are_not_silent():
    assert np.isnan(float(CrossEntropy()(np.array([0, 3]), LOGITS)))


def test_vectors_are_no_class_numbers():
    with pytest.raises(SpecError, match="labels of shape .2, 3.*multi_label"):
        CrossEntropy()(np.eye(3, dtype="float32")[[0, 2]], LOGITS)
