"""C3D in PyTorch, under the names of OpenMMLab's mmaction2.

Written from figure 3 of Tran et al. 2015 and what mmaction2's page says of its
network (the last pool padded by one on each side of height and width).
"""

from torch import nn
from torch.nn import functional

WIDTHS = {
    "conv1a": 64, "conv2a": 128, "conv3a": 256, "conv3b": 256,
    "conv4a": 512, "conv4b": 512, "conv5a": 512, "conv5b": 512,
}  # fmt: skip
POOLED = ("conv1a", "conv2a", "conv3b", "conv4b", "conv5b")


class Convolution(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3, padding=1)

    def forward(self, x):
        return functional.relu(self.conv(x))


class C3D(nn.Module):
    """fc7 of (B, 3, 16, 112, 112)."""

    def __init__(self):
        super().__init__()
        inputs = 3
        for name, outputs in WIDTHS.items():
            setattr(self, name, Convolution(inputs, outputs))
            inputs = outputs
        self.fc6 = nn.Linear(512 * 4 * 4, 4096)
        self.fc7 = nn.Linear(4096, 4096)

    def forward(self, x):
        for name in WIDTHS:
            x = getattr(self, name)(x)
            if name in POOLED:
                size = (1, 2, 2) if name == "conv1a" else 2
                pad = (0, 1, 1) if name == "conv5b" else 0
                x = functional.max_pool3d(x, size, size, padding=pad)
        x = functional.relu(self.fc6(x.flatten(1)))
        return functional.relu(self.fc7(x))


class Recognizer(nn.Module):
    """Logits; its state is that of mmaction2's Recognizer3D."""

    def __init__(self, classes):
        super().__init__()
        self.backbone = C3D()
        self.cls_head = nn.Module()
        self.cls_head.fc_cls = nn.Linear(4096, classes)

    def forward(self, x):
        return self.cls_head.fc_cls(self.backbone(x))
