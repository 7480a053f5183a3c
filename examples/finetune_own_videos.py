"""Fine-tune on a folder of your own: one folder of videos per class.

    python examples/finetune_own_videos.py my_videos my_model [epochs]

The same in one command:

    keras-twostream train --data my_videos --out my_run
"""

import sys

import keras_twostream as kts
from keras_twostream.data import read_annotations, video_dataset

folder, out, epochs = (*sys.argv[1:], 30)[:3]
found = read_annotations(folder)
inner, outer = kts.training.hold_out(found.labels, 0.15)
train, held_out = found.take(inner), found.take(outer)
batch = min(16, len(train))

# Small, and trained on drawn actors: a start that needs no network.
model = kts.load("spatiotemporal_resnet.actors", classes=list(found.classes))
spec, recipe = kts.clip_spec(model), kts.training.load_recipe("finetune")
batches = video_dataset(train, spec, batch, training=True, **recipe.input)
steps = int(epochs) * (len(train) // batch)

kts.training.compile(model, recipe, steps=steps)
model.fit(
    batches,
    epochs=int(epochs),
    validation_data=video_dataset(held_out, spec, batch),
)

items = list(zip(held_out.paths, held_out.labels, strict=True))
scores = kts.training.evaluate_videos(model, items, num_clips=10)
print(scores.report())
kts.save_pretrained(model, out)
