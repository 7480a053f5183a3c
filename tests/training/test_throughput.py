"""The share of training that waits for input."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_twostream.training import ThroughputMonitor


def _slow(batches, seconds):
    def wait(number):
        time.sleep(seconds)
        return number

    def make(number):
        seen = tf.numpy_function(wait, [number], tf.int64)
        with tf.control_dependencies([seen]):
            return tf.ones((4, 2)), tf.zeros((4, 1))

    return tf.data.Dataset.range(batches).map(make)


@pytest.mark.parametrize("seconds, low, high", [(0.05, 0.5, 1), (0, 0, 0.5)])
def test_input_wait_is_seen(seconds, low, high):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    monitor = ThroughputMonitor(4, flops_per_clip=1e9)
    dataset = _slow(20, seconds)
    model.fit(dataset, verbose=0)  # compiles, so that it is not counted
    logs = model.fit(
        monitor.watch(dataset), callbacks=[monitor], verbose=0
    ).history
    assert low <= logs["input_wait"][0] <= high
    if seconds:
        assert logs["clips_per_second"][0] < 4 / seconds
    rate = logs["clips_per_second"][0]
    assert logs["tflops"][0] == pytest.approx(3 * rate * 1e-3)
    assert logs["device_mb"][0] > 10


def test_watching_changes_no_batch():
    batches = [np.arange(3) + i for i in range(4)]
    dataset = tf.data.Dataset.from_tensor_slices(np.stack(batches))
    seen = list(ThroughputMonitor(1).watch(dataset).as_numpy_iterator())
    np.testing.assert_array_equal(seen, batches)
