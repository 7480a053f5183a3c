"""Networks trained on video, under the names of the code bases they come from.

Random weights are saved as those code bases save them, served, loaded
through `load`, and the logits compared with the network's own.
"""

import dataclasses
import hashlib
import io
import re

import keras
import numpy as np
import pytest
import timm
import torch
from caffe_bn_inception import BNInception
from pytorch_i3d import I3D
from reference import as_torch, frames, randomized

import keras_twostream as kts
from keras_twostream.pretrained import WeightFile, weight_spec

CLASSES = 11
STEPS, SIZE = 16, 64
MEAN = [255 * value for value in (0.485, 0.456, 0.406)]
STD = [255 * value for value in (0.229, 0.224, 0.225)]


def assert_same_logits(model, clips, expected):
    actual = keras.ops.convert_to_numpy(model(clips))
    assert expected.std() > 1e-3
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


# === I3D ===


def i3d_net(channels, classes):
    net = I3D(channels, classes, window=(2, 2, 2))
    return randomized(net, SIZE, (STEPS,), channels)


def i3d_logits(net, clip):
    x = torch.from_numpy(clip.astype("float32")).permute(0, 4, 1, 2, 3)
    with torch.no_grad():
        return net(x).numpy()


def i3d_options():
    return {"clip_length": STEPS, "clip_spec": {"crop": (SIZE, SIZE)}}


def test_pytorch_i3d_gives_the_same_logits(serve):
    net = i3d_net(2, CLASSES)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    spec = serve(
        "i3d.imagenet",
        "flow.pt",
        file.getvalue(),
        layout="pytorch_i3d",
        adaptation={"fold_gamma": True, "head": CLASSES},
    )
    clip = frames(SIZE, steps=STEPS, channels=2)
    expected = i3d_logits(net, np.clip(clip, -20, 20) / 20)
    model = kts.load(
        spec, streams=("flow",), num_classes=CLASSES, **i3d_options()
    )
    assert_same_logits(model, {"flow": clip}, expected)


# Our branches in the words of DeepMind's checkpoints.
DEEPMIND = {
    "b0": "Branch_0/Conv3d_0a_1x1",
    "b1a": "Branch_1/Conv3d_0a_1x1",
    "b1b": "Branch_1/Conv3d_0b_3x3",
    "b2a": "Branch_2/Conv3d_0a_1x1",
    "b2b": "Branch_2/Conv3d_0b_3x3",
    "b3b": "Branch_3/Conv3d_0b_1x1",
    "logits": "Logits/Conv3d_0c_1x1",
}
VARIABLES = {
    "conv3d.weight": "conv_3d/w",
    "conv3d.bias": "conv_3d/b",
    "bn.bias": "batch_norm/beta",
    "bn.running_mean": "batch_norm/moving_mean",
    "bn.running_var": "batch_norm/moving_variance",
}


def deepmind_tensors(net, scope):
    """A net's tensors as DeepMind's TensorFlow code names and shapes them."""
    tensors = {}
    for key, value in net.state_dict().items():
        *path, kind, variable = key.split(".")
        name = VARIABLES.get(f"{kind}.{variable}")
        if name is None:
            continue  # their normalisation has no scale
        unit = "/".join(DEEPMIND.get(part, part) for part in path)
        unit = unit.replace("5b/Branch_2/Conv3d_0b", "5b/Branch_2/Conv3d_0a")
        array = value.numpy()
        if name == "conv_3d/w":
            array = array.transpose(2, 3, 4, 1, 0)
        elif name != "conv_3d/b":
            array = array.reshape(1, 1, 1, 1, -1)
        tensors[f"{scope}/inception_i3d/{unit}/{name}"] = array
    return tensors


def write_checkpoint(folder, tensors):
    """TensorFlow's own files: the index and the data."""
    import tensorflow as tf

    tf.raw_ops.SaveV2(
        prefix=str(folder / "model.ckpt"),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )
    return sorted(folder.glob("model.ckpt.*"), reverse=True)


def test_deepminds_checkpoints_give_the_same_logits(site, tmp_path):
    files, address = site
    nets = {"rgb": i3d_net(3, 400), "flow": i3d_net(2, 400)}
    rows = []
    for stream, net in nets.items():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm3d):
                module.weight.data.fill_(1)
        folder = tmp_path / stream
        folder.mkdir()
        scope = {"rgb": "RGB", "flow": "Flow"}[stream]
        for path in write_checkpoint(folder, deepmind_tensors(net, scope)):
            body = files[f"/{stream}/{path.name}"] = path.read_bytes()
            rows.append(
                WeightFile(
                    path.name,
                    url=f"{address}/{stream}/{path.name}",
                    sha256=hashlib.sha256(body).hexdigest(),
                    stream=stream,
                )
            )
    spec = dataclasses.replace(
        weight_spec("i3d.kinetics400"), files=tuple(rows)
    )
    clips = {
        "rgb": frames(SIZE, steps=STEPS),
        "flow": frames(SIZE, steps=STEPS, channels=2, seed=1),
    }
    expected = i3d_logits(nets["rgb"], clips["rgb"] / 127.5 - 1)
    expected += i3d_logits(nets["flow"], np.clip(clips["flow"], -20, 20) / 20)
    model = kts.load(spec, **i3d_options())
    assert_same_logits(model, clips, expected / 2)
    assert kts.inspection.class_names(model)[0] == "abseiling"


# === Temporal segments ===


def tsn_pytorch(key):
    return re.sub(r"^module\.base_model\.fc\.", "module.new_fc.", 
                  f"module.base_model.{key}")  # fmt: skip


def mmaction2(key):
    key = re.sub(r"^fc\.", "cls_head.fc_cls.", key)
    key = key.replace("downsample.0", "downsample.conv")
    key = key.replace("downsample.1", "downsample.bn")
    key = re.sub(r"(conv\d)\.", r"\1.conv.", key)
    key = re.sub(r"bn(\d)\.", r"conv\1.bn.", key)
    return key if key.startswith("cls_head") else f"backbone.{key}"


def saved(net, rename):
    """A checkpoint as these code bases write it: more than tensors."""
    state = {rename(key): value for key, value in net.state_dict().items()}
    file = io.BytesIO()
    torch.save({"epoch": 80, "arch": "any", "state_dict": state}, file)
    return file.getvalue()


def segment_logits(net, x):
    """The mean over the segments of one clip."""
    with torch.no_grad():
        return net(x).numpy().mean(axis=0, keepdims=True)


@pytest.fixture(scope="module")
def resnet50():
    return randomized(timm.create_model("resnet50", num_classes=CLASSES))


@pytest.mark.parametrize(
    ("rename", "layout", "filename"),
    [
        (tsn_pytorch, "tsn", "ucf101_rgb.pth.tar"),
        (mmaction2, "mmaction_resnet", "tsn_r50.pth"),
    ],
)
def test_segments_on_resnet50(serve, resnet50, rename, layout, filename):
    spec = serve(
        "temporal_segment.imagenet",
        filename,
        saved(resnet50, rename),
        layout=layout,
        adaptation={"head": CLASSES, "fresh": ["*_consensus*"]},
    )
    clip = frames(SIZE, steps=3)
    expected = segment_logits(resnet50, as_torch(clip, MEAN, STD))
    model = kts.load(spec, streams=("rgb",), num_classes=CLASSES)
    assert_same_logits(model, {"rgb": clip}, expected)


def test_segments_on_bn_inception(serve):
    net = BNInception(channels=10, classes=CLASSES)
    net = randomized(net, channels=10)
    spec = serve(
        "temporal_segment.imagenet",
        "ucf101_flow.pth.tar",
        saved(net, tsn_pytorch),
        layout="tsn",
        options={"backbone": "bn_inception", "normalization": "caffe"},
        adaptation={"head": CLASSES, "fresh": ["*_consensus*"]},
    )
    model = kts.load(spec, streams=("flow",), num_classes=CLASSES)
    for size in (SIZE, 112):  # whose maps before the last stride are odd
        clip = frames(size, steps=3, channels=10)
        as_bytes = np.round(255 * (np.clip(clip, -20, 20) + 20) / 40) - 128
        expected = segment_logits(net, as_torch(as_bytes))
        assert_same_logits(model, {"flow": clip}, expected)
