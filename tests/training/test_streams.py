"""Starting a two-stream network from streams that were trained apart."""

import keras
import numpy as np
import pytest

import keras_twostream as kts
from keras_twostream import training
from keras_twostream.errors import WeightsError
from keras_twostream.inspection import update_card
from keras_twostream.training import _streams

pytestmark = pytest.mark.portable

SMALL = {"clip_length": 2, "flow_length": 1, "clip_spec": {"crop": (32, 32)}}


def weights(model, layer):
    return model.get_layer(layer).get_weights()


@pytest.mark.agnostic
def test_streams_start_from_another_run(build):
    source, target = build(streams=("rgb",), seed=1), build(seed=2)
    names = training.copy_stream(source, target, "rgb")
    assert "rgb_conv1" in names and "rgb_fc" in names
    np.testing.assert_array_equal(
        source.get_layer("rgb_conv2").kernel,
        target.get_layer("rgb_conv2").kernel,
    )


def test_a_head_for_other_classes_is_left(build):
    names = training.copy_stream(build(5, streams=("rgb",)), build(), "rgb")
    assert "rgb_fc" not in names and "rgb_conv1" in names


@pytest.mark.parametrize(
    ("classes", "copied"),
    [(["wave", "jump"], True), (["jump", "wave"], False), (None, True)],
)
def test_a_head_for_classes_of_other_names_is_left(build, classes, copied):
    source, target = build(streams=("rgb",)), build()
    update_card(source, classes=["wave", "jump"])
    update_card(target, classes=classes)
    assert ("rgb_fc" in training.copy_stream(source, target, "rgb")) == copied


def test_a_stream_that_is_not_there_is_refused(build):
    with pytest.raises(WeightsError, match="no layers of the stream 'flow'"):
        training.copy_stream(build(streams=("rgb",)), build(), "flow")


@pytest.mark.agnostic
def test_flow_starts_from_rgb_by_its_mean(build):
    source, target = build(streams=("rgb",), seed=1), build(seed=2)
    names = training.copy_stream(source, target, "flow", "rgb")
    assert {"flow_conv1", "flow_conv2"} <= set(names)
    kernel = keras.ops.convert_to_numpy(source.get_layer("rgb_conv1").kernel)
    first = keras.ops.convert_to_numpy(target.get_layer("flow_conv1").kernel)
    mean = kernel.mean(axis=2, keepdims=True).repeat(first.shape[2], axis=2)
    np.testing.assert_allclose(first, mean, rtol=1e-5)


def test_a_kernel_over_time_becomes_its_sum_on_still_frames():
    kernel = np.arange(3.0).reshape(3, 1, 1, 1, 1)
    assert _streams._fitted(kernel, (1, 1, 1, 1)).item() == 3.0


@pytest.fixture(scope="module")
def frames_net():
    """A ResNet-50 on single frames, as it is fine-tuned for one stream."""
    return kts.models.temporal_segment(
        3, streams=("flow",), backbone="resnet50", **SMALL
    )


def test_st_resnet_starts_from_a_network_on_frames(frames_net):
    target = kts.models.spatiotemporal_resnet(
        3, streams=("flow",), stride_in="3x3", **SMALL
    )
    copied = training.copy_stream(frames_net, target, "flow")
    assert copied == [layer.name for layer in target.layers if layer.weights]
    (flat,) = weights(frames_net, "flow_res2b_branch2a")
    (lifted,) = weights(target, "flow_res2b_branch2a")
    assert flat.shape == (1, 1, 256, 64)
    np.testing.assert_allclose(lifted, [flat / 3] * 3, rtol=1e-6)
    for name in ("flow_conv1", "flow_bn5c_branch2c", "flow_fc"):
        for ours, theirs in zip(
            weights(target, name), weights(frames_net, name), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_new_temporal_layers_change_nothing_at_first(frames_net):
    target = kts.models.spatiotemporal_multiplier(
        3, streams=("flow",), stride_in="3x3", **SMALL
    )
    copied = training.copy_stream(frames_net, target, "flow")
    rest = {layer.name for layer in target.layers if layer.weights}
    assert rest - set(copied) == {f"flow_res{k}b_temporal" for k in "2345"}


def test_another_place_of_the_strides_is_no_silent_start(frames_net):
    target = kts.models.spatiotemporal_resnet(3, streams=("flow",), **SMALL)
    before = weights(target, "flow_conv1")
    with pytest.raises(WeightsError, match="Build .* with stride_in='3x3'"):
        training.copy_stream(frames_net, target, "flow")
    np.testing.assert_array_equal(before, weights(target, "flow_conv1"))


def test_weights_are_not_given_clips_in_other_units(frames_net):
    options = {**SMALL, "streams": ("flow",), "backbone": "resnet50"}
    small = {**options, "clip_spec": {**SMALL["clip_spec"], "flow_bound": 15.0}}
    for changed in ({**options, "normalization": "caffe"}, small):
        target = kts.models.temporal_segment(3, **changed)
        with pytest.raises(WeightsError, match="normalises flow by.*flow_bou"):
            training.copy_stream(frames_net, target, "flow")


def test_a_bias_is_never_dropped(build):
    target = build(streams=("rgb",))
    (clip,) = target.inputs
    x = keras.layers.GlobalAveragePooling3D(name="rgb_pool")(
        keras.layers.Conv3D(4, (1, 3, 3), name="rgb_conv1", use_bias=False)(
            clip
        )
    )
    plain = keras.Model(clip, keras.layers.Dense(2)(x), name="plain")
    with pytest.raises(WeightsError, match="rgb_conv1 has weights"):
        training.copy_stream(target, plain, "rgb")


def test_both_states_start_from_one_tower():
    options = {**SMALL, "streams": ("flow",), "embedding": 4}
    source = kts.models.action_transformation(3, **options)
    target = kts.models.action_transformation(3, share_towers=False, **options)
    copied = training.copy_stream(source, target, "flow")
    assert copied == [layer.name for layer in target.layers if layer.weights]
    for name in ("conv3_2", "fc7", "embedding"):
        for state in ("precondition", "effect"):
            for ours, theirs in zip(
                weights(target, f"flow_{state}_{name}"),
                weights(source, f"flow_{name}"),
                strict=True,
            ):
                np.testing.assert_array_equal(ours, theirs)


def test_a_head_alone_is_no_stream():
    options = {**SMALL, "streams": ("flow",), "embedding": 4}
    source = kts.models.action_transformation(3, share_towers=False, **options)
    target = kts.models.action_transformation(3, **options)
    with pytest.raises(WeightsError, match="no layers of the stream 'flow'"):
        training.copy_stream(source, target, "flow")
