"""A temporal segment network on your own videos, rgb and flow apart.

    python examples/segment_network.py my_videos runs

Starts from ImageNet weights on the Hub. Further arguments go to `train`:
with `--weights none` it starts from random ones.

Each clip is one random snippet from each of three equal segments; the loss
is taken on the consensus. Late fusion weighs flow 1.5 (Wang et al. 2016).
It is measured on a fifth of every class, which `train` does not see.
"""

import csv
import subprocess
import sys
from pathlib import Path

from keras_twostream.data import read_annotations
from keras_twostream.training import hold_out

folder, out, *further = sys.argv[1:]
program = [sys.executable, "-m", "keras_twostream"]


def split(videos: Path) -> None:
    """Writes a list of the videos with a part to train on and one to test."""
    found = read_annotations(folder)
    parts = ["train"] * len(found)
    for place in hold_out(found.labels, 0.2)[1]:
        parts[place] = "test"
    paths = [Path(path).absolute() for path in found.paths]
    names = [found.classes[label] for label in found.labels]
    videos.parent.mkdir(parents=True, exist_ok=True)
    with videos.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split"])
        rows.writerows(zip(paths, names, parts, strict=True))


videos = Path(out, "videos.csv")
if not videos.exists():
    split(videos)
data = ["--data", str(videos), "--subset"]
files = []
for stream in ("rgb", "flow"):
    run = Path(out, stream)
    train = [*program, "train", *data, "train", "--out", str(run)]
    train += ["--model", "temporal_segment", "--option", "backbone=resnet50"]
    train += ["--streams", stream, "--recipe", "finetune"]
    if not (run / "model").is_dir():
        subprocess.run([*train, *further], check=True)
    test = [*program, "evaluate", str(run), *data, "test"]
    test += ["--clips", "25", "--protocol", "segments", "--crops", "10-crop"]
    subprocess.run([*test, "--out", str(run / "test")], check=True)
    files.append(f"{stream}={run / 'test' / 'scores.npz'}")

weights = ["--weights", "rgb=1", "--weights", "flow=1.5"]
subprocess.run([*program, "fuse", *files, *weights], check=True)
