"""VGG-16 as a row of named steps.

K. Simonyan, A. Zisserman: Very Deep Convolutional Networks for Large-Scale
Image Recognition. ICLR 2015, arXiv 1409.1556, table 1, column D. Each step is
one layer under the paper's name, so that networks can be cut and joined at
any of them.
"""

from collections.abc import Callable
from functools import partial

from keras_twostream.models.backbones import units

# Channels of the 3x3 convolutions; a 2x2 pool follows each block.
BLOCKS = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)


SMALLEST = 32


def steps(
    stream: str, dropout: tuple[float, float], crop: tuple[int, int]
) -> dict[str, Callable]:
    """conv1_1 to fc7, and their mean: 224 x 224 frames to 4096 features.

    Frames larger than the crop are seen whole: fc6 slides over them.

    Args:
        stream: Prefix of the layers' names.
        dropout: Rates after fc6 and fc7.
        crop: (height, width) of the frames it is trained on.

    Returns:
        From step to function of a tensor, in order. conv5_3 of a 224 x 224
        frame is 14 x 14 x 512, pool5 7 x 7 x 512, fc6 and fc7 1 x 1 x 4096.
    """
    row = {}
    for block, widths in enumerate(BLOCKS, 1):
        for index, filters in enumerate(widths, 1):
            name = f"conv{block}_{index}"
            row[name] = partial(
                units.conv, name=f"{stream}_{name}", filters=filters, size=3
            )
        name = f"pool{block}"
        row[name] = partial(
            units.max_pool, name=f"{stream}_{name}", size=2, stride=2
        )
    window = crop[0] // 32, crop[1] // 32
    return {**row, **_dense_steps(stream, dropout, window)}


def _dense_steps(stream, dropout, window):
    fc6, fc7 = f"{stream}_fc6", f"{stream}_fc7"
    drop6, drop7 = dropout
    return {
        "fc6": partial(
            units.sliding_dense, name=fc6, units=4096, window=window
        ),
        "dropout6": partial(units.dropout, name=f"{fc6}_dropout", rate=drop6),
        "fc7": partial(units.dense, name=fc7, units=4096),
        "dropout7": partial(units.dropout, name=f"{fc7}_dropout", rate=drop7),
        "places": partial(units.global_average, name=f"{stream}_places"),
    }
