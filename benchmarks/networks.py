"""Our networks beside the same ones in PyTorch, in one run on one machine.

    KERAS_BACKEND=tensorflow python benchmarks/networks.py [--repeat 5]

PyTorch is tried eager, with channels last, and compiled, and ours without and
with XLA; the fastest way of each goes on, for each network and for forward
and training apart. Then both take turns, so that other work on the machine
slows both. The medians of wall and of processor time are given; the ratio is
of the latter, which other work changes least. Ours includes the normalisation
of its input.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from keras_twostream import _acceleration

_acceleration.prefer_fast()

import keras
import numpy as np
import torch
from torch import nn

import keras_twostream as kts

sys.path.append(str(Path(__file__).parents[1] / "tests" / "peers"))
from pytorch_i3d import I3D
from reference import declare_operators

CLASSES = 101
MODES = ("eager", "channels_last", "compiled")
JIT = {"graph": False, "xla": True}
WORKS = ("forward", "training step")


class TwoStreams(nn.Module):
    """Two nets of images, rgb and flow, and the mean of their scores."""

    def __init__(self) -> None:
        super().__init__()
        declare_operators()
        import timm

        self.towers = nn.ModuleList(
            timm.create_model(
                "resnet50", in_chans=channels, num_classes=CLASSES
            )
            for channels in (3, 10)
        )

    def forward(self, rgb, flow):
        scores = zip(self.towers, (rgb[:, :, 0], flow[:, :, 0]), strict=True)
        return sum(tower(frames) for tower, frames in scores) / 2


def c3d() -> nn.Module:
    """C3D as Tran et al. 2015 draw it."""
    widths = [(64,), (128,), (256, 256), (512, 512), (512, 512)]
    rows, inputs = [], 3
    for group, outputs in enumerate(widths):
        for width in outputs:
            rows += [nn.Conv3d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
        size = (1, 2, 2) if group == 0 else 2
        ends = (0, 1, 1) if group == 4 else 0
        rows.append(nn.MaxPool3d(size, size, padding=ends))
    rows += [nn.Flatten(), nn.Linear(8192, 4096), nn.ReLU(), nn.Dropout()]
    rows += [nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(*rows, nn.Linear(4096, CLASSES))


def r2plus1d() -> nn.Module:
    declare_operators()
    import torchvision

    return torchvision.models.video.r2plus1d_18(num_classes=CLASSES)


def i3d() -> nn.Module:
    return I3D(3, CLASSES)


def ours(name: str, **options) -> Callable[[], keras.Model]:
    return lambda: kts.load(name, weights=None, num_classes=CLASSES, **options)


# Title: our network, theirs, batch, (T, side).
NETWORKS = {
    "ResNet-50 two-stream": (
        ours(
            "temporal_segment", backbone="resnet50", clip_length=1,
            flow_length=5, dropout=0.0,
        ),
        TwoStreams, 4, (1, 224),
    ),
    "C3D": (ours("c3d"), c3d, 2, (16, 112)),
    "R(2+1)D-18": (ours("r2plus1d"), r2plus1d, 2, (16, 112)),
    "I3D, rgb": (
        ours("i3d", streams=("rgb",), clip_length=16), i3d, 1, (16, 224)
    ),
}  # fmt: skip


def main() -> None:
    given = _arguments()
    backend = keras.backend.backend()
    print(
        f"| network | | batch | {backend}: s | processor s | as | "
        "PyTorch: s | processor s | as | ratio |"
    )
    print("|---" * 10 + "|", flush=True)
    for title in given.only:
        build, theirs, batch, size = NETWORKS[title]
        clips = _clips(ours_streams(title), batch, size)
        mine = {mode: _ours(build(), clips, mode) for mode in given.ours}
        peers = {mode: _theirs(theirs(), clips, mode) for mode in given.modes}
        for number, work in enumerate(WORKS):
            if work in given.works:
                one, run = _fastest(mine, number)
                other, peer = _fastest(peers, number)
                (a, c), (b, d) = _take_turns(run, peer, given.repeat)
                print(
                    f"| {title} | {work} | {batch} | {a:.2f} | {c:.2f} | "
                    f"{one} | {b:.2f} | {d:.2f} | {other} | {d / c:.2f} |",
                    flush=True,
                )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=list(NETWORKS))
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    # Without XLA, JAX does not compile at all.
    ways = list(JIT) if keras.backend.backend() == "tensorflow" else ["xla"]
    parser.add_argument("--ours", nargs="+", default=ways, choices=JIT)
    parser.add_argument("--works", nargs="+", default=WORKS, choices=WORKS)
    return parser.parse_args()


def ours_streams(title: str) -> dict[str, int]:
    """Channels by stream."""
    return {"rgb": 3, "flow": 10} if "two-stream" in title else {"rgb": 3}


def _clips(streams, batch: int, size) -> dict[str, np.ndarray]:
    length, side = size
    rng = np.random.default_rng(0)
    return {
        stream: rng.normal(size=(batch, length, side, side, channels))
        .astype("float32")
        for stream, channels in streams.items()
    }  # fmt: skip


def _ours(model: keras.Model, clips, mode: str):
    """Functions that do one forward pass and one training step."""
    labels = np.zeros(len(clips["rgb"]), "int32")
    model.compile(
        keras.optimizers.SGD(1e-3, momentum=0.9),
        kts.training.CrossEntropy(),
        jit_compile=JIT[mode],
    )
    return (
        lambda: model.predict_on_batch(clips),
        lambda: model.train_on_batch(clips, labels),
    )


def _theirs(net: nn.Module, clips, mode: str):
    inputs = [
        torch.from_numpy(clip).permute(0, 4, 1, 2, 3).contiguous()
        for clip in clips.values()
    ]
    if mode == "channels_last":
        net = net.to(memory_format=_last_of(net))
        inputs = [x.to(memory_format=torch.channels_last_3d) for x in inputs]
    run = torch.compile(net) if mode == "compiled" else net
    labels = torch.zeros(len(inputs[0]), dtype=torch.long)
    optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9)

    def forward():
        net.eval()
        with torch.inference_mode():
            return run(*inputs)

    def step():
        net.train()
        optimizer.zero_grad()
        nn.functional.cross_entropy(run(*inputs), labels).backward()
        optimizer.step()

    return forward, step


def _last_of(net: nn.Module) -> torch.memory_format:
    flat = any(isinstance(layer, nn.Conv2d) for layer in net.modules())
    return torch.channels_last if flat else torch.channels_last_3d


def _fastest(ways: dict, number: int) -> tuple[str, Callable]:
    """The name and the function of the way that takes least, warmed up."""
    if len(ways) > 1:
        costs = {}
        for mode, functions in ways.items():
            _seconds(functions[number])
            costs[mode] = _seconds(functions[number])[1]
        ways = {min(costs, key=costs.get): ways[min(costs, key=costs.get)]}
    return next((mode, found[number]) for mode, found in ways.items())


def _seconds(work: Callable) -> tuple[float, float]:
    """By the clock and of the processors."""
    began = time.perf_counter(), time.process_time()
    try:
        work()
    except Exception as error:  # a compiler that is not there raises anything
        print(f"left out: {type(error).__name__}", file=sys.stderr)
        return float("inf"), float("inf")
    return time.perf_counter() - began[0], time.process_time() - began[1]


def _take_turns(one: Callable, other: Callable, times: int) -> np.ndarray:
    """Medians, (2, 2): ours and theirs, clock and processors."""
    one(), other()
    rounds = [(_seconds(one), _seconds(other)) for _ in range(times)]
    return np.median(rounds, axis=0)


if __name__ == "__main__":
    main()
