"""Image networks of timm and torchvision, loaded through `load`.

Random weights under the true names and shapes; equal logits show that names,
axis orders, strides, padding and normalisation all fit.
"""

import keras
import numpy as np
import pytest
import timm
import torch
import torchvision
from reference import as_torch, frames, randomized

import keras_twostream as kts

MEAN = [255 * value for value in (0.485, 0.456, 0.406)]
STD = [255 * value for value in (0.229, 0.224, 0.225)]
HALF = [127.5] * 3

ROWS = {
    "temporal_segment.imagenet": ("resnet50", 96, MEAN, STD),
    "two_stream_vgg16.imagenet": ("vgg16", 224, MEAN, STD),
    "two_stream_inception_v3.imagenet": ("inception_v3", 299, HALF, HALF),
}


def ours(spec, clip, **options):
    model = kts.load(
        spec, streams=("rgb",), num_classes=1000, clip_length=1, **options
    )
    return keras.ops.convert_to_numpy(model({"rgb": clip}))


# VGG-16's key map also fills the towers below, in less time.
SLOW = pytest.param("two_stream_vgg16.imagenet", marks=pytest.mark.full)


@pytest.mark.parametrize(
    "name", [*(name for name in ROWS if name not in SLOW.values), SLOW]
)
def test_timm_nets_give_the_same_logits(name, publish):
    architecture, size, mean, std = ROWS[name]
    net = randomized(timm.create_model(architecture), size)
    clip = frames(size)
    with torch.no_grad():
        expected = net(as_torch(clip, mean, std)).numpy()
    actual = ours(publish(name, net), clip)
    # Logits of some hundreds are compared on their own scale.
    scale = max(1.0, kept(expected).std())
    np.testing.assert_allclose(
        actual / scale, expected / scale, rtol=1e-4, atol=1e-4
    )


def test_torchvision_googlenet_gives_the_same_logits(publish):
    net = randomized(
        torchvision.models.googlenet(init_weights=False, aux_logits=False),
        size=112,
    )
    clip = frames(224)
    with torch.no_grad():
        expected = net(as_torch(clip, HALF, HALF)).numpy()
    actual = ours(publish("two_stream_googlenet.imagenet", net), clip)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_torchvision_r2plus1d_gives_the_same_logits(publish):
    net = randomized(torchvision.models.video.r2plus1d_18(), steps=(8,))
    clip = frames(112, steps=8)
    mean = np.array([0.43216, 0.394666, 0.37645]) * 255
    std = np.array([0.22803, 0.22145, 0.216989]) * 255
    x = torch.from_numpy(((clip - mean) / std).astype("float32"))
    with torch.no_grad():
        expected = net(x.permute(0, 4, 1, 2, 3)).numpy()
    spec = publish("r2plus1d.kinetics400", net)
    model = kts.load(spec, clip_length=8)
    actual = keras.ops.convert_to_numpy(model({"rgb": clip}))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "tap"),
    [
        ("two_stream_fusion.imagenet", "rgb.conv5_3"),
        ("action_transformation.imagenet", "rgb.fc7"),
    ],
)
def test_vgg16_fills_the_towers_of_other_networks(name, tap, publish):
    size, steps = 64, 5  # frames of 64 pixels leave 2x2 maps to fc6
    net = timm.create_model("vgg16", mlp_ratio=1 / 64)
    net.pre_logits = timm.models.vgg.ConvMlp(512, 4096, kernel_size=2)
    net.eval()
    clips = {
        "rgb": frames(size, steps=steps),
        "flow": frames(size, steps=steps, channels=20, seed=1),
    }
    with torch.no_grad():
        x = as_torch(clips["rgb"], MEAN, STD)
        expected = {
            "rgb.conv5_3": net.features[:30](x).permute(0, 2, 3, 1),
            "rgb.fc7": net.pre_logits(net.features(x))[:, :, 0, 0],
        }[tap].numpy()
    model = kts.load(
        publish(name, net),
        clip_length=steps,
        clip_spec={"crop": (size, size)},
    )
    actual = keras.ops.convert_to_numpy(kts.taps(model, [tap])(clips)[tap])
    # fc6 and fc7 keep places, of a whole frame: one of 1 x 1 here.
    actual = actual.reshape(expected.shape)
    scale = expected.std()
    assert scale > 0
    np.testing.assert_allclose(
        actual / scale, expected / scale, rtol=1e-4, atol=1e-4
    )
    motion = keras.ops.convert_to_numpy(model.get_layer("flow_conv1_1").kernel)
    mean = net.features[0].weight.detach().mean(dim=1).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(motion, np.stack([mean] * 20, 2), atol=1e-6)


def kept(logits):
    """Logits, checked to differ from class to class."""
    assert logits.std() > 1e-3
    return logits
