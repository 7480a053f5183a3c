"""A temporal segment network on your own videos, rgb and flow apart.

    python examples/segment_network.py my_videos runs

Starts from ImageNet weights on the Hub. Further arguments go to `train`:
with `--weights none` it starts from random ones.

Each clip is one random snippet from each of three equal segments; the loss
is taken on the consensus. Late fusion weighs flow 1.5 (Wang et al. 2016).
"""

import subprocess
import sys
from pathlib import Path

data, out, *further = sys.argv[1:]
program = [sys.executable, "-m", "keras_twostream"]
files = []
for stream in ("rgb", "flow"):
    run = Path(out, stream)
    train = [*program, "train", "--data", data, "--out", str(run)]
    train += ["--model", "temporal_segment", "--option", "backbone=resnet50"]
    train += ["--streams", stream, "--recipe", "finetune"]
    if not (run / "model").is_dir():
        subprocess.run([*train, *further], check=True)
    test = [*program, "evaluate", str(run), "--data", data]
    test += ["--clips", "25", "--protocol", "segments", "--crops", "10-crop"]
    subprocess.run([*test, "--out", str(run / "evaluation")], check=True)
    files.append(f"{stream}={run / 'evaluation' / 'scores.npz'}")

weights = ["--weights", "rgb=1", "--weights", "flow=1.5"]
subprocess.run([*program, "fuse", *files, *weights], check=True)
