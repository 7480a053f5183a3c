"""A forward pass of each architecture: Keras, folded, and ONNX Runtime.

    python benchmarks/inference.py [--only c3d i3d] [--repeat 5] > table.md

Each network has random weights, its own clip length and crop, and one batch
of noise. Keras scores it as it is and with normalisation folded into the
layers before it (`deploy.folded`, what `predict` and `evaluate` do), and ONNX
Runtime scores the folded network's export. They take turns, so that other
work on the machine slows all of them. Medians of wall and of processor time;
ratios are of processor time. Where `benchmarks/networks.py` has the same
network in PyTorch, run it beside.
"""

import argparse
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

from keras_twostream import _acceleration

_acceleration.prefer_fast()

import keras
import numpy as np
from turns import take_turns

import keras_twostream as kts
from keras_twostream import onnx_files
from keras_twostream.folding import Folding
from keras_twostream.scoring.engines import with_scores_apart
from keras_twostream.scoring.scorer import scorer

# Regions and every network that takes clips as its paper says.
SKIPPED = ("action_tubes",)
SHIPPED = "spatiotemporal_resnet.actors"

Run = Callable[[], dict[str, np.ndarray]]


def main() -> None:
    every = [SHIPPED, *(n for n in kts.list_models() if n not in SKIPPED)]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=every, choices=every)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--batch", type=int, default=1)
    given = parser.parse_args()
    print(
        "| network | folded layers | Keras: s | processor s | folded: s | "
        "processor s | ONNX Runtime: s | processor s | Keras / folded | "
        "folded / ONNX Runtime | largest difference |\n" + "|---" * 11 + "|",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in given.only:
            keras.backend.clear_session()
            print(
                row(name, Path(folder), given.batch, given.repeat), flush=True
            )


def row(name: str, folder: Path, batch: int, repeat: int) -> str:
    weights = {} if "." in name else {"weights": None}
    plain = scorer(kts.load(name, **weights))
    folding = Folding(plain)
    clips = noise(plain, kts.clip_spec(plain), batch)
    path = folder / f"{name}.onnx"
    runs: list[Run] = [
        lambda: plain.predict_on_batch(clips),
        lambda: folding.network.predict_on_batch(clips),
    ]
    try:
        runs.append(exported(folding.network, clips, path))
    except Exception as error:  # converters raise any type of error
        lines = str(error).splitlines() or [type(error).__name__]
        print(f"ONNX does without {name}: {lines[0][:90]}", flush=True)
    apart = difference(runs)
    times = take_turns(runs, repeat)
    cells = [f"{second:.3f}" for pair in times for second in pair]
    cells += ["-"] * (6 - len(cells))
    work = [pair[1] for pair in times]
    ratios = [f"{a / b:.2f}" for a, b in itertools.pairwise(work)]
    ratios += ["-"] * (2 - len(ratios))
    shown = [name, str(folding.count), *cells, *ratios, f"{apart:.0e}"]
    return f"| {' | '.join(shown)} |"


def noise(network: keras.Model, spec, batch: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    size = (batch, spec.clip_length, *spec.crop)
    high = {"rgb": (0, 255), "flow": (-5, 5)}
    return {
        x.name: rng.uniform(
            *high[x.name], (*size, spec.channels(x.name))
        ).astype("float32")
        for x in network.inputs
    }


def exported(network: keras.Model, clips, path: Path) -> Run:
    named = with_scores_apart(network)
    shapes = {name: clip.shape for name, clip in clips.items()}
    onnx_files.write(named, shapes, path)
    run = onnx_files.open_file(path)
    return lambda: {
        name.removesuffix("_scores"): scores
        for name, scores in run(clips).items()
    }


def difference(runs: list[Run]) -> float:
    """The largest one from Keras's scores, as a share of the largest."""
    first, *others = [run()["fused"] for run in runs]
    apart = [np.abs(other - first).max() for other in others]
    return float(max(apart) / np.abs(first).max())


if __name__ == "__main__":
    main()
