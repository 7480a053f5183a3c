"""Labels and weights per output; last batches that are filled up."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_twostream import training
from keras_twostream.errors import SpecError
from keras_twostream.training._batches import filled_up, labelled


def _rows(count):
    rng = np.random.default_rng(0)
    clips = rng.normal(size=(count, 3)).astype("float32")
    return clips, (clips[:, 0] > 0).astype("int32")


def _dataset(clips, labels, batch):
    dataset = tf.data.Dataset.from_tensor_slices((clips, labels)).batch(batch)
    dataset.skipped = {}
    return dataset


@pytest.mark.agnostic
def test_filling_up_changes_no_number():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(
        loss=training.CrossEntropy(),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy()],
    )
    dataset = _dataset(*_rows(11), batch=4)
    plain = model.evaluate(dataset, verbose=0)
    # A file that cannot be read, listed twice, and eleven that can.
    dataset.skipped = {"bad": "no video"}
    items = [(name, 0) for name in ["bad", *"abcdefghijk", "bad"]]
    filled = filled_up(dataset, 4, items)
    assert {len(labels) for _, labels, _ in filled} == {4}
    assert model.evaluate(filled, verbose=0) == pytest.approx(plain, rel=1e-5)


def test_weights_of_classes_for_every_output():
    dataset = _dataset(np.zeros((3, 1)), np.array([0, 2, 1]), 3)
    batch = next(iter(labelled(dataset, ["rgb", "flow"], {0: 0.5, 2: 4.0})))
    _, labels, weights = batch
    assert labels["rgb"].numpy().tolist() == [0, 2, 1]
    assert weights["flow"].numpy().tolist() == [0.5, 4.0, 1.0]
    labels = next(iter(labelled(dataset, None)))[1]
    assert labels.numpy().tolist() == [0, 2, 1]


def test_classes_without_a_weight_weigh_one():
    dataset = _dataset(np.zeros((3, 1)), np.array([0, 2, -1]), 3)
    batch = next(iter(labelled(dataset, None, {0: 2.0})))
    assert batch[2].numpy().tolist() == [2.0, 1.0, 1.0]


def test_weights_of_classes_multiply_those_that_are_there():
    dataset = tf.data.Dataset.from_tensors(
        (np.zeros((2, 1)), np.array([0, 1]), np.array([1.0, 0.0], "float32"))
    )
    batch = next(iter(labelled(dataset, None, {0: 2.0})))
    assert batch[2].numpy().tolist() == [2.0, 0.0]


def test_weights_need_one_class_per_video():
    dataset = _dataset(np.zeros((3, 1)), np.eye(3), 3)
    with pytest.raises(SpecError, match="one class per video"):
        labelled(dataset, None, {0: 2.0})
