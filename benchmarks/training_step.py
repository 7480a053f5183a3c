"""One training step of a network, on the present backend and device.

    KERAS_BACKEND=tensorflow python benchmarks/training_step.py
    python benchmarks/training_step.py --network i3d --batch 8 \
        --precision bfloat16 --peak 989 --pytorch

Prints wall time, processor time (which other work on the machine does not
change), clips/s, and with --peak (TFLOP/s that the device promises) the share
of it that is reached; a step counts as three forward passes. The second line
is what to run on a GPU; --pytorch adds the same network compiled by PyTorch,
for i3d. Run it once per backend.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

import keras_twostream as kts
from keras_twostream.costs import costs

CLASSES = 16
NETWORKS = ("actors", "spatiotemporal_resnet", "i3d")
PRECISIONS = ("auto", "float32", "bfloat16")


def main() -> None:
    given = _arguments()
    policy = kts.training.set_precision(given.precision)
    model = _network(given.network)
    clips, labels = random_clips(model, given.batch)
    print("| | batch | precision | s | processor s | clips/s | of peak |")
    print("|---|---|---|---|---|---|---|")
    flops = 3 * costs(model).flops
    step = _our_step(model, clips, labels)
    _row(keras.backend.backend(), policy, step, flops, given)
    if given.pytorch:
        half = policy != "float32"
        _row("PyTorch", policy, _their_step(clips, half), flops, given)


def _network(name: str) -> keras.Model:
    recipe = kts.training.load_recipe("actors" if name == "actors" else name)
    options = {**recipe.options, "num_classes": CLASSES}
    if recipe.spec:
        options["clip_spec"] = dict(recipe.spec)
    architecture = "spatiotemporal_resnet" if name == "actors" else name
    model = kts.load(architecture, weights=None, **options)
    kts.training.compile(model, recipe, steps=1000)
    return model


def random_clips(model: keras.Model, batch: int) -> tuple[dict, dict]:
    """Noise of the size that the model eats, and a label for each head."""
    spec, rng = kts.clip_spec(model), np.random.default_rng(0)
    shape = (batch, spec.clip_length, *spec.crop)
    clips = {
        "rgb": rng.integers(0, 256, (*shape, 3)).astype("uint8"),
        "flow": rng.normal(size=(*shape, 2 * spec.flow_length)),
    }
    answer = np.arange(batch) % CLASSES
    if isinstance(model.output, dict):
        return clips, {head: answer for head in model.output}
    return clips, answer


def _our_step(model: keras.Model, clips, labels) -> Callable[[], float]:
    # A number as the result, so that the device has finished.
    return lambda: float(model.train_on_batch(clips, labels)[0])


def _their_step(clips, half: bool) -> Callable[[], float]:
    """I3D of both streams in PyTorch, compiled, channels last."""
    import torch

    sys.path.append(str(Path(__file__).parents[1] / "tests" / "peers"))
    from pytorch_i3d import I3D

    place = "cuda" if torch.cuda.is_available() else "cpu"
    last = {"memory_format": torch.channels_last_3d}
    inputs = [
        torch.tensor(clip, dtype=torch.float32, device=place)
        .permute(0, 4, 1, 2, 3)
        .contiguous(**last)
        for clip in clips.values()
    ]
    nets = torch.nn.ModuleList(I3D(x.shape[1], CLASSES) for x in inputs)
    nets = nets.to(place, **last).train()
    labels = torch.arange(len(inputs[0]), device=place) % CLASSES
    optimizer = torch.optim.SGD(nets.parameters(), 1e-3, momentum=0.9)

    @torch.compile
    def loss_of():
        scores = sum(net(x) for net, x in zip(nets, inputs, strict=True))
        return torch.nn.functional.cross_entropy(scores / 2, labels)

    def step():
        optimizer.zero_grad()
        with torch.autocast(place, torch.bfloat16, enabled=half):
            loss = loss_of()
        loss.backward()
        optimizer.step()
        return float(loss)

    return step


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
        f"| {name} | {given.batch} | {policy} | {wall:.3f} | "
        f"{processor:.3f} | {rate:.1f} | {share} |",
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", choices=NETWORKS, default=NETWORKS[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--peak", type=float, help="TFLOP/s of the device")
    parser.add_argument("--pytorch", action="store_true")
    given = parser.parse_args()
    if given.pytorch and given.network != "i3d":
        parser.error("--pytorch has a network to compare for i3d only")
    return given


if __name__ == "__main__":
    main()
