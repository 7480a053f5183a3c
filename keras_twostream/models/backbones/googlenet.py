"""GoogLeNet, with and without batch normalisation, named as in Caffe.

C. Szegedy et al.: Going Deeper with Convolutions. CVPR 2015, arXiv
1409.4842, table 1, without the auxiliary heads. With batch normalisation it
is torchvision's network, whose public weights come from TensorFlow: 3x3 where
the paper has 5x5, pool4 of 2x2, no local response normalisation.
"""

from functools import partial

from keras import KerasTensor

from keras_twostream.layers import (
    CeilMaxPooling2D,
    LocalResponseNormalization,
)
from keras_twostream.models.backbones import units

# 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection (table 1).
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def features(x: KerasTensor, stream: str, *, batch_norm: bool):
    """224 x 224 frames to 1024 features, through pool5.

    Args:
        x: Frames (B, H, W, C).
        stream: Prefix of the layers' names.
        batch_norm: torchvision's network instead of the paper's.

    Returns:
        (B, 1024). The taps are conv1_7x7_s2, conv2_3x3, inception_3a to
        inception_5b and pool5.
    """
    conv = partial(units.conv_bn, epsilon=1e-3) if batch_norm else units.conv
    x = _stem(x, stream, conv, normalize=not batch_norm)  # 28 x 28 x 192
    pool4 = 2 if batch_norm else 3
    for module, widths in MODULES.items():
        x = _module(
            x,
            f"{stream}_inception_{module}",
            widths,
            conv,
            wide=3 if batch_norm else 5,
        )
        if module == "3b":
            x = CeilMaxPooling2D(3, 2, name=f"{stream}_pool3")(x)  # 14 x 14
        if module == "4e":
            x = CeilMaxPooling2D(pool4, 2, name=f"{stream}_pool4")(x)  # 7 x 7
    return units.global_average(x, f"{stream}_pool5")


def _stem(x, stream, conv, normalize):
    x = conv(x, f"{stream}_conv1_7x7_s2", 64, 7, 2)  # 112 x 112
    x = CeilMaxPooling2D(3, 2, name=f"{stream}_pool1")(x)  # 56 x 56
    if normalize:
        x = LocalResponseNormalization(k=1.0, name=f"{stream}_norm1")(x)
    x = conv(x, f"{stream}_conv2_3x3_reduce", 64, 1)
    x = conv(x, f"{stream}_conv2_3x3", 192, 3)
    if normalize:
        x = LocalResponseNormalization(k=1.0, name=f"{stream}_norm2")(x)
    return CeilMaxPooling2D(3, 2, name=f"{stream}_pool2")(x)  # 28 x 28


def _module(x, name, widths, conv, wide):
    one, reduce3, three, reduce5, five, project = widths
    a = conv(x, f"{name}_1x1", one, 1)
    b = conv(x, f"{name}_3x3_reduce", reduce3, 1)
    b = conv(b, f"{name}_3x3", three, 3)
    c = conv(x, f"{name}_5x5_reduce", reduce5, 1)
    c = conv(c, f"{name}_5x5", five, wide)
    d = units.max_pool(x, f"{name}_pool", 3, 1, padding="same")
    d = conv(d, f"{name}_pool_proj", project, 1)
    return units.concat([a, b, c, d], name)
