"""Karpathy's four fusions under one budget, on six classes of UCF-101.

    python benchmarks/context_fovea.py ucf101_six WORK --steps 1000

Trains single-frame, early, late and slow fusion, and the single-frame network
with context and fovea, from random weights with the paper's recipe, for the
same number of steps of the same batch size, and tests split 1 on the paper's
20 clips of each video. A stopped run goes on where it was.

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


def main() -> None:
    """Train and test what is not done yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="the folder ucf101_six")
    parser.add_argument("work", type=Path, help="folder for the runs")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--clips", type=int, default=20, help="of a test video")
    given = parser.parse_args()
    print(f"{given.steps} steps of {given.batch_size} clips each.\n")
    print("| network | top-1 | mean per class |", "|---|---|---|", sep="\n")
    for name, options in NETWORKS.items():
        print(row(name, options, given), flush=True)


def row(name: str, options: list[str], given: argparse.Namespace) -> str:
    """Return one network's row of the table."""
    out = given.work / name.replace(", ", "_").replace(" ", "_")
    lists = ["--data", given.data / "ucfTrainTestlist", "--root", given.data]
    if not (out / "model" / "config.json").exists():
        flags = [x for option in options for x in ("--option", option)]
        call(
            *("train", *lists, "--split", 1, "--val-share", 0, "--out", out),
            *("--model", "context_fovea", "--weights", "none", *flags),
            *("--recipe", "context_fovea", "--set", f"steps={given.steps}"),
            *("--batch-size", given.batch_size, "--keep", "last"),
        )
    if not (out / "test" / "metrics.json").exists():
        call(
            *("evaluate", out, *lists, "--split", 1, "--clips", given.clips),
            *("--out", out / "test"),
        )
    found = json.loads((out / "test" / "metrics.json").read_text())
    accuracy = found["accuracy"]["fused"]
    return f"| {name} | {accuracy['top1']:.3f} | {accuracy['mean_class']:.3f} |"


def call(*arguments: object) -> None:
    """Run a command of keras-twostream."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "keras_twostream", *map(str, arguments)]
    subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
