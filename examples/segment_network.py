"""A temporal segment network on your own videos, rgb and flow apart.

    python examples/segment_network.py my_videos runs

Each clip is one random snippet from each of three equal segments; the loss
is taken on the consensus. Late fusion weighs flow 1.5 (Wang et al. 2016).
"""

import subprocess
import sys
from pathlib import Path

data, out = sys.argv[1:3]
files = []
for stream in ("rgb", "flow"):
    run = Path(out, stream)
    train = ["keras-twostream", "train", "--data", data, "--out", str(run)]
    train += ["--model", "temporal_segment", "--option", "backbone=resnet50"]
    train += ["--streams", stream, "--recipe", "finetune"]
    if not (run / "model").is_dir():
        subprocess.run(train, check=True)
    test = ["keras-twostream", "evaluate", str(run), "--data", data]
    test += ["--clips", "25", "--protocol", "segments", "--crops", "10-crop"]
    subprocess.run([*test, "--out", str(run / "evaluation")], check=True)
    files.append(f"{stream}={run / 'evaluation' / 'scores.npz'}")

weights = ["--weights", "rgb=1", "--weights", "flow=1.5"]
subprocess.run(["keras-twostream", "fuse", *files, *weights], check=True)
