"""CNN-M-2048 as a row of named steps.

K. Chatfield, K. Simonyan, A. Vedaldi, A. Zisserman: Return of the Devil in
the Details. BMVC 2014, arXiv 1405.3531, table 1. The temporal network of
Simonyan & Zisserman 2014 lacks the second normalisation (section 5). Their
figure 1 draws 2x2 pooling, the text says 3x3 with stride 2: the text gives
the published sizes.
"""

from collections.abc import Callable
from functools import partial

from keras_twostream.layers import (
    CeilMaxPooling2D,
    LocalResponseNormalization,
)
from keras_twostream.models.backbones import units

SMALLEST = 41


def steps(
    stream: str, dropout: tuple[float, float], crop: tuple[int, int]
) -> dict[str, Callable]:
    """conv1 to full7, and their mean: 224 x 224 frames to 2048 features.

    Frames larger than the crop are seen whole: full6 slides over them.

    Args:
        stream: Prefix of the layers' names; "rgb" alone has norm2.
        dropout: Rates after full6 and full7.
        crop: (height, width) of the frames it is trained on.

    Returns:
        From step to function of a tensor, in order. conv5 of a 224 x 224
        frame is 13 x 13 x 512, pool5 6 x 6 x 512, full6 1 x 1 x 4096.
    """
    full6, full7 = f"{stream}_full6", f"{stream}_full7"
    drop6, drop7 = dropout
    window = _pooled(crop[0]), _pooled(crop[1])
    return {
        **_conv_steps(stream),
        "full6": partial(
            units.sliding_dense, name=full6, units=4096, window=window
        ),
        "dropout6": partial(units.dropout, name=f"{full6}_dropout", rate=drop6),
        "full7": partial(units.dense, name=full7, units=2048),
        "dropout7": partial(units.dropout, name=f"{full7}_dropout", rate=drop7),
        "places": partial(units.global_average, name=f"{stream}_places"),
    }


def _pooled(side: int) -> int:
    """Cells of pool5 along a side of the frame, 6 of 224 pixels."""
    side = (side - 7) // 2 + 1  # conv1
    side = -((3 - side) // 2) + 1  # pool1 rounds up
    side = (side - 3) // 2 + 1  # conv2
    for _ in ("pool2", "pool5"):
        side = -((3 - side) // 2) + 1
    return side


def _conv_steps(stream):
    conv = partial(_conv, stream)
    pool = partial(_pool, stream)
    row = {
        "conv1": conv("conv1", 96, 7, stride=2, pad=0),  # 109 x 109
        "norm1": _norm(stream, "norm1"),
        "pool1": pool("pool1"),  # 54 x 54
        "conv2": conv("conv2", 256, 5, stride=2, pad=1),  # 26 x 26
        "norm2": _norm(stream, "norm2"),
        "pool2": pool("pool2"),  # 13 x 13
        "conv3": conv("conv3", 512, 3),
        "conv4": conv("conv4", 512, 3),
        "conv5": conv("conv5", 512, 3),
        "pool5": pool("pool5"),  # 6 x 6
    }
    if stream != "rgb":
        del row["norm2"]
    return row


def _conv(stream, name, filters, size, **options):
    return partial(
        units.conv,
        name=f"{stream}_{name}",
        filters=filters,
        size=size,
        **options,
    )


# Layers are made when a step runs: a step that is dropped leaves none behind.


def _pool(stream, name):
    return lambda x: CeilMaxPooling2D(3, 2, name=f"{stream}_{name}")(x)


def _norm(stream, name):
    # Krizhevsky's 1e-4, which counts the window's sum, not its mean.
    return lambda x: LocalResponseNormalization(
        alpha=5e-4, name=f"{stream}_{name}"
    )(x)
