"""BN-Inception in PyTorch, under the Caffe names that tsn-pytorch keeps.

Written from figure 5 of Ioffe & Szegedy 2015 and what the authors of temporal
segments changed (a bias beside each normalisation, ceil pooling, the last
module's maximum), so that it shares nothing with the network it is to check.
"""

import torch
from torch import nn
from torch.nn import functional

# 1x1 | 3x3 reduced, 3x3 | double 3x3 reduced, 3x3 | after the pool
WIDTHS = {
    "3a": (64, 64, 64, 64, 96, 32),
    "3b": (64, 64, 96, 64, 96, 64),
    "3c": (None, 128, 160, 64, 96, None),
    "4a": (224, 64, 96, 96, 128, 128),
    "4b": (192, 96, 128, 96, 128, 128),
    "4c": (160, 128, 160, 128, 160, 128),
    "4d": (96, 128, 192, 160, 192, 128),
    "4e": (None, 128, 192, 192, 256, None),
    "5a": (352, 192, 320, 160, 224, 128),
    "5b": (352, 192, 320, 192, 224, 128),
}


class BNInception(nn.Module):
    """Features of frames, and `fc`; every layer is a child by its name."""

    def __init__(self, channels=3, classes=1000):
        super().__init__()
        self._add("conv1_7x7_s2", channels, 64, 7, 2)
        self._add("conv2_3x3_reduce", 64, 64, 1)
        self._add("conv2_3x3", 64, 192, 3)
        inputs = 192
        for module, widths in WIDTHS.items():
            inputs = self._add_module(f"inception_{module}", inputs, *widths)
        self.fc = nn.Linear(inputs, classes)

    def _add(self, name, inputs, outputs, size, stride=1):
        conv = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2)
        self.add_module(name, conv)
        self.add_module(f"{name}_bn", nn.BatchNorm2d(outputs, eps=1e-5))

    def _add_module(self, name, inputs, one, r3, three, r33, double, pooled):
        stride = 2 if one is None else 1
        if one is not None:
            self._add(f"{name}_1x1", inputs, one, 1)
            self._add(f"{name}_pool_proj", inputs, pooled, 1)
        self._add(f"{name}_3x3_reduce", inputs, r3, 1)
        self._add(f"{name}_3x3", r3, three, 3, stride)
        self._add(f"{name}_double_3x3_reduce", inputs, r33, 1)
        self._add(f"{name}_double_3x3_1", r33, double, 3)
        self._add(f"{name}_double_3x3_2", double, double, 3, stride)
        return (one or 0) + three + double + (pooled or inputs)

    def _unit(self, name, x):
        x = getattr(self, name)(x)
        return functional.relu(getattr(self, f"{name}_bn")(x))

    def _mixed(self, name, x):
        ends = []
        if hasattr(self, f"{name}_1x1"):
            ends.append(self._unit(f"{name}_1x1", x))
        three = self._unit(f"{name}_3x3_reduce", x)
        ends.append(self._unit(f"{name}_3x3", three))
        double = self._unit(f"{name}_double_3x3_reduce", x)
        double = self._unit(f"{name}_double_3x3_1", double)
        ends.append(self._unit(f"{name}_double_3x3_2", double))
        ends.append(self._pooled(name, x))
        return torch.cat(ends, dim=1)

    def _pooled(self, name, x):
        if not hasattr(self, f"{name}_pool_proj"):
            if x.shape[-1] % 2:  # where Caffe's parts do not fit together
                return functional.max_pool2d(x, 3, 2, padding=1)
            return functional.max_pool2d(x, 3, 2, ceil_mode=True)
        if name == "inception_5b":
            x = functional.max_pool2d(x, 3, 1, padding=1)
        else:
            x = functional.avg_pool2d(x, 3, 1, padding=1)
        return self._unit(f"{name}_pool_proj", x)

    def forward(self, x):
        x = self._unit("conv1_7x7_s2", x)
        x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
        x = self._unit("conv2_3x3", self._unit("conv2_3x3_reduce", x))
        x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
        for module in WIDTHS:
            x = self._mixed(f"inception_{module}", x)
        return self.fc(x.mean(dim=(2, 3)))
