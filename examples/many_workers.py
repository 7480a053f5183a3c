"""One training on several machines, each with a share of every batch.

    pip install "keras-twostream[jax]"
    python examples/many_workers.py my_videos model 0 host0:9876,host1:9876
    python examples/many_workers.py my_videos model 1 host0:9876,host1:9876

The first line runs on host0, the second on host1; both see the videos. Every
worker reads only its own share of the list; a video too many for equal shares
is left out, and so is what does not fill a batch. To try it on one machine,
give both the addresses localhost:9876,localhost:9877. Epochs may follow.

It needs JAX: Keras 3 does not train under TensorFlow's
MultiWorkerMirroredStrategy (keras-team/keras#20585). Several devices of one
machine work with either: `keras-twostream train --devices 2`.
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "jax"

import keras

import keras_twostream as kts
from keras_twostream.data import read_annotations, video_dataset

BATCH = 16  # of all workers together

folder, out, index, addresses, epochs = (*sys.argv[1:], 30)[:5]
index, epochs, workers = int(index), int(epochs), addresses.count(",") + 1
keras.distribution.initialize(addresses, workers, index)
keras.utils.set_random_seed(0)  # every worker starts from the same weights

found = read_annotations(folder)
even = len(found) // workers * workers  # as many batches for each
share = found.take(range(index, even, workers))
batch = min(BATCH // workers, len(share))

with kts.training.devices():
    model = kts.load(
        "spatiotemporal_resnet.actors", classes=list(found.classes)
    )
    batches = video_dataset(share, kts.clip_spec(model), batch, training=True)
    steps = epochs * (len(share) // batch)
    kts.training.compile(model, "finetune", steps=steps)
    model.fit(batches, epochs=epochs, verbose=2 if index == 0 else 0)

if index == 0:
    kts.save_pretrained(model, out)
