"""One training step of a network, on the present backend and device.

    KERAS_BACKEND=jax python benchmarks/training_step.py
    KERAS_BACKEND=jax python benchmarks/training_step.py --network i3d \
        --batch 16 --precision bfloat16 --peak 989

Prints wall time, processor time (which other work on the machine does not
change), clips/s, and with --peak (TFLOP/s that the device promises) the share
of it that is reached; a step counts as three forward passes. The second line
is what to run on a GPU, once per backend. With --pytorch it is the network
written in PyTorch that runs instead, channels last and compiled. Clips lie on
the device already, rgb as bytes.
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
from keras import ops

import keras_twostream as kts
from keras_twostream.costs import costs

sys.path.append(str(Path(__file__).parents[1] / "tests" / "peers"))

CLASSES = 16
NETWORKS = ("actors", "spatiotemporal_resnet", "i3d")
PRECISIONS = ("auto", "float32", "bfloat16")
JIT = {"auto": "auto", "on": True, "off": False}


def main() -> None:
    given = _arguments()
    policy = kts.training.set_precision(given.precision)
    model = _network(given.network, JIT[given.jit])
    clips, labels = random_clips(model, given.batch)
    flops = 3 * costs(model).flops
    if given.pytorch:
        name = "PyTorch"
        step = _their_step(given.network, clips, policy != "float32")
    else:
        name = f"ours, {keras.backend.backend()}"
        step = _our_step(model, clips, labels)
    print(
        "| network | | batch | precision | s | processor s | clips/s "
        "| of peak |"
    )
    print("|---|---|---|---|---|---|---|---|")
    _row(name, policy, step, flops, given)


def _network(name: str, jit: bool | str) -> keras.Model:
    recipe = kts.training.load_recipe("actors" if name == "actors" else name)
    options = {**recipe.options, "num_classes": CLASSES}
    if recipe.spec:
        options["clip_spec"] = dict(recipe.spec)
    architecture = "spatiotemporal_resnet" if name == "actors" else name
    model = kts.load(architecture, weights=None, **options)
    kts.training.compile(model, recipe, steps=1000, jit_compile=jit)
    return model


def random_clips(model: keras.Model, batch: int) -> tuple[dict, dict]:
    """Noise of the size that the model takes, and a label for each head."""
    spec, rng = kts.clip_spec(model), np.random.default_rng(0)
    shape = (batch, spec.clip_length, *spec.crop)
    clips = {
        "rgb": rng.integers(0, 256, (*shape, 3)).astype("uint8"),
        "flow": rng.normal(size=(*shape, 2 * spec.flow_length)).astype(
            "float32"
        ),
    }
    answer = np.arange(batch) % CLASSES
    if isinstance(model.output, dict):
        return clips, {head: answer for head in model.output}
    return clips, answer


def _our_step(model: keras.Model, clips, labels) -> Callable[[], float]:
    clips, labels = keras.tree.map_structure(
        ops.convert_to_tensor, (clips, labels)
    )
    # A number as the result, so that the device has finished.
    return lambda: float(model.train_on_batch(clips, labels)[0])


def _their_step(network: str, clips, half: bool) -> Callable[[], float]:
    """The network in PyTorch, compiled, channels last."""
    import torch
    from torch.nn.functional import cross_entropy

    place = "cuda" if torch.cuda.is_available() else "cpu"
    net = PEERS[network](clips).to(place).train()
    labels = torch.arange(len(clips["rgb"]), device=place) % CLASSES
    clips = [torch.from_numpy(clip).to(place) for clip in clips.values()]
    optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9)

    @torch.compile
    def loss_of():
        # (B, T, H, W, C) as PyTorch's axes, channels last in memory.
        inputs = [clip.float().movedim(-1, net.channels) for clip in clips]
        return sum(cross_entropy(x, labels) for x in net(*inputs))

    def step():
        optimizer.zero_grad()
        with torch.autocast(place, torch.bfloat16, enabled=half):
            loss = loss_of()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def _st_resnet(clips):
    import torch
    from pytorch_st_resnet import STResNet

    rgb, flow = clips["rgb"], clips["flow"]
    net = STResNet((3, flow.shape[-1]), CLASSES, rgb.shape[1])
    net.channels = 2
    return net.to(memory_format=torch.channels_last)


def _i3d(clips):
    import torch
    from pytorch_i3d import I3D

    class TwoI3D(torch.nn.Module):
        """Both streams, and the mean of their scores."""

        channels = 1

        def __init__(self):
            super().__init__()
            self.rgb, self.flow = I3D(3, CLASSES), I3D(2, CLASSES)

        def forward(self, rgb, flow):
            return [(self.rgb(rgb) + self.flow(flow)) / 2]

    return TwoI3D().to(memory_format=torch.channels_last_3d)


PEERS = {"spatiotemporal_resnet": _st_resnet, "i3d": _i3d}


def _row(name: str, policy: str, step, flops: int, given) -> None:
    step()
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(given.steps):
        step()
    wall = (time.perf_counter() - wall) / given.steps
    processor = (time.process_time() - processor) / given.steps
    rate = given.batch / wall
    share = f"{rate * flops / 1e12 / given.peak:.1%}" if given.peak else "-"
    print(
        f"| {given.network} | {name} | {given.batch} | {policy} | {wall:.3f} | "
        f"{processor:.3f} | {rate:.1f} | {share} |",
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", choices=NETWORKS, default=NETWORKS[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--jit", choices=JIT, default="auto")
    parser.add_argument("--peak", type=float, help="TFLOP/s of the device")
    parser.add_argument("--pytorch", action="store_true")
    given = parser.parse_args()
    if given.pytorch and given.network not in PEERS:
        parser.error(f"--pytorch has networks for {', '.join(PEERS)} only")
    return given


if __name__ == "__main__":
    main()
