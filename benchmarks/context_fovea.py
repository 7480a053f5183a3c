"""Karpathy's four fusions under one budget, on six classes of UCF-101.

    python benchmarks/context_fovea.py ucf101_six WORK --steps 300

Trains single-frame, early, late and slow fusion, and the single-frame network
with context and fovea, from random weights for the same number of steps of the
same batch size, and tests split 1 on evenly spaced clips of each video. A
stopped run goes on where it was. Frames are read from a cache in WORK that the
first network fills.

The paper trained for a month on a cluster. So that minutes on a few cores teach
something, pictures have half the paper's sides, the optimiser is AdamW with a
rate that falls to nothing, and dropout is 0.2; `--paper` leaves all that as the
recipe has it. Either way it is the same for all five.

`ucf101_six` holds one folder of videos per class and `ucfTrainTestlist`.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

NETWORKS = {
    "single": ["fusion=single"],
    "early": ["fusion=early"],
    "late": ["fusion=late"],
    "slow": ["fusion=slow"],
    "single, context and fovea": ["fusion=single", "multiresolution=true"],
}
# Half the paper's sides; with context and fovea the crop is a little larger.
SMALL = ["short_side=100", "cut_to=100,100"]
CROPS = {False: "crop=85,85", True: "crop=89,89"}
QUICK = [
    "optimizer=adamw",
    "learning_rate=5e-5",
    "schedule.name=cosine",
    "schedule.warmup=0.1",
]


def main() -> None:
    """Train and test what is not done yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="the folder ucf101_six")
    parser.add_argument("work", type=Path, help="folder for the runs")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--clips", type=int, default=20, help="of a test video")
    parser.add_argument("--paper", action="store_true", help="no shortcuts")
    given = parser.parse_args()
    print(f"{given.steps} steps of {given.batch_size} clips each.\n")
    print("| network | top-1 | mean per class |", "|---|---|---|", sep="\n")
    for name, options in NETWORKS.items():
        print(row(name, options, given), flush=True)


def row(name: str, options: list[str], given: argparse.Namespace) -> str:
    """Return one network's row of the table."""
    out = given.work / name.replace(", ", "_").replace(" ", "_")
    lists = ["--data", given.data / "ucfTrainTestlist", "--root", given.data]
    lists += ["--split", 1, "--cache", given.work / "cache"]
    if not (out / "model" / "config.json").exists():
        call(
            *("train", *lists, "--val-share", 0, "--out", out),
            *("--model", "context_fovea", "--weights", "none"),
            *("--recipe", "context_fovea", "--set", f"steps={given.steps}"),
            *("--batch-size", given.batch_size, "--keep", "last"),
            *changes(options, given.paper),
        )
    if not (out / "test" / "metrics.json").exists():
        call(
            *("evaluate", out, *lists, "--clips", given.clips),
            *("--out", out / "test"),
        )
    found = json.loads((out / "test" / "metrics.json").read_text())
    accuracy = found["accuracy"]["fused"]
    return f"| {name} | {accuracy['top1']:.3f} | {accuracy['mean_class']:.3f} |"


def changes(options: list[str], paper: bool) -> list[str]:
    """Return the flags of a network's options and of the shortcuts."""
    flags = {"--option": options}
    if not paper:
        flags = {
            "--option": [*options, "dropout=0.2"],
            "--spec": [*SMALL, CROPS["multiresolution=true" in options]],
            "--set": QUICK,
        }
    return [
        x for flag, values in flags.items() for v in values for x in (flag, v)
    ]


def call(*arguments: object) -> None:
    """Run a command of keras-twostream."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "keras_twostream", *map(str, arguments)]
    subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
