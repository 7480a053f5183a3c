"""BN-Inception, named as in the Caffe files of temporal segment networks.

S. Ioffe, C. Szegedy: Batch Normalization. ICML 2015, arXiv 1502.03167,
figure 5. As in the authors' files (yjxiong/temporal-segment-networks) each
convolution has a bias besides its normalisation, the last module pools by
maximum, the others' averages count their padding, and pools that stride round
the size up.
"""

from functools import partial

from keras import KerasTensor

from keras_twostream.layers import CeilMaxPooling2D
from keras_twostream.models.backbones import units

SMALLEST = 7  # pixels; pools leave nothing of fewer, which TensorFlow dies of

# 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pool projection.
MODULES = {
    "3a": (64, 64, 64, 64, 96, 32),
    "3b": (64, 64, 96, 64, 96, 64),
    "3c": (0, 128, 160, 64, 96, 0),
    "4a": (224, 64, 96, 96, 128, 128),
    "4b": (192, 96, 128, 96, 128, 128),
    "4c": (160, 128, 160, 128, 160, 128),
    "4d": (96, 128, 192, 160, 192, 128),
    "4e": (0, 128, 192, 192, 256, 0),
    "5a": (352, 192, 320, 160, 224, 128),
    "5b": (352, 192, 320, 192, 224, 128),
}
MAX_POOLED = ("5b",)

_conv = partial(units.conv_bn, epsilon=1e-5, use_bias=True)


def features(x: KerasTensor, stream: str):
    """224 x 224 frames to 1024 features, through global_pool.

    Args:
        x: Frames (B, H, W, C).
        stream: Prefix of the layers' names.

    Returns:
        (B, 1024). The taps are inception_3a to inception_5b, global_pool.
    """
    x = _conv(x, f"{stream}_conv1_7x7_s2", 64, 7, 2)  # 112 x 112
    x = CeilMaxPooling2D(3, 2, name=f"{stream}_pool1_3x3_s2")(x)  # 56 x 56
    x = _conv(x, f"{stream}_conv2_3x3_reduce", 64, 1)
    x = _conv(x, f"{stream}_conv2_3x3", 192, 3)
    x = CeilMaxPooling2D(3, 2, name=f"{stream}_pool2_3x3_s2")(x)  # 28 x 28
    for module, widths in MODULES.items():
        x = _module(x, stream, module, widths)
    return units.global_average(x, f"{stream}_global_pool")


def _module(x, stream, module, widths):
    name = f"{stream}_inception_{module}"
    one, reduce, three, double_reduce, double, project = widths
    stride = 1 if one else 2
    branches = [_conv(x, f"{name}_1x1", one, 1)] if one else []
    y = _conv(x, f"{name}_3x3_reduce", reduce, 1)
    branches.append(_conv(y, f"{name}_3x3", three, 3, stride))
    y = _conv(x, f"{name}_double_3x3_reduce", double_reduce, 1)
    y = _conv(y, f"{name}_double_3x3_1", double, 3)
    branches.append(_conv(y, f"{name}_double_3x3_2", double, 3, stride))
    branches.append(_pool_branch(x, name, project, module in MAX_POOLED))
    return units.concat(branches, name)


def _pool_branch(x, name, project, by_maximum):
    if not project:
        # On even sides Caffe's pool; on odd ones, where Caffe's network does
        # not fit together, as many cells as the convolutions beside it.
        return units.max_pool(x, f"{name}_pool", 3, 2, padding="same")
    if by_maximum:
        x = units.max_pool(x, f"{name}_pool", 3, 1, padding="same")
    else:
        x = units.average_pool(x, f"{name}_pool")
    return _conv(x, f"{name}_pool_proj", project, 1)
