"""One training on several machines, each with a share of every batch.

    pip install "keras-twostream[jax]"
    python examples/many_workers.py my_videos model 0 host0:9876,host1:9876
    python examples/many_workers.py my_videos model 1 host0:9876,host1:9876

The first line runs on host0, the second on host1; both see the videos. Every
worker reads only its own share of the list. Tried on one machine: give both
the address localhost with two free ports.
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "jax"

import keras

import keras_twostream as kts
from keras_twostream.data import read_annotations, video_dataset

EPOCHS, BATCH = 30, 16  # the batch of all workers together

folder, out, index, addresses = sys.argv[1:5]
index, workers = int(index), addresses.count(",") + 1
keras.distribution.initialize(addresses, workers, index)
keras.utils.set_random_seed(0)  # every worker starts from the same weights

found = read_annotations(folder)
even = len(found) // workers * workers  # as many batches for each
share = found.take(range(index, even, workers))

with kts.training.devices():
    model = kts.load(
        "spatiotemporal_resnet.actors", classes=list(found.classes)
    )
    batches = video_dataset(
        share, kts.clip_spec(model), BATCH // workers, training=True
    )
    steps = EPOCHS * (len(share) // (BATCH // workers))
    kts.training.compile(model, "finetune", steps=steps)
    model.fit(batches, epochs=EPOCHS, verbose=2 if index == 0 else 0)

if index == 0:
    kts.save_pretrained(model, out)
