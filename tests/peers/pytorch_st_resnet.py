"""ST-ResNet of 50 layers in PyTorch (Feichtenhofer et al., NIPS 2016), and the
multiplier that has its streams (CVPR 2017).

Written from the paper and from PyTorch's own habits, so that it shares
nothing with the network it is to check. Every tensor is a batch of frames,
(B * T, C, H, W), and every view keeps channels last in memory.
"""

from torch import nn
from torch.nn import functional

BLOCKS = (3, 4, 6, 3)


class Lifted(nn.Module):
    """A 1x1 convolution that sees three frames."""

    def __init__(self, inputs, outputs, steps, bias=False):
        super().__init__()
        self.steps = steps
        self.conv = nn.Conv2d(
            inputs, outputs, (3, 1), padding=(1, 0), bias=bias
        )

    def forward(self, frames):
        height, width = frames.shape[2:]
        clip = frames.unflatten(0, (-1, self.steps)).transpose(1, 2)
        clip = self.conv(clip.flatten(3)).unflatten(3, (height, width))
        return clip.transpose(1, 2).flatten(0, 1)


class Block(nn.Module):
    """A bottleneck; the convolutions at its ends may see three frames.

    The multiplier has one more that does, in front of the last (`mixes`).
    """

    def __init__(self, inputs, width, stride, steps=None, mixes=False):
        super().__init__()
        outputs = 4 * width
        if steps is None or mixes:
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
            *([Lifted(width, width, steps, bias=True)] if mixes else []),
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

    def __init__(self, channels, classes, steps, blocks, width, mixes, pool):
        super().__init__()
        self.steps = steps
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 7, 2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            pool,
        )
        inputs, self.stages, counts = width, nn.ModuleList(), blocks
        for stage, count in enumerate(counts):
            filters, blocks = width * 2**stage, nn.ModuleList()
            for index in range(count):
                stride = 2 if stage and not index else 1
                second = index == 1
                blocks.append(
                    Block(
                        inputs,
                        filters,
                        stride,
                        steps if second else None,
                        mixes and second,
                    )
                )
                inputs = 4 * filters
            self.stages.append(blocks)
        self.fc = nn.Linear(inputs, classes)

    def scores(self, x, longest=None):
        """Score the mean over pixels and steps, or of maxima over time."""
        x = x.unflatten(0, (-1, self.steps))
        if longest is not None:
            size, stride = longest
            x = x.transpose(1, 2)
            x = functional.max_pool3d(x, (size, 1, 1), (stride, 1, 1))
            x = x.transpose(1, 2)
        return self.fc(x.mean(dim=(1, 3, 4)))


class STResNet(nn.Module):
    """Logits of both streams, of clips (B, T, C, H, W).

    `multiplies` makes it the multiplier: the flow gates instead of being
    added, and each clip's maximum over time is what is averaged.
    """

    def __init__(
        self,
        channels=(3, 20),
        classes=101,
        steps=5,
        *,
        blocks=BLOCKS,
        width=64,
        multiplies=False,
        pool=None,
    ):
        super().__init__()
        self.multiplies = multiplies
        pool = pool or nn.MaxPool2d(3, 2, padding=1)
        self.rgb, self.flow = (
            Tower(count, classes, steps, blocks, width, multiplies, pool)
            for count in channels
        )

    def forward(self, rgb, flow, longest=None):
        rgb = self.rgb.stem(rgb.flatten(0, 1))
        flow = self.flow.stem(flow.flatten(0, 1))
        appearance = rgb
        for stage in range(len(self.rgb.stages)):
            pairs = zip(
                self.rgb.stages[stage], self.flow.stages[stage], strict=True
            )
            for index, (seer, mover) in enumerate(pairs):
                injected = None
                if index == 1 and self.multiplies:
                    injected = appearance * flow
                elif index == 1:
                    injected = appearance + flow
                appearance = seer(rgb, injected)
                rgb = functional.relu(appearance)
                flow = functional.relu(mover(flow))
        return self.rgb.scores(rgb, longest), self.flow.scores(flow, longest)
