"""GoogLeNet without batch normalisation in PyTorch, under Caffe's names.

Written from table 1 of Szegedy et al. 2015 and the pooling and the local
response normalisation of the paper's Caffe model (1 + alpha/n sum, pools that
round up), so that it shares nothing with the network it is to check.
"""

import torch
from torch import nn
from torch.nn import functional

# 1x1 | 3x3 reduced, 3x3 | 5x5 reduced, 5x5 | after the pool
WIDTHS = {
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
POOLED = ("3b", "4e")


class GoogLeNet(nn.Module):
    """Logits of frames; every layer lies in `layers` by its Caffe name."""

    def __init__(self, classes=1000, channels=3):
        super().__init__()
        self.layers = nn.ModuleDict()
        self._add("conv1/7x7_s2", channels, 64, 7, 2)
        self._add("conv2/3x3_reduce", 64, 64, 1)
        self._add("conv2/3x3", 64, 192, 3)
        inputs = 192
        for module, widths in WIDTHS.items():
            one, r3, three, r5, five, pooled = widths
            name = f"inception_{module}"
            self._add(f"{name}/1x1", inputs, one, 1)
            self._add(f"{name}/3x3_reduce", inputs, r3, 1)
            self._add(f"{name}/3x3", r3, three, 3)
            self._add(f"{name}/5x5_reduce", inputs, r5, 1)
            self._add(f"{name}/5x5", r5, five, 5)
            self._add(f"{name}/pool_proj", inputs, pooled, 1)
            inputs = one + three + five + pooled
        self.layers["loss3/classifier"] = nn.Linear(inputs, classes)

    def _add(self, name, inputs, outputs, size, stride=1):
        self.layers[name] = nn.Conv2d(
            inputs, outputs, size, stride, padding=size // 2
        )

    def _unit(self, name, x):
        return functional.relu(self.layers[name](x))

    def _mixed(self, name, x):
        pooled = functional.max_pool2d(x, 3, 1, padding=1)
        return torch.cat(
            [
                self._unit(f"{name}/1x1", x),
                self._unit(f"{name}/3x3", self._unit(f"{name}/3x3_reduce", x)),
                self._unit(f"{name}/5x5", self._unit(f"{name}/5x5_reduce", x)),
                self._unit(f"{name}/pool_proj", pooled),
            ],
            dim=1,
        )

    def forward(self, x):
        x = down(self._unit("conv1/7x7_s2", x))
        x = normalized(x)
        x = self._unit("conv2/3x3", self._unit("conv2/3x3_reduce", x))
        x = down(normalized(x))
        for module in WIDTHS:
            x = self._mixed(f"inception_{module}", x)
            if module in POOLED:
                x = down(x)
        return self.layers["loss3/classifier"](x.mean(dim=(2, 3)))


def down(x):
    return functional.max_pool2d(x, 3, 2, ceil_mode=True)


def normalized(x):
    return functional.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1)
