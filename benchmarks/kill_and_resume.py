"""Training that is killed (-9) at random and resumed ends as if it was not.

    python benchmarks/kill_and_resume.py my_videos [--times 3]

`my_videos` holds one folder of videos per class. Each run is the command
`keras-twostream train` in a process of its own, forked from one that has the
libraries imported. The killed ones are ended by the operating system after a
random step, with no chance to clean up, and called again with the same flags.
"""

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from pathlib import Path

FLAGS = (
    "--weights none --recipe actors --epochs 2 --batch-size 4 --workers 1 "
    "--option depth=18 --option width=4 --option clip_length=2 "
    "--option flow_length=2 --spec short_side=64 --spec crop=[48,48] "
    "--spec temporal_stride=2 --spec train_strides=[2,3] "
    "--checkpoint-seconds 0"
).split()

COLUMNS = ("loss", "val_loss", "val_rgb_accuracy", "val_flow_accuracy")
TOLERANCE = 1e-3
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["keras_twostream.cli._train_run"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("videos")
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole, steps = watch(given.videos, Path(folder, "whole"))
        print(f"| run | killed after save | {' | '.join(COLUMNS)} |")
        print("|---" * (2 + len(COLUMNS)) + "|")
        show("undisturbed", "-", whole)
        for number in range(given.times):
            out = Path(folder, f"killed{number}")
            after = random.Random(number).randrange(1, steps)
            watch(given.videos, out, after)
            last, _ = watch(given.videos, out)
            show(f"killed {number + 1}", after, last)
            for name in COLUMNS:
                if abs(last[name] - whole[name]) > TOLERANCE:
                    sys.exit(f"{name} differs from the undisturbed run's")


def watch(
    videos: str, out: Path, kill_after: int | None = None
) -> tuple[dict[str, float], int]:
    """Runs to the end, or kills after some steps.

    Args:
        videos: The data.
        out: The run's folder.
        kill_after: Checkpoints, one a step, after which the run is killed.

    Returns:
        The last epoch's numbers, and how many checkpoints were seen.
    """
    file = out / "checkpoint.npz"
    process = FORKS.Process(target=train, args=(videos, str(out)))
    process.start()
    seen, before = 0, None
    while process.is_alive():
        now = file.stat().st_mtime_ns if file.exists() else None
        seen, before = seen + (now != before), now
        if seen == kill_after:
            process.kill()
            process.join()
            return {}, seen
        time.sleep(0.05)
    if process.exitcode:
        sys.exit("The run ended in an error; call the command by itself.")
    return json.loads((out / "metrics.json").read_text())["last"], seen


def train(videos: str, out: str) -> None:
    """The command line, with nothing on standard error."""
    from keras_twostream.cli import group

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    group(["train", "--data", videos, "--out", out, *FLAGS])


def show(name: str, after: int | str, last: dict[str, float]) -> None:
    numbers = " | ".join(f"{last[key]:.6f}" for key in COLUMNS)
    print(f"| {name} | {after} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
