"""ST-ResNet in two stages (Feichtenhofer et al. 2016, section 4).

    python examples/two_stage_st_resnet.py my_videos model [epochs]

The first stage sees five frames and no pooling over time. The second sees
eleven, strided 1 to 15, and pools over five of them, at a tenth of the rate
and for a quarter of the epochs. The network is a small one.
"""

import sys

import keras_twostream as kts
from keras_twostream.data import read_annotations, video_dataset

folder, out, epochs = (*sys.argv[1:], 8)[:3]
found = read_annotations(folder)
batch = min(8, len(found))


def train(model, stage: int, strides, rate: float, passes: int) -> None:
    spec = kts.clip_spec(model).replace(train_strides=strides)
    batches = video_dataset(found, spec, batch, training=True)
    kts.training.compile(
        model, steps=passes * (len(found) // batch), learning_rate=rate
    )
    print(f"stage {stage}: {spec.clip_length} frames")
    model.fit(batches, epochs=passes)


model = kts.load(
    "spatiotemporal_resnet",
    weights=None,
    classes=list(found.classes),
    depth=18,
    width=16,
    clip_spec={"short_side": 128, "crop": (112, 112)},
)
train(model, 1, (5, 15), 1e-3, int(epochs))
# Neither the frames nor the pooling change a weight's shape.
model = kts.training.longer_copy(model, clip_length=11, temporal_pool=5)
train(model, 2, (1, 15), 1e-4, -(-int(epochs) // 4))
kts.save_pretrained(model, out)
