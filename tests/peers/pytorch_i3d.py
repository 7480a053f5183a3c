"""I3D in PyTorch, under the names that piergiaj/pytorch-i3d gives its parts.

Written from the paper (Carreira & Zisserman 2017, figure 3) and TensorFlow's
rule for padding, so that it shares nothing with the network it is to check.
"""

import torch
from torch import nn
from torch.nn import functional

# 1x1 | 3x3 reduced, 3x3 | second 3x3 reduced, 3x3 | after the pool
WIDTHS = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
POOL_BEFORE = {"Mixed_4b": (3, 2), "Mixed_5b": (2, 2)}


def padded(x, size, strides):
    """TensorFlow's "SAME": the odd zero goes to the far side."""
    sides = []
    for length, taps, step in zip(x.shape[2:], size, strides, strict=True):
        total = max((-(-length // step) - 1) * step + taps - length, 0)
        sides = [total // 2, total - total // 2, *sides]
    return functional.pad(x, sides)


def max_pool(x, size, strides):
    # Zeros are as good as minus infinity after a ReLU.
    return functional.max_pool3d(padded(x, size, strides), size, strides)


class Unit(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs, outputs, size, stride=1):
        super().__init__()
        self.size, self.strides = (size,) * 3, (stride,) * 3
        self.conv3d = nn.Conv3d(
            inputs,
            outputs,
            self.size,
            self.strides,
            # Without a stride both sides are alike, and it is faster so.
            padding=size // 2 if stride == 1 else 0,
            bias=False,
        )
        self.bn = nn.BatchNorm3d(outputs, eps=1e-3)

    def forward(self, x):
        if self.strides != (1, 1, 1):
            x = padded(x, self.size, self.strides)
        return functional.relu(self.bn(self.conv3d(x)))


class Mixed(nn.Module):
    """Four branches side by side."""

    def __init__(self, inputs, widths):
        super().__init__()
        one, reduced, three, again, double, pooled = widths
        self.b0 = Unit(inputs, one, 1)
        self.b1a = Unit(inputs, reduced, 1)
        self.b1b = Unit(reduced, three, 3)
        self.b2a = Unit(inputs, again, 1)
        self.b2b = Unit(again, double, 3)
        self.b3b = Unit(inputs, pooled, 1)

    def forward(self, x):
        pooled = max_pool(x, (3, 3, 3), (1, 1, 1))
        branches = [
            self.b0(x),
            self.b1b(self.b1a(x)),
            self.b2b(self.b2a(x)),
            self.b3b(pooled),
        ]
        return torch.cat(branches, dim=1)


class Logits(nn.Module):
    def __init__(self, inputs, classes):
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, classes, 1)


class I3D(nn.Module):
    """One stream; logits of (B, C, T, H, W), averaged over time and place."""

    def __init__(self, channels, classes=400, window=(2, 7, 7)):
        super().__init__()
        self.window = window
        self.Conv3d_1a_7x7 = Unit(channels, 64, 7, 2)
        self.Conv3d_2b_1x1 = Unit(64, 64, 1)
        self.Conv3d_2c_3x3 = Unit(64, 192, 3)
        inputs = 192
        for name, widths in WIDTHS.items():
            setattr(self, name, Mixed(inputs, widths))
            inputs = widths[0] + widths[2] + widths[4] + widths[5]
        self.logits = Logits(inputs, classes)

    def forward(self, x):
        x = max_pool(self.Conv3d_1a_7x7(x), (1, 3, 3), (1, 2, 2))
        x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x))
        x = max_pool(x, (1, 3, 3), (1, 2, 2))
        for name in WIDTHS:
            if name in POOL_BEFORE:
                size, stride = POOL_BEFORE[name]
                x = max_pool(x, (size,) * 3, (stride,) * 3)
            x = getattr(self, name)(x)
        x = functional.avg_pool3d(x, self.window, stride=1)
        return self.logits.conv3d(x).mean(dim=(2, 3, 4))
