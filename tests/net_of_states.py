"""Actions as transformations of mean colours: small enough to train."""

import keras

from keras_twostream import registry
from keras_twostream.layers import (
    ActionTransformations,
    DistanceLogits,
    SegmentMeans,
    TakeSteps,
    boundaries,
    classifier,
    stream_inputs,
)
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    streams=("rgb",),
    clip_length=8,
    short_side=32,
    crop=(24, 24),
    sampling="whole",
)


def net_of_states(
    num_classes=2, *, heads=None, every_boundary=True, clip_spec=None
):
    """Transformations of mean colours, in 6 dimensions."""
    spec = SPEC.replace(**(clip_spec or {}))
    inputs, clips = stream_inputs(spec)
    x = keras.layers.AveragePooling3D((1, 8, 8), name="rgb_pool")(clips["rgb"])
    x = keras.layers.Reshape((8, 27), name="rgb_colours")(x)
    before, after = boundaries(8)
    x = SegmentMeans(before + after, name="rgb_means")(x)
    x = keras.layers.Dense(6, name="rgb_embedding")(x)
    states = [
        TakeSteps(0, len(before), name="rgb_precondition")(x),
        TakeSteps(len(before), len(before + after), name="rgb_effect")(x),
    ]

    def head(states, classes, name):
        distances = ActionTransformations(classes, name=name)(states)
        return DistanceLogits(10.0, every_boundary, name=f"{name}_logits")(
            distances
        )

    scores = classifier(
        {"rgb": states},
        num_classes,
        fusion="logits",
        stream_weights=(1.0,),
        heads=heads,
        name="transformation",
        head=head,
    )
    return keras.Model(inputs, scores, name="net_of_states")


net_of_states = registry.register_model(paper="none")(net_of_states)
ENTRY = registry._registered.pop("net_of_states")
