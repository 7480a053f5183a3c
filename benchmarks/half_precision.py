"""Forward passes and training steps in bfloat16 beside those in float32.

    python benchmarks/half_precision.py [--only c3d i3d] [--repeat 5]

Each network has random weights, its own clip and a batch of noise. The forward
pass is of the folded network, which is how `predict` and `evaluate` score; both
precisions have the same weights and take turns. Medians of wall and of
processor time; ratios are of processor time. A processor without instructions
for bfloat16 takes several times as long in it.
"""

import argparse
import gc
from collections.abc import Callable

from keras_twostream import _acceleration

_acceleration.prefer_fast()

import keras
import numpy as np
from inference import noise
from turns import take_turns

import keras_twostream as kts
from keras_twostream.scoring.scorer import scorer

PRECISIONS = ("float32", "bfloat16")
CLASSES = 101
# Without those whose training step takes half a minute.
NETWORKS = (
    "c3d", "i3d", "r2plus1d", "spatiotemporal_multiplier",
    "spatiotemporal_resnet", "temporal_segment", "two_stream",
    "two_stream_googlenet", "two_stream_inception_v3", "two_stream_vgg16",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--only", nargs="+", default=NETWORKS, choices=kts.list_models()
    )
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--batch", type=int, default=1)
    given = parser.parse_args()
    print(
        "| network | | float32: s | processor s | bfloat16: s | processor s "
        "| ratio | largest difference |\n" + "|---" * 8 + "|",
        flush=True,
    )
    for name in given.only:
        for measure in (forward, step):
            print(measure(name, given.batch, given.repeat), flush=True)
            keras.backend.clear_session()
            gc.collect()


def forward(name: str, batch: int, repeat: int) -> str:
    networks = [kts.deploy.folded(scorer(model)) for model in in_both(name)]
    clips = noise(networks[0], kts.clip_spec(networks[0]), batch)
    runs = [
        lambda network=network: network.predict_on_batch(clips)
        for network in networks
    ]
    exact, rounded = (run()["fused"] for run in runs)
    apart = np.abs(rounded - exact).max() / np.abs(exact).max()
    return row(name, "forward", runs, repeat, f"{apart:.0e}")


def step(name: str, batch: int, repeat: int) -> str:
    models = in_both(name)
    clips = noise(models[0], kts.clip_spec(models[0]), batch)
    runs = [training(model, clips) for model in models]
    return row(name, "training step", runs, repeat, "-")


def in_both(name: str) -> list[keras.Model]:
    """The same network and weights in each precision."""
    models = []
    for precision in PRECISIONS:
        kts.training.set_precision(precision)
        model = kts.load(name, weights=None, num_classes=CLASSES)
        if models:
            model.set_weights(models[0].get_weights())
        models.append(model)
    return models


def training(model: keras.Model, clips) -> Callable[[], object]:
    kts.training.compile(model, "finetune", steps=1000)
    (count,) = {len(clip) for clip in clips.values()}
    label = np.arange(count) % CLASSES
    labels = label
    if isinstance(model.output, dict):
        labels = dict.fromkeys(model.output, label)
    return lambda: model.train_on_batch(clips, labels)


def row(name: str, work: str, runs, repeat: int, apart: str) -> str:
    times = take_turns(runs, repeat)
    cells = [f"{second:.3f}" for pair in times for second in pair]
    ratio = f"{times[0][1] / times[1][1]:.2f}"
    return f"| {' | '.join([name, work, *cells, ratio, apart])} |"


if __name__ == "__main__":
    main()
