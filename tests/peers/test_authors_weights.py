"""Weights as their authors keep them: files of their form, names and shapes.

Random networks written from the authors' definitions are saved as their
software saves them, served where the catalogue's row points to, loaded by the
row's name, and the logits compared.
"""

import contextlib
import dataclasses
import hashlib
import io
import re
import subprocess

import cv2
import keras
import numpy as np
import pytest
import timm
import torch
from caffe_bn_inception import BNInception
from caffe_googlenet import GoogLeNet
from foreign_weights import caffemodel, dagnn, save_mat
from pytorch_c3d import Recognizer
from pytorch_st_resnet import Lifted, STResNet
from reference import as_torch, frames, randomized
from torch import nn

import keras_twostream as kts
from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import weight_spec

SIZE, STEPS = 64, 3
RGB = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
RESNET_MEAN = [123.1516, 115.9029, 103.0626]


def levels(flow, bound=20.0):
    """Flow as 8-bit images keep it."""
    return np.round(255 * (np.clip(flow, -bound, bound) + bound) / (2 * bound))


def torch_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


@pytest.fixture
def served_row(site):
    """A catalogue row whose files, by name, lie on a loopback site."""
    files, address = site

    def serve(name, *bodies, **changes):
        spec = weight_spec(name)
        rows = []
        for file, body in zip(spec.all_files, bodies, strict=False):
            files[f"/{file.filename}"] = body
            # Random values have another hash than the published ones.
            rows.append(
                dataclasses.replace(
                    file,
                    url=f"{address}/{file.filename}",
                    sha256=hashlib.sha256(body).hexdigest(),
                )
            )
        return dataclasses.replace(
            spec, files=tuple(rows), url="", repo_id="", revision="", sha256="",
            sha1="", git_blob="", sha256_prefix="", **changes,
        )  # fmt: skip

    return serve


def logits(model, clips):
    return keras.ops.convert_to_numpy(model(clips))


def assert_same(actual, expected):
    assert np.std(expected) > 1e-3
    # Logits of some hundreds are compared on their own scale.
    scale = max(1.0, float(np.std(expected)))
    np.testing.assert_allclose(
        actual / scale, expected / scale, rtol=1e-4, atol=1e-4
    )


# === OpenMMLab ===


def mmaction2(key):
    key = re.sub(r"^fc\.", "cls_head.fc_cls.", key)
    key = key.replace("downsample.0", "downsample.conv")
    key = key.replace("downsample.1", "downsample.bn")
    key = re.sub(r"(conv\d)\.", r"\1.conv.", key)
    key = re.sub(r"bn(\d)\.", r"conv\1.bn.", key)
    return key if key.startswith("cls_head") else f"backbone.{key}"


def mmaction2_file(net):
    state = {mmaction2(key): value for key, value in net.state_dict().items()}
    return torch_file({"meta": {"epoch": 100}, "state_dict": state})


@pytest.mark.full
def test_segments_of_openmmlab(served_row):
    nets = {
        stream: randomized(
            timm.create_model("resnet50", num_classes=400, in_chans=channels),
            channels=channels,
        )
        for stream, channels in (("rgb", 3), ("flow", 10))
    }
    spec = served_row(
        "temporal_segment.kinetics400", *map(mmaction2_file, nets.values())
    )
    clips = {
        "rgb": frames(SIZE, steps=STEPS),
        "flow": frames(SIZE, steps=STEPS, channels=10, seed=1),
    }
    inputs = {
        "rgb": as_torch(clips["rgb"], *RGB),
        "flow": as_torch((levels(clips["flow"], 16.0) - 128) / 128),
    }
    with torch.no_grad():
        expected = sum(nets[s](x).mean(dim=0) for s, x in inputs.items()) / 2
    model = kts.load(spec, clip_length=STEPS)
    assert_same(logits(model, clips)[0], expected.numpy())
    assert kts.inspection.class_names(model)[5] == "archery"
    assert kts.clip_spec(model).stream_weights == (1.0, 1.0)


def test_flow_of_320_pixels_resized_is_flow_of_256_within_16():
    """OpenMMLab's images: TV-L1 at 320 px within 20, resized unscaled."""
    at_320 = np.linspace(-25, 25, 999)
    at_256 = at_320 * 256 / 320
    np.testing.assert_array_equal(levels(at_320), levels(at_256, 16.0))
    spec = kts.pretrained.weight_spec("temporal_segment.kinetics400")
    assert spec.clip_spec["flow_bound"] == 16.0


def test_the_bound_holds_on_a_real_clip(shared):
    paths = sorted((shared / "ucf101_six" / "HorseRace").glob("*.mp4"))
    if not paths:
        pytest.skip("the clips of UCF-101 are not here")
    pair = kts.data.read_frames(paths[0], [20, 21])
    bound = weight_spec("temporal_segment.kinetics400").clip_spec["flow_bound"]

    def images(side, bound):
        size = (round(pair.shape[2] * side / pair.shape[1]), side)
        frames = [cv2.resize(frame, size) for frame in pair]
        field = kts.flow.compute(np.stack(frames), algorithm="dis")[0]
        return levels(field, bound) - 127.5

    ours = images(256, bound)
    theirs = cv2.resize(images(320, 20.0), ours.shape[1::-1])
    # The same levels, but for what two scales of one flow differ by.
    ratio = np.sqrt((theirs**2).mean() / (ours**2).mean())
    assert ratio == pytest.approx(1, abs=0.1)  # 0.98 to 1.09 on eight clips
    other = images(256, 20.0)
    assert np.sqrt((theirs**2).mean() / (other**2).mean()) > 1.15
    assert np.std(ours) > 2  # it moves
    assert np.mean(np.abs(ours) > 127) < 0.01  # and stays within the bound


@pytest.mark.full
def test_c3d_of_openmmlab(served_row):
    torch.manual_seed(0)
    net = Recognizer(101).eval()
    for parameter in net.parameters():  # lest seven layers fade to nothing
        parameter.data *= 1.7
    state = {f"{k}": v for k, v in net.state_dict().items()}
    spec = served_row(
        "c3d.ucf101_split1", torch_file({"state_dict": state, "meta": {}})
    )
    clip = frames(112, steps=16)
    x = torch.from_numpy((clip - np.array([104, 117, 128])).astype("float32"))
    with torch.no_grad():
        expected = net(x.permute(0, 4, 1, 2, 3)).numpy()
    model = kts.load(spec)
    assert_same(logits(model, {"rgb": clip}), expected)
    assert kts.inspection.class_names(model)[0] == "ApplyEyeMakeup"


# === Temporal segments' authors ===


def caffe_name(layer):
    """conv1_7x7_s2 -> conv1/7x7_s2, inception_3a_1x1 -> inception_3a/1x1."""
    return re.sub(r"^(conv\d|inception_\d\w)_", r"\1/", layer)


def bn_inception_caffemodel(net, inverse):
    layers = []
    for name, module in net.named_children():
        if isinstance(module, nn.BatchNorm2d):
            spread = module.running_var
            if inverse:
                spread = (spread + 1e-5) ** -0.5
            arrays = [module.weight, module.bias, module.running_mean, spread]
            arrays = [x.detach().numpy().reshape(1, -1) for x in arrays]
            layers.append((caffe_name(name), "BN", arrays))
            continue
        arrays = [module.weight.detach().numpy(), module.bias.detach().numpy()]
        kind = "InnerProduct" if name == "fc" else "Convolution"
        name = "fc-action" if name == "fc" else caffe_name(name)
        layers.append((name, kind, arrays))
    return caffemodel(layers)


@pytest.fixture(scope="module")
def bn_inception():
    return randomized(BNInception(classes=101))


@pytest.mark.parametrize("layout", ["caffe_variance", "caffe_inverse_std"])
def test_bn_inception_of_caffe(served_row, bn_inception, layout):
    body = bn_inception_caffemodel(bn_inception, layout != "caffe_variance")
    spec = served_row("temporal_segment.ucf101_split1", body, layout=layout)
    clip = frames(SIZE, steps=STEPS)
    x = as_torch(clip[..., ::-1], [104, 117, 123])
    with torch.no_grad():
        expected = bn_inception(x).numpy().mean(axis=0, keepdims=True)
    model = kts.load(spec, streams=("rgb",), clip_length=STEPS)
    assert_same(logits(model, {"rgb": clip}), expected)
    if layout == "caffe_variance":
        with pytest.raises(WeightsError, match="State it: layout"):
            plain = dataclasses.replace(spec, layout="caffe")
            kts.load(plain, streams=("rgb",))


def test_bn_inception_of_cadene(served_row, bn_inception):
    state = {}
    for key, value in bn_inception.state_dict().items():
        # Ported from Caffe, vectors of normalisations are (1, C) there.
        value = value[None] if "_bn." in key and value.ndim else value
        state[re.sub(r"^fc\.", "last_linear.", key)] = value
    spec = served_row(
        "temporal_segment.imagenet_bn_cadene",
        torch_file(state),
        adaptation={"head": 101, "fresh": ["*_consensus*"]},
    )
    clip = frames(SIZE, steps=STEPS)
    x = as_torch(clip[..., ::-1], [104, 117, 128])
    with torch.no_grad():
        expected = bn_inception(x).numpy().mean(axis=0, keepdims=True)
    model = kts.load(spec, streams=("rgb",), num_classes=101)
    assert_same(logits(model, {"rgb": clip}), expected)


# === GoogLeNet ===


def googlenet_caffemodel(net):
    layers = [
        (name, "InnerProduct" if layer.weight.ndim == 2 else "Convolution",
         [layer.weight.detach().numpy(), layer.bias.detach().numpy()])
        for name, layer in net.layers.items()
    ]  # fmt: skip
    auxiliary = ("loss1/fc", "InnerProduct", [np.ones((2, 3)), np.ones(2)])
    return caffemodel([*layers, auxiliary], old=True)


@pytest.fixture
def real_googlenet(shared):
    """The network with Caffe's own values; skipped where they are not."""
    from safetensors.numpy import load_file

    path = shared / "bvlc_googlenet" / "model.safetensors"
    if not path.is_file():
        pytest.skip("the values of BVLC GoogLeNet are not here")
    values, net = load_file(path), GoogLeNet().eval()
    for name, layer in net.layers.items():
        ours = "predictions" if "loss3" in name else name.replace("/", "_")
        kernel = torch.from_numpy(values[f"{ours}.kernel"])
        axes = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
        layer.weight.data = kernel.permute(*axes).contiguous()
        layer.bias.data = torch.from_numpy(values[f"{ours}.bias"])
    return net


def photographs():
    """(name, centre of 224 pixels) of the samples that are installed."""
    datasets = pytest.importorskip("sklearn.datasets")
    samples = ("china.jpg", "flower.jpg")
    images = {name: datasets.load_sample_image(name) for name in samples}
    with contextlib.suppress(ImportError):
        from skimage import data

        images |= {"coffee": data.coffee(), "cat": data.chelsea()}
    for name, image in images.items():
        height, width = image.shape[:2]
        scale = 256 / min(height, width)
        size = (round(width * scale), round(height * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
        yield name, image[top : top + 224, left : left + 224]


# ImageNet has no class for the dahlia of flower.jpg.
ANSWERS = {"china.jpg": "palace", "coffee": "espresso", "cat": "Egyptian cat"}


def test_googlenet_of_caffe_names_photographs(served_row, real_googlenet):
    spec = served_row(
        "two_stream_googlenet.bvlc_imagenet",
        googlenet_caffemodel(real_googlenet),
    )
    model = kts.load(spec, num_classes=1000, streams=("rgb",))
    names = kts.inspection.class_names(model)
    for photo, image in photographs():
        clip = image[None, None].astype("float32")
        with torch.no_grad():
            x = as_torch(clip[..., ::-1], [104, 117, 123])
            expected = real_googlenet(x).numpy()
        scores = logits(model, {"rgb": clip})
        assert_same(scores, expected)
        if photo in ANSWERS:
            assert names[int(scores.argmax())] == ANSWERS[photo]


# === ST-ResNet and the multiplier, in MatConvNet's files ===


def numpy(tensor):
    return tensor.detach().numpy()


def in_matconvnet(name, suffix, module):
    """(layer, class, parameters) as import-caffe.py and DagNN name them."""
    if isinstance(module, nn.BatchNorm2d):
        # vl_nnbnorm.m keeps the standard deviation, epsilon inside.
        deviation = np.sqrt(numpy(module.running_var) + module.eps)
        moments = np.stack([numpy(module.running_mean), deviation], axis=1)
        return name + suffix, "dagnn.BatchNorm", {
            f"{name}_mult{suffix}": numpy(module.weight)[:, None],
            f"{name}_bias{suffix}": numpy(module.bias)[:, None],
            f"{name}_moments{suffix}": moments.astype("float32"),
        }  # fmt: skip
    if isinstance(module, Lifted):
        # (O, I, 3, 1) -> 1 x 3 x I x O, as ConvTime.m has it.
        kernel = numpy(module.conv.weight).transpose(3, 2, 1, 0)
        params = {f"{name}_filter{suffix}": kernel}
        layer = name + suffix
        if module.conv.bias is not None:  # STMulNet.m
            layer = f"{name}_branch2b_relu{suffix}_Time"
            bias = numpy(module.conv.bias)[:, None]
            params = {f"{layer}_f": kernel, f"{layer}_b": bias}
        return layer, "dagnn.ConvTime", params
    weight = numpy(module.weight)
    weight = weight.reshape(*weight.shape, *[1] * (4 - weight.ndim))
    params = {f"{name}_filter{suffix}": weight.transpose(2, 3, 1, 0)}
    if module.bias is not None:
        params[f"{name}_bias{suffix}"] = numpy(module.bias)[:, None]
    return name + suffix, "dagnn.Conv", params


def caffe_layers(tower):
    """(Caffe's name, module) of each layer of a stream."""
    yield "conv1", tower.stem[0]
    yield "bn_conv1", tower.stem[1]
    for stage, blocks in enumerate(tower.stages, start=2):
        for letter, block in zip("abcdef", blocks, strict=False):
            name = f"{stage}{letter}"
            mixes = len(block.branch) == 9
            rows = {"2a": 0, "2b": 3, "2c": 7 if mixes else 6}
            parts = {k: block.branch[i : i + 2] for k, i in rows.items()}
            if mixes:
                yield f"res{name}", block.branch[6]
            if isinstance(block.shortcut, nn.Sequential):
                parts["1"] = block.shortcut
            for branch, (conv, norm) in parts.items():
                yield f"res{name}_branch{branch}", conv
                yield f"bn{name}_branch{branch}", norm


def dagnn_layers(tower, suffix, head):
    layers = [in_matconvnet(name, suffix, module)
              for name, module in caffe_layers(tower)]  # fmt: skip
    _, kind, params = in_matconvnet("fc1000", suffix, tower.fc)
    return [*layers, (f"{head}{suffix}", kind, params)]


def mat_file(layers, path):
    save_mat(path, dagnn(layers))
    return path.read_bytes()


def small_streams(**options):
    """Both streams of a small ResNet with bottlenecks, statistics filled."""
    torch.manual_seed(0)
    net = STResNet(
        classes=11, steps=STEPS, blocks=(2, 2, 2, 2), width=8,
        pool=nn.MaxPool2d(3, 2, ceil_mode=True), **options,
    )  # fmt: skip
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.9
    return net


def two_clips():
    clips = {
        "rgb": frames(SIZE, batch=2, steps=STEPS),
        "flow": frames(SIZE, batch=2, steps=STEPS, channels=20, seed=1),
    }
    inputs = [
        as_torch(clips["rgb"], RESNET_MEAN),
        as_torch(levels(clips["flow"]) - 128),
    ]
    return clips, [x.unflatten(0, (-1, STEPS)) for x in inputs]


SMALL = {"depth": 26, "width": 8, "num_classes": 11, "clip_length": STEPS}


@pytest.mark.parametrize(
    ("name", "multiplies", "longest"),
    [
        ("spatiotemporal_resnet.ucf101_split1", False, (2, 2)),
        ("spatiotemporal_multiplier.ucf101_split1", True, (2, 1)),
    ],
)
def test_both_streams_may_be_in_one_file(
    served_row, tmp_path, name, multiplies, longest
):
    net = small_streams(multiplies=multiplies)
    clips, inputs = two_clips()
    with torch.no_grad():
        net.train()(*inputs)
        expected = sum(net.eval()(*inputs, longest)).numpy() / 2
    layers = [
        *dagnn_layers(net.rgb, "_spatial", "prediction"),
        *dagnn_layers(net.flow, "_temporal", "prediction"),
    ]
    spec = served_row(name, mat_file(layers, tmp_path / "net.mat"))
    options = {**spec.options, **SMALL, "temporal_pool": longest[0]}
    spec = dataclasses.replace(spec, options=options, classes=None)
    model = kts.load(spec)
    assert kts.inspection.head_is_trained(model)
    assert_same(logits(model, clips), expected)
    # torchvision's padding would move every window of the first pool.
    options = {**options, "pool_padding": "both"}
    moved = dataclasses.replace(spec, options=options)
    assert np.abs(logits(kts.load(moved), clips) - expected).max() > 1e-3
    appearance = kts.load(spec, streams=("rgb",))
    assert kts.clip_spec(appearance).streams == ("rgb",)


def test_base_streams_become_averages_over_time(served_row, tmp_path):
    net = small_streams()
    plain = small_streams()  # the same but for what is lifted
    clips, inputs = two_clips()
    with torch.no_grad():
        net.train()(*inputs)
    plain.load_state_dict(net.state_dict())
    bodies = []
    for stream in ("rgb", "flow"):
        tower = getattr(plain, stream)
        for blocks in tower.stages:
            for place in (0, 6):
                lifted = blocks[1].branch[place]
                image = lifted.conv.weight.data.sum(dim=2, keepdim=True)
                blocks[1].branch[place] = nn.Conv2d(
                    *image.shape[1::-1], 1, bias=False
                )
                blocks[1].branch[place].weight.data = image
                # ST-ResNet starts from W/3 three times (STResNet_stage1.m).
                ours = getattr(net, stream).stages
                blocks_of = ours[list(tower.stages).index(blocks)]
                blocks_of[1].branch[place].conv.weight.data = (
                    image.repeat(1, 1, 3, 1) / 3
                )
        layers = dagnn_layers(tower, "", "fc1000")
        bodies.append(mat_file(layers, tmp_path / f"{stream}.mat"))
    with torch.no_grad():
        expected = sum(net.eval()(*inputs)).numpy() / 2
    spec = served_row("spatiotemporal_resnet.ucf101_split1_base", *bodies)
    options = {**spec.options, **SMALL}
    # The heads fit the streams alone; here they show that all else fits.
    spec = dataclasses.replace(spec, options=options, head_trained=True)
    assert_same(logits(kts.load(spec), clips), expected)


def test_a_file_that_lacks_a_stream_is_refused(served_row, tmp_path):
    net = small_streams()
    layers = dagnn_layers(net.rgb, "_spatial", "prediction")
    body = mat_file(layers, tmp_path / "net.mat")
    spec = served_row("spatiotemporal_resnet.ucf101_split1", body)
    options = {**spec.options, **SMALL, "temporal_pool": None}
    spec = dataclasses.replace(spec, options=options)
    with pytest.raises(WeightsError, match=r"missing in the weights.*\n.*flow"):
        kts.load(spec)


# === VGG-16 and whole ResNets: their true shapes ===


@pytest.mark.full
def test_vgg16_of_matconvnet(served_row, tmp_path):
    import torchvision

    torch.manual_seed(0)
    net = torchvision.models.vgg16(num_classes=101).eval()
    names = {}
    block, index = 1, 0
    for module in net.features:
        if isinstance(module, nn.Conv2d):
            index += 1
            names[f"conv{block}_{index}"] = module
        elif isinstance(module, nn.MaxPool2d):
            block, index = block + 1, 0
    layers = [in_matconvnet(name, "", module)
              for name, module in names.items()]  # fmt: skip
    for name, place in (("fc6", 0), ("fc7", 3), ("fc8", 6)):
        module = net.classifier[place]
        kernel = numpy(module.weight)
        if name == "fc6":  # MatConvNet has a 7 x 7 convolution
            kernel = kernel.reshape(4096, 512, 7, 7)
        else:
            kernel = kernel[:, :, None, None]
        layers.append(
            (name, "dagnn.Conv", {
                f"{name}f": kernel.transpose(2, 3, 1, 0),
                f"{name}b": numpy(module.bias)[:, None],
            })
        )  # fmt: skip
    body = mat_file(layers, tmp_path / "net.mat")
    spec = served_row("two_stream_vgg16.ucf101_split1", body)
    clip = frames(224)
    with torch.no_grad():
        expected = net(as_torch(clip, [123.68, 116.779, 103.939])).numpy()
    model = kts.load(spec, streams=("rgb",))
    assert_same(logits(model, {"rgb": clip}), expected)


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "multiplies", "longest"),
    [
        ("spatiotemporal_resnet.ucf101_split1", False, (1, 2)),
        ("spatiotemporal_multiplier.ucf101_split1", True, (1, 1)),
    ],
)
def test_the_true_shapes_of_both_streams(
    served_row, tmp_path, name, multiplies, longest
):
    torch.manual_seed(0)
    net = STResNet(
        steps=STEPS, multiplies=multiplies,
        pool=nn.MaxPool2d(3, 2, ceil_mode=True),
    )  # fmt: skip
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.9
    clips, inputs = two_clips()
    with torch.no_grad():
        net.train()(*inputs)
        expected = sum(net.eval()(*inputs, longest)).numpy() / 2
    layers = [
        *dagnn_layers(net.rgb, "_spatial", "prediction"),
        *dagnn_layers(net.flow, "_temporal", "prediction"),
    ]
    spec = served_row(name, mat_file(layers, tmp_path / "net.mat"))
    model = kts.load(spec, clip_length=STEPS, temporal_pool=longest[0])
    assert_same(logits(model, clips), expected)


# === pytorch-i3d ===


def test_git_names_a_file_as_the_row_does(tmp_path):
    from keras_twostream.pretrained import _verify

    path = tmp_path / "rgb_imagenet.pt"
    path.write_bytes(b"tensors" * 99)
    try:
        output = subprocess.run(
            ["git", "hash-object", str(path)], capture_output=True, check=True
        )
    except OSError:
        pytest.skip("git is not installed")
    _verify.verify(path, f"git_blob:{output.stdout.decode().strip()}", "")
    with pytest.raises(WeightsError, match="received git_blob "):
        _verify.verify(path, f"git_blob:{'0' * 40}", "")
