"""Between models in memory."""

import keras
import numpy as np
import pytest
from small_net import clips

from keras_twostream import inspection, models, pretrained
from keras_twostream.errors import SpecError, WeightsError
from keras_twostream.pretrained.keymaps import _names


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


@pytest.mark.parametrize("classes", ["abc", 2.5, None])
def test_a_new_head_has_a_number_or_a_list_of_classes(trained, classes):
    with pytest.raises(SpecError, match="list of names"):
        pretrained.replace_head(trained, classes)


def test_a_new_head_takes_a_number_of_numpy(trained):
    model = pretrained.replace_head(trained, np.int64(4))
    assert inspection.class_names(model) == ["0", "1", "2", "3"]


def test_scores_that_are_fused_by_weights_are_heads_too():
    model = models.two_stream_fusion(
        4,
        backbones=("cnn_m", "cnn_m"),
        fusion="conv",
        fuse_at="fc8",
        temporal_pool=None,
        flow_length=1,
        clip_spec={"crop": (64, 64)},
    )
    changed = pretrained.replace_head(model, 3)
    assert changed.output_shape == (None, 3)
    for layer in ("rgb_full7", "flow_conv1"):
        np.testing.assert_array_equal(
            kernel(changed, layer), kernel(model, layer)
        )
    for stream in ("rgb", "flow"):
        assert kernel(changed, f"{stream}_fc8").shape[-1] == 3


def test_a_foreign_model_keeps_its_head(trained):
    model = keras.models.clone_model(trained)
    for layer in inspection.stream_layers(model).values():
        layer.card = {}
    with pytest.raises(SpecError, match="not built by a registered"):
        pretrained.replace_head(model, 2)


def with_statistics(source):
    """Batch norms with telling statistics, which deep nets survive."""
    rng = np.random.default_rng(0)
    for layer in source.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for weight in layer.weights:
                weight.assign(rng.uniform(0.8, 1.2, weight.shape))
    return source


def frame(size):
    rng = np.random.default_rng(1)
    return rng.uniform(0, 255, (1, 1, size, size, 3)).astype("float32")


def caffe(clip):
    """Return the input of keras.applications' VGG and ResNet, our means."""
    return clip[:, 0, :, :, ::-1] - np.array([104.0, 117.0, 123.0])


def assert_same_tap(target, tap, clip, expected):
    actual = inspection.taps(target, [tap])({"rgb": clip})[tap]
    actual, expected = map(keras.ops.convert_to_numpy, (actual, expected))
    scale = expected.std()
    assert scale > 0
    # Layers of fc6 and later keep places: one of 1 x 1 here.
    actual = actual.reshape(expected.shape)
    np.testing.assert_allclose(
        actual / scale, expected / scale, rtol=1e-4, atol=1e-4
    )


def test_a_resnet_of_keras_applications_gives_the_same_features():
    source = with_statistics(
        keras.applications.ResNet50(
            weights=None, include_top=False, pooling="avg"
        )
    )
    target = models.temporal_segment(
        streams=("rgb",), backbone="resnet50", stride_in="1x1",
        clip_length=1, normalization="caffe",
    )  # fmt: skip
    pretrained.transfer(source, target, "applications_resnet")
    clip = frame(64)
    assert_same_tap(target, "rgb.pool5", clip, source(caffe(clip)))


def test_a_vgg_of_keras_applications_gives_the_same_features():
    source = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3))
    target = models.two_stream_vgg16(
        streams=("rgb",), normalization="caffe", clip_spec={"crop": (32, 32)}
    )
    pretrained.transfer(source, target, "applications_vgg16")
    dense = keras.Model(source.input, source.get_layer("fc2").output)
    clip = frame(32)
    assert_same_tap(target, "rgb.fc7", clip, dense(caffe(clip)))


def test_an_inception_of_keras_applications_gives_the_same_features():
    keras.layers.Conv2D(1, 1)  # the numbers of unnamed layers do not matter
    source = with_statistics(
        keras.applications.InceptionV3(
            weights=None, include_top=False, pooling="avg"
        )
    )
    target = models.two_stream_inception_v3(
        streams=("rgb",), count_padding=False
    )
    pretrained.transfer(source, target, "applications_inception_v3")
    clip = frame(107)
    expected = source(clip[:, 0] / 127.5 - 1)
    assert_same_tap(target, "rgb.pool", clip, expected)


def test_a_bias_before_a_normalisation_is_taken_off_its_mean():
    tensors = {
        "conv1.bias": np.float32([1, 2]),
        "bn_conv1.moving_mean": np.float32([5, 7]),
        "fc.bias": np.float32([3]),
    }
    folded = _names.fold_bias(tensors)
    assert folded["bn_conv1.moving_mean"].tolist() == [4, 5]
    assert folded["fc.bias"].tolist() == [3]
    assert "conv1.bias" not in folded


def test_another_network_is_refused(trained):
    with pytest.raises(WeightsError, match="no key of a ResNet of keras.app"):
        pretrained.transfer(trained, trained, "applications_resnet")
