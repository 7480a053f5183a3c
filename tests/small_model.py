"""A network of a few hundred parameters that takes clips of both streams."""

import keras

from keras_twostream import inspection
from keras_twostream.layers import classifier, stream_inputs
from keras_twostream.spec import ClipSpec

CLASSES = ("wave_hand", "sit_down", "drink")
SPEC = ClipSpec(
    clip_length=2,
    temporal_stride=3,
    flow_length=2,
    short_side=32,
    crop=(24, 24),
)


def small_model(spec=SPEC, trained=True, **head):
    """Scores from the mean of each stream; the head counts as trained."""
    inputs, clips = stream_inputs(spec)
    features = {
        stream: keras.layers.GlobalAveragePooling3D(
            data_format="channels_last", name=f"{stream}_pool"
        )(clip)
        for stream, clip in clips.items()
    }
    outputs = classifier(
        features,
        len(CLASSES),
        fusion=spec.score_fusion,
        stream_weights=spec.stream_weights,
        kernel_initializer=keras.initializers.RandomNormal(stddev=3.0),
        **head,
    )
    model = keras.Model(inputs, outputs, name="small")
    inspection.update_card(model, classes=list(CLASSES), head_trained=trained)
    return model
