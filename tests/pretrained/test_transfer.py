"""Between models in memory."""

import keras
import numpy as np
import pytest
from small_net import clips

from keras_twostream import inspection, models, pretrained
from keras_twostream.errors import SpecError, WeightsError


def kernel(model, layer):
    return keras.ops.convert_to_numpy(model.get_layer(layer).kernel)


def test_a_new_head_leaves_the_rest(trained):
    changed = pretrained.replace_head(trained, ["up", "down"])
    np.testing.assert_array_equal(
        kernel(changed, "flow_conv1"), kernel(trained, "flow_conv1")
    )
    assert inspection.class_names(changed) == ["up", "down"]
    assert not inspection.head_is_trained(changed)
    assert inspection.head_is_trained(trained)
    assert changed(clips()).shape == (2, 2)


def test_a_foreign_model_keeps_its_head(trained):
    model = keras.models.clone_model(trained)
    for layer in inspection.stream_layers(model).values():
        layer.card = {}
    with pytest.raises(SpecError, match="not built by a registered"):
        pretrained.replace_head(model, 2)


def test_a_resnet_of_keras_applications_gives_the_same_features():
    source = keras.applications.ResNet50(
        weights=None, include_top=False, pooling="avg"
    )
    rng = np.random.default_rng(0)
    for weight in source.weights:
        if not weight.path.endswith("kernel"):
            weight.assign(rng.uniform(0.8, 1.2, weight.shape))
    target = models.temporal_segment(
        streams=("rgb",), backbone="resnet50", stride_in="1x1",
        clip_length=1, normalization="caffe",
    )  # fmt: skip
    pretrained.transfer(source, target, "applications_resnet")
    clip = rng.uniform(0, 255, (1, 1, 64, 64, 3)).astype("float32")
    bgr = clip[:, 0, :, :, ::-1] - np.array([104.0, 117.0, 123.0])
    expected = keras.ops.convert_to_numpy(source(bgr))
    head = target.get_layer("rgb_fc")
    head.set_weights([np.eye(2048, 101), np.zeros(101)])
    actual = keras.ops.convert_to_numpy(target({"rgb": clip}))
    # They normalise with an epsilon of 1.001e-5, we with 1e-5.
    np.testing.assert_allclose(actual, expected[:, :101], rtol=1e-3)


def test_another_network_is_refused(trained):
    with pytest.raises(WeightsError, match="no key of a ResNet of keras.app"):
        pretrained.transfer(trained, trained, "applications_resnet")
