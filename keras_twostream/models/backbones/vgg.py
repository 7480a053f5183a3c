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


def steps(stream: str, dropout: tuple[float, float]) -> dict[str, Callable]:
    """conv1_1 to fc7: 224 x 224 frames to 4096 features.

    Args:
        stream: Prefix of the layers' names.
        dropout: Rates after fc6 and fc7.

    Returns:
        From step to function of a tensor, in order. conv5_3 of a 224 x 224
        frame is 14 x 14 x 512, pool5 7 x 7 x 512.
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
    return {**row, **_dense_steps(stream, dropout)}


def _dense_steps(stream, dropout):
    row = {"flat": partial(units.flatten, name=f"{stream}_flat")}
    for number, rate in zip((6, 7), dropout, strict=True):
        name = f"{stream}_fc{number}"
        row[f"fc{number}"] = partial(units.dense, name=name, units=4096)
        row[f"dropout{number}"] = partial(
            units.dropout, name=f"{name}_dropout", rate=rate
        )
    return row
