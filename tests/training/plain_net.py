"""A network of one convolution, for tests in processes of their own.

It has no batch normalisation, whose statistics are each replica's own.
"""

import keras

from keras_twostream.layers import classifier, stream_inputs
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec


@register_model(paper="none")
def plain_net(num_classes=2, *, streams=("rgb",), clip_spec=None):
    spec = ClipSpec(streams=streams, clip_length=2, short_side=32)
    spec = spec.replace(crop=(24, 24), **(clip_spec or {}))
    inputs, clips = stream_inputs(spec)
    features = {
        stream: keras.layers.GlobalAveragePooling3D(name=f"{stream}_pool")(
            keras.layers.Conv3D(4, (1, 3, 3), 2, name=f"{stream}_conv1")(clip)
        )
        for stream, clip in clips.items()
    }
    scores = classifier(
        features, num_classes, fusion="logits", stream_weights=(1.0,)
    )
    return keras.Model(inputs, scores, name="plain_net")
