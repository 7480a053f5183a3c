"""A network of one's own, loaded by `keras_twostream.load("shaker")`."""

import keras

from keras_twostream import ClipSpec, register_model
from keras_twostream.layers import classifier, stream_inputs


@register_model(paper="Nobody: Is Anything Moving?, 2026")
def shaker(num_classes=2, *, streams=("flow",), clip_length=4, filters=8):
    """How much moves, and where: two layers over stacked flow."""
    spec = ClipSpec(streams=streams, clip_length=clip_length, flow_length=1)
    inputs, x = stream_inputs(spec)
    for stream, clip in x.items():
        moved = keras.layers.Conv3D(
            filters, 3, activation="relu", data_format="channels_last",
            padding="same", name=f"{stream}_conv1",
        )(clip)  # fmt: skip
        x[stream] = keras.layers.GlobalAveragePooling3D(
            data_format="channels_last", name=f"{stream}_pool"
        )(moved)
    scores = classifier(
        x, num_classes, fusion="logits", stream_weights=spec.stream_weights
    )
    return keras.Model(inputs, scores, name="shaker")
