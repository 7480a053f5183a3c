"""Inception v3, named as in TensorFlow-Slim and torchvision.

C. Szegedy et al.: Rethinking the Inception Architecture for Computer Vision.
CVPR 2016, arXiv 1512.00567, without the auxiliary head. The public weights
fix what the paper leaves open: which layers pad, and whether averages count
their padding (torchvision's do, those of keras.applications do not).
"""

from functools import partial

from keras import KerasTensor

from keras_twostream.models.backbones import units

_conv = partial(units.conv_bn, epsilon=1e-3)

ROW, COLUMN = (1, 7), (7, 1)

SMALLEST = 75

# The branches of a module are chains of (name, filters, size, options).
_STRIDED = {"stride": 2, "pad": 0}


def features(x: KerasTensor, stream: str, count_padding: bool = True):
    """299 x 299 frames to 2048 features, through pool.

    Args:
        x: Frames (B, H, W, C).
        stream: Prefix of the layers' names.
        count_padding: Whether averages count their zero padding.

    Returns:
        (B, 2048). The taps are Mixed_5b to Mixed_7c and pool.
    """
    pool = partial(units.average_pool, count_padding=count_padding)
    x = _stem(x, stream)  # 35 x 35 x 192
    for letter, filters in zip("bcd", (32, 64, 64), strict=True):
        x = _module(x, f"{stream}_Mixed_5{letter}", _FIVE, pool, filters)
    x = _strided_module(x, f"{stream}_Mixed_6a", _SIX_A)  # 17 x 17 x 768
    for letter, width in zip("bcde", (128, 160, 160, 192), strict=True):
        x = _module(x, f"{stream}_Mixed_6{letter}", _six(width), pool, 192)
    x = _strided_module(x, f"{stream}_Mixed_7a", _SEVEN_A)  # 8 x 8 x 1280
    for letter in "bc":
        x = _last_module(x, f"{stream}_Mixed_7{letter}", pool)
    return units.global_average(x, f"{stream}_pool")


def _stem(x, stream):
    x = _conv(x, f"{stream}_Conv2d_1a_3x3", 32, 3, **_STRIDED)  # 149 x 149
    x = _conv(x, f"{stream}_Conv2d_2a_3x3", 32, 3, pad=0)  # 147 x 147
    x = _conv(x, f"{stream}_Conv2d_2b_3x3", 64, 3)
    x = units.max_pool(x, f"{stream}_maxpool1", 3, 2)  # 73 x 73
    x = _conv(x, f"{stream}_Conv2d_3b_1x1", 80, 1)
    x = _conv(x, f"{stream}_Conv2d_4a_3x3", 192, 3, pad=0)  # 71 x 71
    return units.max_pool(x, f"{stream}_maxpool2", 3, 2)  # 35 x 35


_FIVE = [
    [("branch1x1", 64, 1)],
    [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)],
    [
        ("branch3x3dbl_1", 64, 1),
        ("branch3x3dbl_2", 96, 3),
        ("branch3x3dbl_3", 96, 3),
    ],
]

_SIX_A = [
    [("branch3x3", 384, 3, _STRIDED)],
    [
        ("branch3x3dbl_1", 64, 1),
        ("branch3x3dbl_2", 96, 3),
        ("branch3x3dbl_3", 96, 3, _STRIDED),
    ],
]


def _six(width):
    """Figure 6: 7x7 factored into rows and columns."""
    return [
        [("branch1x1", 192, 1)],
        [
            ("branch7x7_1", width, 1),
            ("branch7x7_2", width, ROW),
            ("branch7x7_3", 192, COLUMN),
        ],
        [
            ("branch7x7dbl_1", width, 1),
            ("branch7x7dbl_2", width, COLUMN),
            ("branch7x7dbl_3", width, ROW),
            ("branch7x7dbl_4", width, COLUMN),
            ("branch7x7dbl_5", 192, ROW),
        ],
    ]


_SEVEN_A = [
    [("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3, _STRIDED)],
    [
        ("branch7x7x3_1", 192, 1),
        ("branch7x7x3_2", 192, ROW),
        ("branch7x7x3_3", 192, COLUMN),
        ("branch7x7x3_4", 192, 3, _STRIDED),
    ],
]


def _module(x, name, branches, pool, pool_filters):
    """Chains side by side, and an average with a projection."""
    ends = [_chain(x, name, branch) for branch in branches]
    ends.append(_pool_branch(x, name, pool, pool_filters))
    return units.concat(ends, name)


def _strided_module(x, name, branches):
    """Join chains and a maximum, all at stride 2."""
    ends = [_chain(x, name, branch) for branch in branches]
    ends.append(units.max_pool(x, f"{name}_pool", 3, 2))
    return units.concat(ends, name)


def _chain(x, name, branch):
    for part, filters, size, *options in branch:
        x = _conv(x, f"{name}_{part}", filters, size, **dict(*options))
    return x


def _pool_branch(x, name, pool, filters):
    x = pool(x, f"{name}_pool")
    return _conv(x, f"{name}_branch_pool", filters, 1)


def _last_module(x, name, pool):
    """Figure 7: branches that fork into a row and a column."""
    three = _chain(x, name, [("branch3x3_1", 384, 1)])
    double = _chain(
        x, name, [("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3)]
    )
    ends = [
        _chain(x, name, [("branch1x1", 320, 1)]),
        *_fork(three, f"{name}_branch3x3_2"),
        *_fork(double, f"{name}_branch3x3dbl_3"),
        _pool_branch(x, name, pool, 192),
    ]
    return units.concat(ends, name)


def _fork(x, name):
    return [
        _conv(x, f"{name}a", 384, (1, 3)),
        _conv(x, f"{name}b", 384, (3, 1)),
    ]
