"""ST-ResNet of 50 layers in PyTorch (Feichtenhofer et al., NIPS 2016).

Written from the paper and from PyTorch's own habits, so that it shares
nothing with the network it is to check. Every tensor is a batch of frames,
(B * T, C, H, W), and every view keeps channels last in memory.
"""

from torch import nn
from torch.nn import functional

BLOCKS = (3, 4, 6, 3)


class Lifted(nn.Module):
    """A 1x1 convolution that sees three frames."""

    def __init__(self, inputs, outputs, steps):
        super().__init__()
        self.steps = steps
        self.conv = nn.Conv2d(
            inputs, outputs, (3, 1), padding=(1, 0), bias=False
        )

    def forward(self, frames):
        height, width = frames.shape[2:]
        clip = frames.unflatten(0, (-1, self.steps)).transpose(1, 2)
        clip = self.conv(clip.flatten(3)).unflatten(3, (height, width))
        return clip.transpose(1, 2).flatten(0, 1)


class Block(nn.Module):
    """A bottleneck; the convolutions at its ends may see three frames."""

    def __init__(self, inputs, width, stride, steps=None):
        super().__init__()
        outputs = 4 * width
        if steps is None:
            first = nn.Conv2d(inputs, width, 1, stride, bias=False)
            last = nn.Conv2d(width, outputs, 1, bias=False)
        else:
            first = Lifted(inputs, width, steps)
            last = Lifted(width, outputs, steps)
        self.branch = nn.Sequential(
            first,
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            last,
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x, injected=None):
        seen = x if injected is None else injected
        return self.shortcut(x) + self.branch(seen)


class Tower(nn.Module):
    """One stream, in pieces: the stem, the stages' blocks, the classifier."""

    def __init__(self, channels, classes, steps):
        super().__init__()
        self.steps = steps
        self.stem = nn.Sequential(
            nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
        )
        inputs, self.stages = 64, nn.ModuleList()
        for stage, count in enumerate(BLOCKS):
            width, blocks = 64 * 2**stage, nn.ModuleList()
            for index in range(count):
                stride = 2 if stage and not index else 1
                lifted = steps if index == 1 else None
                blocks.append(Block(inputs, width, stride, lifted))
                inputs = 4 * width
            self.stages.append(blocks)
        self.fc = nn.Linear(inputs, classes)

    def scores(self, x):
        x = x.mean(dim=(2, 3)).unflatten(0, (-1, self.steps)).mean(dim=1)
        return self.fc(x)


class STResNet(nn.Module):
    """Logits of both streams, of clips (B, T, C, H, W)."""

    def __init__(self, channels=(3, 20), classes=101, steps=5):
        super().__init__()
        self.rgb, self.flow = (
            Tower(count, classes, steps) for count in channels
        )

    def forward(self, rgb, flow):
        rgb = self.rgb.stem(rgb.flatten(0, 1))
        flow = self.flow.stem(flow.flatten(0, 1))
        appearance = rgb
        for stage in range(len(BLOCKS)):
            pairs = zip(
                self.rgb.stages[stage], self.flow.stages[stage], strict=True
            )
            for index, (seer, mover) in enumerate(pairs):
                injected = appearance + flow if index == 1 else None
                appearance = seer(rgb, injected)
                rgb = functional.relu(appearance)
                flow = functional.relu(mover(flow))
        return self.rgb.scores(rgb), self.flow.scores(flow)
