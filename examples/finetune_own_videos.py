"""Fine-tune on a folder of your own: one folder of videos per class.

    python examples/finetune_own_videos.py my_videos my_model [epochs]

The same in one command:

    keras-twostream train --data my_videos --out my_run
"""

import re
import sys

import keras_twostream as kts
from keras_twostream.data import read_annotations, video_dataset

folder, out, *epochs = sys.argv[1:]
found = read_annotations(folder)
# Clips of one recording look alike: all of them are held out, or none.
recordings = [re.sub(r"_c\d+\.\w+$", "", path) for path in found.paths]
inner, outer = kts.training.hold_out(found.labels, 0.15, groups=recordings)
train, held_out = found.take(inner), found.take(outer)

# Small, and trained on drawn actors: a start that needs no network.
model = kts.load("spatiotemporal_resnet.actors", classes=found.classes)
spec, recipe = kts.clip_spec(model), kts.training.load_recipe("finetune")
batch = min(recipe.fitted_batch(len(train)), len(train))
steps = len(train) // batch
passes = int(epochs[0]) if epochs else recipe.passes(steps)

kts.training.compile(model, recipe, steps=passes * steps)
model.fit(
    video_dataset(train, spec, batch, training=True, **recipe.input),
    epochs=passes,
    validation_data=video_dataset(held_out, spec, batch),
)

print(kts.training.evaluate_videos(model, held_out, num_clips=10))
kts.save_pretrained(model, out)
