"""Image networks inflated to video, against the image networks themselves.

A clip that stands still must get, away from its two ends, exactly the
features that the 2-D network gives its one frame.
"""

import keras
import numpy as np
import timm
import torch
import torchvision
from reference import as_torch, frames, randomized
from torch import nn

import keras_twostream as kts

HALF = [127.5] * 3
MEAN = [255 * value for value in (0.485, 0.456, 0.406)]
STD = [255 * value for value in (0.229, 0.224, 0.225)]


def inside(model, tap, frame, steps):
    """The activation in the middle of a clip that repeats a frame."""
    clip = np.repeat(frame, steps, axis=1)
    result = kts.taps(model, [tap])({"rgb": clip})[tap]
    result = keras.ops.convert_to_numpy(result)[0]
    return result[len(result) // 2].transpose(2, 0, 1)


def assert_same(actual, expected):
    scale = expected.std()
    assert scale > 1e-3
    np.testing.assert_allclose(
        actual / scale, expected / scale, rtol=1e-4, atol=1e-4
    )


def googlenet_as_tensorflow_pads():
    """torchvision's, but for the pools of stride 2.

    I3D pads as TensorFlow does. At sizes of 2^n + 1 pixels that is PyTorch's
    symmetric padding, which torchvision's pools with ceil_mode leave out.
    """
    net = torchvision.models.googlenet(init_weights=False, aux_logits=False)
    for name in ("maxpool1", "maxpool2", "maxpool3"):
        setattr(net, name, nn.MaxPool2d(3, 2, padding=1))
    return net


def test_i3d_from_googlenet_gives_a_still_clip_its_features(publish):
    steps, size = 120, 65  # the features see 99 frames
    net = randomized(googlenet_as_tensorflow_pads(), size)
    frame = frames(size)
    seen = []
    net.inception5b.register_forward_hook(lambda *call: seen.append(call[2]))
    with torch.no_grad():
        net(as_torch(frame, HALF, HALF))
    model = kts.load(
        publish("i3d.imagenet", net),
        streams=("rgb",),
        clip_length=steps,
        clip_spec={"crop": (size, size)},
    )
    actual = inside(model, "rgb.Mixed_5c", frame, steps)
    assert_same(actual, seen[0][0].numpy())


def test_c3d_from_vgg11_gives_a_still_clip_its_features(publish):
    steps, size = 96, 32  # the features see 68 frames
    net = timm.create_model("vgg11", mlp_ratio=1 / 64).eval()
    frame = frames(size)
    with torch.no_grad():
        expected = net.features[:20](as_torch(frame, MEAN, STD))[0].numpy()
    model = kts.load(
        publish("c3d.imagenet", net),
        clip_length=steps,
        clip_spec={"crop": (size, size), "resize_to": None},
    )
    assert_same(inside(model, "rgb.conv5b", frame, steps), expected)
