"""One network, two data sets (Simonyan & Zisserman 2014, section 4).

    python examples/multi_task.py first_folder second_folder [epochs]

Each data set has a head of its own. A clip counts for its own head only: its
label for the other is -1, and the loss leaves that out. A part of each data
set is held out, to measure with.
"""

import sys

import tensorflow as tf

import keras_twostream as kts
from keras_twostream.data import read_annotations, video_dataset

BATCH = 8
epochs = int((*sys.argv[3:], 10)[0])
sets, unseen = {}, {}
for name in sys.argv[1:3]:
    found = read_annotations(name)
    inner, outer = kts.training.hold_out(found.labels, 0.15)
    sets[name], unseen[name] = found.take(inner), found.take(outer)
heads = {f"set{i}": len(each.classes) for i, each in enumerate(sets.values())}

model = kts.load(
    "spatiotemporal_resnet",
    weights=None,
    depth=18,
    width=16,
    heads=heads,
    clip_spec={"short_side": 128, "crop": (112, 112)},
)
spec = kts.clip_spec(model)


def labelled(found, own: str) -> tf.data.Dataset:
    """Clips of one data set, with a label for every head."""
    clips = video_dataset(found, spec, BATCH, training=True, repeat=True)
    return clips.map(
        lambda clip, label: (
            clip,
            {
                head: label if head == own else -tf.ones_like(label)
                for head in heads
            },
        )
    )


mixed = tf.data.Dataset.sample_from_datasets(
    [
        labelled(found, head)
        for found, head in zip(sets.values(), heads, strict=True)
    ],
    seed=0,
)
steps = sum(len(found) for found in sets.values()) // BATCH
kts.training.compile(model, "finetune", steps=epochs * steps)
model.fit(mixed, epochs=epochs, steps_per_epoch=steps)

for (name, found), head in zip(unseen.items(), heads, strict=True):
    items = list(zip(found.paths, found.labels, strict=True))
    scores = kts.training.evaluate_videos(model, items, head=head)
    print(name, scores.report())
