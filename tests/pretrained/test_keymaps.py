"""Key maps: every name of a foreign file, and none too many."""

import numpy as np
import pytest

from keras_twostream import pretrained, registry
from keras_twostream.errors import WeightsError
from keras_twostream.inspection import head_layers
from keras_twostream.layers import FUSIONS
from keras_twostream.pretrained import _convert, _tf_checkpoint, keymaps
from keras_twostream.pretrained._variables import variables


def test_names_of_resnet_are_mapped():
    keys = [f"layer{s}.{b}.conv3.weight" for s, count in
            zip((1, 2, 3, 4), (3, 4, 23, 3), strict=True)
            for b in range(count)]  # fmt: skip
    names = keymaps.torchvision_resnet([
        *keys, "conv1.weight", "bn1.weight", "bn1.running_mean", "fc.bias",
        "bn1.num_batches_tracked", "layer2.0.downsample.0.weight",
    ])  # fmt: skip
    assert names["layer1.2.conv3.weight"] == "res2c_branch2c.kernel"
    assert names["layer3.22.conv3.weight"] == "res4b22_branch2c.kernel"
    assert names["bn1.weight"] == "bn_conv1.gamma"
    assert names["layer2.0.downsample.0.weight"] == "res3a_branch1.kernel"
    assert names["fc.bias"] == "head.bias"
    assert "bn1.num_batches_tracked" not in names


def test_mmaction_names_are_the_same_network():
    blocks = [f"backbone.layer{s}.{b}.conv1.conv.weight"
              for s in (1, 2, 3, 4) for b in (0, 1)]  # fmt: skip
    names = keymaps.mmaction_resnet([
        *blocks, "backbone.layer1.0.conv1.bn.weight",
        "backbone.layer1.0.conv1.bn.running_mean", "cls_head.fc_cls.weight",
    ])  # fmt: skip
    assert names[blocks[0]] == "res2a_branch2a.kernel"
    assert names["backbone.layer1.0.conv1.bn.weight"] == "bn2a_branch2a.gamma"
    assert names["cls_head.fc_cls.weight"] == "head.kernel"


def test_both_heads_of_vgg_are_one():
    timm = keymaps.vgg16(["pre_logits.fc1.weight", "features.28.weight"])
    torchvision = keymaps.vgg16(["classifier.0.weight"])
    assert timm["pre_logits.fc1.weight"] == "fc6.kernel"
    assert torchvision["classifier.0.weight"] == "fc6.kernel"
    assert timm["features.28.weight"] == "conv5_3.kernel"


def test_both_layouts_of_fc6_give_the_same_matrix():
    volume = np.arange(2 * 512 * 49, dtype="float32").reshape(2, 512, 7, 7)
    as_conv = _convert.canonical({"pre_logits.fc1.weight": volume}, "vgg16")
    as_dense = _convert.canonical(
        {"classifier.0.weight": volume.reshape(2, -1)}, "vgg16"
    )
    kernels = [
        result["fc6.kernel"].reshape(25088, 2) for result in (as_conv, as_dense)
    ]
    np.testing.assert_array_equal(*kernels)
    # Ours flatten (H, W, C): channel runs fastest.
    np.testing.assert_array_equal(kernels[0][:512, 0], volume[0, :, 0, 0])


def test_names_of_tsn_are_mapped():
    names = keymaps.tsn([
        "module.base_model.inception_3a_1x1.weight",
        "module.base_model.inception_3a_1x1_bn.weight",
        "module.base_model.inception_3a_1x1_bn.running_mean",
        "module.new_fc.weight",
    ])  # fmt: skip
    assert set(names.values()) == {
        "inception_3a_1x1.kernel",
        "inception_3a_1x1_bn.gamma",
        "inception_3a_1x1_bn.moving_mean",
        "head.kernel",
    }


@pytest.mark.parametrize("name", ["conv9.weight", "layer1.0.conv7.weight"])
def test_a_foreign_key_is_refused(name):
    blocks = [f"layer{s}.{b}.conv1.weight"
              for s in (1, 2, 3, 4) for b in (0, 1)]  # fmt: skip
    with pytest.raises(WeightsError, match="no key of a torchvision ResNet"):
        keymaps.torchvision_resnet([*blocks, name])


def test_a_foreign_key_is_no_r2plus1d():
    known = ["stem.0.weight", "layer1.0.conv1.0.3.weight", "fc.weight"]
    assert keymaps.r2plus1d(known)["fc.weight"] == "head.kernel"
    with pytest.raises(WeightsError, match=r"conv9.*R\(2\+1\)D"):
        keymaps.r2plus1d([*known, "conv9.weight"])


@pytest.fixture(scope="module")
def i3d_shapes():
    model = registry.model_entry("i3d").builder(400, streams=("rgb",))
    return {key: tuple(v.shape) for key, v in variables(model).items()}


@pytest.mark.parametrize("kind", ["imagenet", "scratch"])
def test_deepminds_index_names_what_our_i3d_holds(i3d_shapes, shared, kind):
    index = shared / "i3d" / f"rgb_{kind}.index"
    result = {x.name: x.shape for x in _tf_checkpoint._entries(index)}
    names = keymaps.deepmind_i3d(result)
    theirs = {names[key]: shape for key, shape in result.items()}
    assert len(theirs) == len(i3d_shapes) == 230
    for key, shape in i3d_shapes.items():
        name = key.removeprefix("rgb_")
        name = name.replace("Logits_Conv3d_0c_1x1", "head")
        assert np.prod(theirs[name]) == np.prod(shape), key


def write_checkpoint(folder, shapes):
    """A TensorFlow checkpoint under DeepMind's names; its tensors."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    back = {"kernel": "conv_3d/w", "bias": "conv_3d/b"}
    tensors = {}
    for key, shape in shapes.items():
        layer, _, variable = key.removeprefix("rgb_").rpartition(".")
        unit = layer.removesuffix("_bn")
        path = back.get(variable, f"batch_norm/{variable}")
        unit = unit.replace("_Branch_", "/Branch_", 1)
        head, result, rest = unit.partition("_Conv3d_0")
        unit = f"{head}/Conv3d_0{rest}" if result else unit
        tensors[f"RGB/inception_i3d/{unit}/{path}"] = rng.normal(
            size=shape
        ).astype("float32")
    prefix = str(folder / "model.ckpt")
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )
    return folder / "model.ckpt.index", tensors


def test_a_checkpoint_under_deepminds_names_fits(i3d_shapes, tmp_path):
    index, tensors = write_checkpoint(tmp_path, i3d_shapes)
    canonical = _convert.canonical(_tf_checkpoint.read(index), "deepmind_i3d")
    arrays = _convert.adapt(
        {"rgb": canonical}, i3d_shapes, {"rgb_Logits_Conv3d_0c_1x1"}, {}
    )
    assert set(arrays) == set(i3d_shapes)
    np.testing.assert_array_equal(
        arrays["rgb_Mixed_5b_Branch_2_Conv3d_0a_3x3.kernel"],
        tensors["RGB/inception_i3d/Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w"],
    )


def test_nothing_is_left_over_in_silence():
    tensors = {"": {"conv1.kernel": np.zeros((1, 1, 3, 2)),
                    "conv2.kernel": np.zeros(3)}}  # fmt: skip
    with pytest.raises(WeightsError, match=r"(?s)unknown to the model.*conv2"):
        _convert.adapt(tensors, {"rgb_conv1.kernel": (1, 1, 3, 2)}, (), {})


def test_nothing_is_missing_in_silence():
    with pytest.raises(WeightsError, match=r"(?s)missing in the weights.*rgb_"):
        _convert.adapt({"": {}}, {"rgb_conv1.kernel": (1, 1, 3, 2)}, (), {})


def test_fresh_keys_stay_as_they_are():
    tensors = _convert.adapt(
        {"": {}}, {"rgb_new.kernel": (1,)}, (), {"fresh": ["*_new.*"]}
    )
    assert tensors == {}


def test_a_layer_behind_a_concatenation_stays_fresh():
    image = {"full6.kernel": np.ones((2, 2, 3, 5)), "full6.bias": np.ones(5)}
    how = {"widened": ["rgb_full6.kernel"]}
    for inputs, keys in ((12, {"kernel", "bias"}), (24, {"bias"})):
        shapes = {"rgb_full6.kernel": (inputs, 5), "rgb_full6.bias": (5,)}
        tensors = _convert.adapt({"": image}, shapes, (), how)
        assert {key.rpartition(".")[2] for key in tensors} == keys
    with pytest.raises(WeightsError, match="nothing makes it the"):
        _convert.adapt({"": image}, {**shapes}, (), {})


def test_stacked_frames_are_seen_in_colour():
    """Flow has the mean over colours, and so have differences of frames."""
    image = {"conv1.kernel": np.random.default_rng(0).normal(size=(7, 7, 3, 2))}
    shapes = {"rgb_conv1.kernel": (7, 7, 12, 2)}
    shapes["flow_conv1.kernel"] = (7, 7, 12, 2)
    how = {"channels": "mean"}
    tensors = _convert.adapt({"": image}, shapes, (), how, frames=4)
    frames = np.split(tensors["rgb_conv1.kernel"], 4, axis=2)
    for frame in frames:
        np.testing.assert_allclose(frame, image["conv1.kernel"] / 4)
    assert np.ptp(tensors["flow_conv1.kernel"], axis=2).max() == 0
    differences = _convert.adapt({"": image}, shapes, (), how, frames=5)
    assert np.ptp(differences["rgb_conv1.kernel"], axis=2).max() == 0


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_takes_the_image_network(fusion):
    row = pretrained.weight_spec("two_stream_fusion.imagenet")
    model = registry.model_entry("two_stream_fusion").builder(
        fusion=fusion, keep_temporal=False, flow_length=1,
        clip_spec={"crop": (32, 32)},
    )  # fmt: skip
    towers = {
        f"{name}.{variable}": np.zeros(shape, "float16")
        for name, variable, shape in vgg_at_32_pixels()
    }
    shapes = {key: tuple(v.shape) for key, v in variables(model).items()}
    heads = head_layers(model)
    shapes = {k: s for k, s in shapes.items() if k[: k.rfind(".")] not in heads}
    tensors = _convert.adapt({"": towers}, shapes, heads, row.adaptation)
    assert {"rgb_conv1_1.kernel", "flow_conv5_3.bias"} <= set(tensors)
    assert ("rgb_fc6.kernel" in tensors) == (
        fusion not in ("concat", "bilinear")
    )


def vgg_at_32_pixels():
    """(layer, variable, shape) of VGG-16 on images of 32 pixels."""
    sizes = [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    places = [(b, i) for b in range(1, 6) for i in range(1, 2 + (b > 2) + 1)]
    before = 3
    for (block, i), size in zip(places, sizes, strict=True):
        yield f"conv{block}_{i}", "kernel", (3, 3, before, size)
        yield f"conv{block}_{i}", "bias", (size,)
        before = size
    yield "fc6", "kernel", (1, 1, 512, 4096)
    yield "fc6", "bias", (4096,)
    yield "fc7", "kernel", (4096, 4096)
    yield "fc7", "bias", (4096,)
