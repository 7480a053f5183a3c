"""The costs of a model, counted by hand."""

import keras
import pytest
from small_model import small_model
from weightless import weightless

from keras_twostream import models
from keras_twostream.costs import costs
from keras_twostream.errors import SpecError
from keras_twostream.layers import (
    ActionTransformations,
    DistanceLogits,
    FoldTime,
    classifier,
    stream_inputs,
)
from keras_twostream.spec import ClipSpec

pytestmark = pytest.mark.portable

SPEC = ClipSpec(streams=("rgb",), clip_length=3, crop=(8, 10))


def folded_convolution():
    """A 3x3 convolution of 4 filters on each frame, and a dense layer."""
    inputs, clips = stream_inputs(SPEC)
    x = FoldTime(name="rgb_fold")(clips["rgb"])
    x = keras.layers.Conv2D(
        4, 3, padding="same", data_format="channels_last", name="rgb_conv"
    )(x)
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_last")(x)
    scores = classifier({"rgb": x}, 5, fusion="logits", stream_weights=(1.0,))
    return keras.Model(inputs, scores)


def test_every_frame_of_a_clip_is_counted():
    layers = {c.name: c for c in costs(folded_convolution()).layers}
    assert layers["rgb_conv"].macs == 3 * 8 * 10 * 4 * (3 * 3 * 3)
    assert layers["rgb_conv"].outputs == 3 * 8 * 10 * 4
    assert layers["rgb_fc"].macs == 3 * 4 * 5


def test_height_and_width_keep_their_order():
    inputs, clips = stream_inputs(SPEC)
    x = FoldTime(name="rgb_fold")(clips["rgb"])
    x = keras.layers.Conv2D(
        4, (3, 1), data_format="channels_last", name="rgb_tall"
    )(x)
    layers = {c.name: c for c in costs(keras.Model(inputs, x)).layers}
    assert layers["rgb_tall"].outputs == 3 * (8 - 2) * 10 * 4


@pytest.mark.agnostic
def test_totals_add_up():
    model = folded_convolution()
    measured = costs(model)
    assert measured.parameters == model.count_params()
    assert measured.flops == 2 * sum(c.macs for c in measured.layers)
    assert measured.weight_bytes == 4 * model.count_params()


def test_the_model_itself_is_left_alone():
    model = small_model()
    before = [weight.path for weight in model.weights]
    costs(model)
    assert [weight.path for weight in model.weights] == before
    assert model.get_layer("rgb_fc").output.shape == (None, 3)


def test_nested_models_are_counted_inside():
    inner = folded_convolution()
    outer = keras.Model(inner.inputs, inner(inner.inputs))
    assert costs(outer).macs == costs(inner).macs
    inputs, clips = stream_inputs(SPEC)
    stack = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(2)])
    model = keras.Model(inputs, stack(clips["rgb"]))
    assert costs(model).macs == 3 * 8 * 10 * (3 * 4 + 4 * 2)


def test_a_model_without_a_graph_is_refused():
    class Opaque(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(SpecError, match="its layers are unknown"):
        costs(Opaque())


def test_r2plus1d_costs_what_torchvision_publishes():
    with weightless():
        model = models.r2plus1d(num_classes=400)
    assert costs(model).macs / 1e9 == pytest.approx(40.52, abs=0.005)


def test_a_transformation_works_once_per_precondition():
    inputs, clips = stream_inputs(SPEC)
    means = keras.layers.GlobalAveragePooling3D(data_format="channels_last")
    vector = means(clips["rgb"])
    before = keras.layers.RepeatVector(2)(vector)
    after = keras.layers.RepeatVector(4)(vector)
    distances = ActionTransformations(5, name="moved")([before, after])
    scores = DistanceLogits(20.0)(distances)
    layers = {c.name: c for c in costs(keras.Model(inputs, scores)).layers}
    matrices, cosines = 2 * 5 * 3 * 3, 2 * 4 * 5 * 3
    assert layers["moved"].macs == matrices + cosines
