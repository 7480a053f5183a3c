"""One of several processes that train together; run by test_devices."""

import json
import os
import sys

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

from keras_twostream import training

index, addresses = int(sys.argv[1]), sys.argv[2]
workers = addresses.count(",") + 1
if workers > 1:
    keras.distribution.initialize(addresses, workers, index)
keras.utils.set_random_seed(0)
with training.devices():
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)]
    )
    model.compile(keras.optimizers.SGD(0.1), training.CrossEntropy())
    x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    y = (x[:, 0] > 0).astype("int32")
    fit = model.fit(
        x[index::workers],
        y[index::workers],
        batch_size=10 // workers,
        epochs=3,
        shuffle=False,
        verbose=0,
    )
print(json.dumps(fit.history["loss"]))
