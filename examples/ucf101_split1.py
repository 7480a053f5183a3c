"""UCF-101, split 1, as in the paper: streams apart, then ST-ResNet.

    python examples/ucf101_split1.py UCF-101 ucfTrainTestlist runs

`UCF-101` holds the videos, `ucfTrainTestlist` the official lists. ImageNet
weights come from the Hub. Each stage is one call of the command line, so a
stage that was stopped goes on where it stood. With full-size networks this
takes days on one GPU; try `--quick` first: one epoch of small clips each.
Further arguments go to every `train`.
"""

import subprocess
import sys
from pathlib import Path

videos, lists, out, *further = sys.argv[1:]
PROGRAM = [sys.executable, "-m", "keras_twostream"]
QUICK = ["--epochs", "1", "--batch-size", "8", "--spec", "crop=[112,112]"]
if "--quick" in further:
    further.remove("--quick")
    further += QUICK
NAME = "spatiotemporal_resnet"
DATA = ["--data", lists, "--root", videos, "--split", "1"]
# As the authors: all training videos, and the weights of the last epoch.
ALL = ["--val-share", "0", "--keep", "last"]


def stage(name: str, *flags: str) -> Path:
    """Runs `keras-twostream train` unless its model is there already."""
    run = Path(out, name)
    if not (run / "model").is_dir():
        command = [*PROGRAM, "train", *DATA, *ALL, "--out", str(run)]
        subprocess.run([*command, *flags, *further], check=True)
    return run


# The authors train appearance for six epochs and motion for four, of ten
# and a hundred passes over the list; the rates are theirs.
start = ["--model", f"{NAME}.imagenet", "--recipe", NAME]
rates = ["--set", "learning_rate=0.01", "--set", "batch_size=64"]
rgb = stage("rgb", *start, "--streams", "rgb", *rates, "--epochs", "60")
flow = stage("flow", *start, "--streams", "flow", *rates, "--epochs", "400")

towers = ["--init", f"rgb={rgb}", "--init", f"flow={flow}"]
fused = stage("fused", *start, *towers, "--epochs", "80")
test = [*PROGRAM, "evaluate", str(fused), *DATA, "--clips", "25"]
subprocess.run([*test, "--out", str(fused / "evaluation")], check=True)
