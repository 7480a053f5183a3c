"""UCF-101, split 1, after the paper: streams apart, then ST-ResNet jointly.

    python examples/ucf101_split1.py UCF-101 ucfTrainTestlist runs

`UCF-101` holds the videos, `ucfTrainTestlist` the official lists. ImageNet
weights come from the Hub. Each stage is one call of the command line, so a
stage that was stopped goes on where it stood. With full-size networks this
takes days; try `--quick` first: one epoch of small clips each. Further
arguments go to every `train`, such as `--batch-size 16` where the authors'
batches do not fit in memory.

Not as the authors': appearance alone is cropped as the recipe says, and the
joint training's second stage, with pooling over time, is left out
(`two_stage_st_resnet.py` shows it).
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
        command += ["--stage", "1"]
        subprocess.run([*command, *flags, *further], check=True)
    return run


# The authors' rates, each a tenth of the one before: appearance has three,
# for 20 passes over the list each, and motion four, for 100 each.
start = ["--model", f"{NAME}.imagenet", "--recipe", NAME]
start_rate = ["--set", "learning_rate=0.01"]
rgb = ["--set", "batch_size=256", "--set", "epochs=60"]
rgb += ["--set", "schedule.at=[20,40]", "--streams", "rgb"]
flow = ["--set", "batch_size=128", "--set", "epochs=400"]
flow += ["--set", "schedule.at=[100,200,300]", "--streams", "flow"]
flow += ["--option", "dropout=0.8", "--input", "augment=multi_scale"]
rgb = stage("rgb", *start, *start_rate, *rgb)
flow = stage("flow", *start, *start_rate, *flow)

# The recipe's first stage: both streams at once, with a loss each. Without
# --stage, `train` goes on with the second, on longer clips.
towers = ["--init", f"rgb={rgb}", "--init", f"flow={flow}"]
fused = stage("fused", *start, *towers)
test = [*PROGRAM, "evaluate", str(fused), *DATA, "--clips", "25"]
subprocess.run([*test, "--out", str(fused / "evaluation")], check=True)
