"""Our networks beside the same ones in PyTorch, in one run on one machine.

    KERAS_BACKEND=tensorflow python benchmarks/networks.py [--repeat 5]
    KERAS_BACKEND=tensorflow python benchmarks/networks.py --memory

PyTorch is tried eager, with channels last and compiled; ours as a graph, with
XLA and, forward, folded, which is how `predict` and `evaluate` score. The
fastest way of each goes on, for each network and for forward and training
apart. A third one beside is compiled PyTorch with frozen weights, into which
it folds normalisation, an experimental setting for forward passes. All take
turns, so that other work on the machine slows both, each after a pause in
which the other's threads stop waiting for work, and a run that is not counted.
The medians of wall and of processor time are given; the ratio is of the
latter, which other work changes least. Ours includes the normalisation of its
input. `--memory` prints peaks instead of times: each network runs alone in a
process of its own, eager or as a graph, and what the libraries took before it
was built is taken off.

The networks in PyTorch are timm's (ResNet-50, VGG-16, Inception v3),
torchvision's (R(2+1)D-18), those that the tests compare with (`tests/peers`:
I3D, BN-Inception, GoogLeNet, ST-ResNet, the multiplier), and three that are
drawn here after their papers (CNN-M, C3D, the fusion of two VGG-16). Four of
our architectures have no counterpart and no row: context_fovea, fstcn,
action_transformation and action_tubes.
"""

import argparse
import gc
import itertools
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from keras_twostream import _acceleration

_acceleration.prefer_fast()

import keras
import numpy as np
import torch
from torch import nn
from torch.nn import functional
from turns import seconds, take_turns

import keras_twostream as kts
from keras_twostream.training._optimizers import CaffeSGD

sys.path.append(str(Path(__file__).parents[1] / "tests" / "peers"))
from caffe_bn_inception import BNInception
from caffe_googlenet import GoogLeNet
from pytorch_i3d import I3D
from pytorch_st_resnet import STResNet
from reference import declare_operators

CLASSES = 101
MODES = ("eager", "channels_last", "compiled")
WAYS = ("graph", "xla", "folded")
WORKS = ("forward", "training step")
SIDES = ("ours", "PyTorch")

# === Networks in PyTorch ===


class TwoStreams(nn.Module):
    """Two nets of images, rgb and flow, and the mean of their scores.

    Args:
        build: Function from the channels of an image to a net.
        channels: Of rgb and of flow.
    """

    def __init__(
        self, build: Callable[[int], nn.Module], channels: tuple[int, int]
    ) -> None:
        super().__init__()
        self.towers = nn.ModuleList(build(count) for count in channels)

    def forward(self, rgb, flow):
        clips = zip(self.towers, (rgb, flow), strict=True)
        return sum(_of_steps(tower, clip) for tower, clip in clips) / 2


def _of_steps(tower: nn.Module, clip: torch.Tensor) -> torch.Tensor:
    """The mean of a net's scores over the steps of (B, C, T, H, W)."""
    scores = tower(clip.transpose(1, 2).flatten(0, 1))
    return scores.unflatten(0, (len(clip), -1)).mean(dim=1)


def two_of(build: Callable[[int], nn.Module], flow: int = 20):
    return lambda: TwoStreams(build, (3, flow))


def of_timm(name: str) -> Callable[[int], nn.Module]:
    def build(channels: int) -> nn.Module:
        declare_operators()
        import timm

        return timm.create_model(name, in_chans=channels, num_classes=CLASSES)

    return build


def cnn_m(channels: int) -> nn.Module:
    """CNN-M-2048 of Chatfield et al. 2014; of flow with one normalisation."""

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    def norm() -> nn.Module:
        return nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0)

    rows = [nn.Conv2d(channels, 96, 7, 2), nn.ReLU(), norm(), pool()]
    rows += [nn.Conv2d(96, 256, 5, 2, padding=1), nn.ReLU()]
    rows += [norm(), pool()] if channels == 3 else [pool()]
    for inputs in (256, 512, 512):
        rows += [nn.Conv2d(inputs, 512, 3, padding=1), nn.ReLU()]
    rows += [pool(), nn.Flatten()]
    return nn.Sequential(*rows, *_dense(512 * 6 * 6, 4096, 2048))


def _dense(inputs: int, first: int, second: int) -> list[nn.Module]:
    rows = [nn.Linear(inputs, first), nn.ReLU(), nn.Dropout()]
    rows += [nn.Linear(first, second), nn.ReLU(), nn.Dropout()]
    return [*rows, nn.Linear(second, CLASSES)]


class Fusion(nn.Module):
    """Two VGG-16, joined at conv5_3 by a 3x3x3 convolution.

    Feichtenhofer et al. 2016, figure 4; the flow tower goes on to its own
    scores. Both pool 5 frames and 2 x 2 places, with a stride of 2.
    """

    def __init__(self) -> None:
        super().__init__()
        build = of_timm("vgg16")
        # Through conv5_3's ReLU.
        self.towers = nn.ModuleList(
            build(channels).features[:30] for channels in (3, 20)
        )
        self.join = nn.Conv3d(1024, 512, 3, padding=1)
        self.heads = nn.ModuleList(
            nn.Sequential(*_dense(512 * 7 * 7, 4096, 4096)) for _ in range(2)
        )

    def forward(self, rgb, flow):
        clips = zip(self.towers, (rgb, flow), strict=True)
        rgb, flow = (_maps(tower, clip) for tower, clip in clips)
        fused = functional.relu(self.join(torch.cat([rgb, flow], dim=1)))
        ends = zip(self.heads, (fused, flow), strict=True)
        return sum(_pooled(head, x) for head, x in ends) / 2


def _maps(tower: nn.Module, clip: torch.Tensor) -> torch.Tensor:
    maps = tower(clip.transpose(1, 2).flatten(0, 1))
    return maps.unflatten(0, (len(clip), -1)).transpose(1, 2)


def _pooled(head: nn.Module, maps: torch.Tensor) -> torch.Tensor:
    """The mean scores of the steps that a pool through time leaves."""
    maps = functional.max_pool3d(maps, (5, 2, 2), 2)
    steps = maps.transpose(1, 2).flatten(2)
    return head(steps).mean(dim=1)


class Residual(nn.Module):
    """ST-ResNet-50 or, with `multiplies`, the multiplier: their mean score."""

    def __init__(self, multiplies: bool = False) -> None:
        super().__init__()
        self.net = STResNet(classes=CLASSES, multiplies=multiplies)
        self.longest = (5, 1) if multiplies else None

    def forward(self, rgb, flow):
        clips = (clip.transpose(1, 2) for clip in (rgb, flow))
        return sum(self.net(*clips, self.longest)) / 2


class Segments(nn.Module):
    """A net of images, and the mean of its scores over the segments."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, rgb):
        return _of_steps(self.net, rgb)


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
    return nn.Sequential(*rows, nn.Flatten(), *_dense(8192, 4096, 4096))


def r2plus1d() -> nn.Module:
    declare_operators()
    import torchvision

    return torchvision.models.video.r2plus1d_18(num_classes=CLASSES)


# === Both ===


def ours(name: str, **options) -> Callable[[], keras.Model]:
    return lambda: kts.load(name, weights=None, num_classes=CLASSES, **options)


# Title: our network, theirs, batch, (T, side), channels of flow or 0.
NETWORKS = {
    "ResNet-50 two-stream": (
        ours(
            "temporal_segment", backbone="resnet50", clip_length=1,
            flow_length=5, dropout=0.0,
        ),
        two_of(of_timm("resnet50"), 10), 4, (1, 224), 10,
    ),
    "C3D": (ours("c3d"), c3d, 2, (16, 112), 0),
    "R(2+1)D-18": (ours("r2plus1d"), r2plus1d, 2, (16, 112), 0),
    "I3D, rgb": (
        ours("i3d", streams=("rgb",), clip_length=16),
        lambda: I3D(3, CLASSES), 1, (16, 224), 0,
    ),
    "CNN-M two-stream": (ours("two_stream"), two_of(cnn_m), 4, (1, 224), 20),
    "VGG-16 two-stream": (
        ours("two_stream_vgg16"), two_of(of_timm("vgg16")), 4, (1, 224), 20
    ),
    "VGG-16 fusion": (ours("two_stream_fusion"), Fusion, 1, (5, 224), 20),
    "GoogLeNet two-stream": (
        ours("two_stream_googlenet"),
        two_of(lambda channels: GoogLeNet(CLASSES, channels)),
        4, (1, 224), 20,
    ),
    "Inception v3 two-stream": (
        ours("two_stream_inception_v3"),
        two_of(of_timm("inception_v3")), 4, (1, 299), 20,
    ),
    "BN-Inception segments": (
        ours("temporal_segment", streams=("rgb",)),
        lambda: Segments(BNInception(3, CLASSES)), 2, (3, 224), 0,
    ),
    "ST-ResNet-50": (
        ours("spatiotemporal_resnet"), Residual, 1, (5, 224), 20
    ),
    "ST-multiplier": (
        ours("spatiotemporal_multiplier"),
        lambda: Residual(multiplies=True), 1, (5, 224), 20,
    ),
}  # fmt: skip


def main() -> None:
    given = _arguments()
    if given.side is not None:
        print(_peak(given))
    elif given.memory:
        _print_memory(given)
    else:
        _print_times(given)


def _print_times(given: argparse.Namespace) -> None:
    backend = keras.backend.backend()
    print(
        f"| network | | batch | {backend}: s | processor s | as | "
        "PyTorch: s | processor s | as | ratio | frozen: s | ratio |"
    )
    print("|---" * 12 + "|", flush=True)
    for title, work in itertools.product(given.only, given.works):
        print(_row(title, work, given), flush=True)


def _row(title: str, work: str, given: argparse.Namespace) -> str:
    build, theirs, batch, size, flow = NETWORKS[title]
    clips, number = _clips(batch, size, flow), WORKS.index(work)
    gc.collect()  # of the row before, gigabytes
    ways = [way for way in given.ours if not (number and way == "folded")]
    one, run = _fastest(lambda way: _ours(build(), clips, way), ways, number)
    other, peer = _fastest(
        lambda mode: _theirs(theirs(), clips, mode), given.modes, number
    )
    runs = [run, peer]
    if number == 0:
        runs.append(_theirs(theirs(), clips, "frozen")[number])
    (a, c), (b, d), *frozen = take_turns(runs, given.repeat)
    cells = [f"{frozen[0][0]:.2f}", f"{frozen[0][1] / c:.2f}"] if frozen else []
    return (
        f"| {title} | {work} | {batch} | {a:.2f} | {c:.2f} | {one} "
        f"| {b:.2f} | {d:.2f} | {other} | {d / c:.2f} | "
        f"{' | '.join(cells or '--')} |"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument(
        "--only", nargs="+", default=list(NETWORKS), choices=NETWORKS
    )
    parser.add_argument("--memory", action="store_true")
    # The one network that a process of `--memory` runs.
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    # Without XLA, JAX does not compile at all.
    ways = WAYS if keras.backend.backend() == "tensorflow" else WAYS[1:]
    parser.add_argument("--ours", nargs="+", default=ways, choices=WAYS)
    parser.add_argument("--works", nargs="+", default=WORKS, choices=WORKS)
    return parser.parse_args()


def _clips(batch: int, size, flow: int) -> dict[str, np.ndarray]:
    (length, side), rng = size, np.random.default_rng(0)
    channels = {"rgb": 3, "flow": flow} if flow else {"rgb": 3}
    return {
        stream: rng.normal(size=(batch, length, side, side, count))
        .astype("float32")
        for stream, count in channels.items()
    }  # fmt: skip


def _ours(model: keras.Model, clips, mode: str):
    """Functions that do one forward pass and one training step."""
    if mode == "folded":
        model = kts.deploy.folded(model)
    labels = np.zeros(len(clips["rgb"]), "int32")
    model.compile(
        CaffeSGD(1e-3, momentum=0.9),  # what `training.compile` gives
        kts.training.CrossEntropy(),
        jit_compile=mode == "xla" or keras.backend.backend() == "jax",
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
        _keep_channels_last(net)
        inputs = [x.to(memory_format=torch.channels_last_3d) for x in inputs]
    run = net
    if mode in ("compiled", "frozen"):
        options = {"freezing": mode == "frozen"}
        run = torch.compile(net, options=options)
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


def _keep_channels_last(net: nn.Module) -> None:
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.to(memory_format=torch.channels_last)
        elif isinstance(layer, nn.Conv3d):
            layer.to(memory_format=torch.channels_last_3d)


def _fastest(
    make: Callable[[str], tuple[Callable, ...]], modes, number: int
) -> tuple[str, Callable]:
    """The way that takes least and its function, warmed up.

    No more than two are in memory at once.
    """
    least, best, kept = float("inf"), modes[0], None
    for mode in modes:
        run, cost = make(mode)[number], 0.0
        if len(modes) > 1:
            _seconds(run)
            cost = _seconds(run)[1]
        if kept is None or cost < least:
            least, best, kept = cost, mode, run
    return best, kept


def _seconds(work: Callable) -> tuple[float, float]:
    """By the clock and of the processors; endless where it fails."""
    try:
        return seconds(work)
    except Exception as error:  # a compiler that is not there raises anything
        print(f"left out: {type(error).__name__}", file=sys.stderr)
        return float("inf"), float("inf")


# === Memory ===


def _print_memory(given: argparse.Namespace) -> None:
    print("| network | | batch | ours, MB | PyTorch, MB | ratio |")
    print("|---" * 6 + "|", flush=True)
    for title, work in itertools.product(given.only, given.works):
        mine, peer = (_peak_alone(title, work, side) for side in SIDES)
        print(
            f"| {title} | {work} | {NETWORKS[title][2]} | {mine:.0f} | "
            f"{peer:.0f} | {peer / mine:.2f} |",
            flush=True,
        )


def _peak_alone(title: str, work: str, side: str) -> float:
    """Peak megabytes of one network in a process of its own."""
    given = ["--only", title, "--works", work, "--side", side]
    command = [sys.executable, __file__, *given]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(run.stdout.split()[-1])


def _peak(given: argparse.Namespace) -> float:
    """Megabytes that this process takes for a network, three times run."""
    (title,), (work,) = given.only, given.works
    build, theirs, batch, size, flow = NETWORKS[title]
    clips = _clips(batch, size, flow)
    before = _resident()
    if given.side == "ours":
        functions = _ours(build(), clips, "graph")
    else:
        functions = _theirs(theirs(), clips, "eager")
    for _ in range(3):
        functions[WORKS.index(work)]()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return round(most - before, 1)


def _resident() -> float:
    """Megabytes of memory in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
