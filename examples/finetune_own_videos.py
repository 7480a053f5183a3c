"""Fine-tune on a folder of your own: one folder of videos per class.

    python examples/finetune_own_videos.py my_videos my_model

The same in one command:

    keras-twostream train --data my_videos --out my_run
"""

import sys

import keras_twostream as kts
from keras_twostream.data import read_annotations, video_dataset

EPOCHS, BATCH = 30, 16

folder, out = sys.argv[1:]
found = read_annotations(folder)
inner, outer = kts.training.hold_out(found.labels, 0.15)
train, held_out = found.take(inner), found.take(outer)

model = kts.load("spatiotemporal_resnet", classes=list(found.classes))
spec = kts.clip_spec(model)
batches = video_dataset(train, spec, BATCH, training=True, mirror=False)
steps = EPOCHS * max(1, len(train) // BATCH)

kts.training.compile(model, "finetune", steps=steps)
model.fit(
    batches,
    epochs=EPOCHS,
    validation_data=video_dataset(held_out, spec, BATCH),
)

items = list(zip(held_out.paths, held_out.labels, strict=True))
scores = kts.training.evaluate_videos(model, items, num_clips=10)
print(scores.report())
kts.save_pretrained(model, out)
