"""ST-ResNet in two stages (Feichtenhofer et al. 2016, section 4).

    python examples/two_stage_st_resnet.py my_videos model

The first stage sees five frames and no pooling over time. The second sees
eleven, strided 1 to 15, and pools over five of them, at a tenth of the rate.
"""

import sys

import keras_twostream as kts
from keras_twostream.data import read_annotations, video_dataset

folder, out = sys.argv[1:]
found = read_annotations(folder)
classes, small = list(found.classes), {"depth": 18, "width": 16}
STAGES = (
    {"clip_length": 5, "temporal_pool": None},
    {"clip_length": 11, "temporal_pool": 5},
)
RATES, STRIDES, EPOCHS, BATCH = (1e-3, 1e-4), ((5, 15), (1, 15)), (8, 2), 8

trained = None
for stage in range(2):
    model = kts.load(
        "spatiotemporal_resnet",
        weights=None,
        classes=classes,
        clip_spec={"train_strides": STRIDES[stage]},
        **STAGES[stage],
        **small,
    )
    if trained is not None:
        # Neither the frames nor the pooling change a weight's shape.
        model.set_weights(trained)
    spec = kts.clip_spec(model)
    batches = video_dataset(found, spec, BATCH, training=True)
    kts.training.compile(
        model,
        steps=EPOCHS[stage] * max(1, len(found) // BATCH),
        learning_rate=RATES[stage],
    )
    model.fit(batches, epochs=EPOCHS[stage])
    trained = model.get_weights()

kts.save_pretrained(model, out)
