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


@pytest.mark.parametrize("name", ROWS)
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


def kept(logits):
    """Logits, checked to differ from class to class."""
    assert logits.std() > 1e-3
    return logits
