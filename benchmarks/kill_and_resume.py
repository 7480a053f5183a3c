"""Training that is killed (-9) at random and resumed ends as if it was not.

    python benchmarks/kill_and_resume.py my_videos [--times 3]

`my_videos` holds one folder of videos per class. Each run is the command
`keras-twostream train` in a process of its own; the killed ones are ended by
the operating system between two batches, with no chance to clean up, and
called again with the same flags.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLAGS = (
    "--weights none --recipe actors --epochs 3 --batch-size 4 --workers 1 "
    "--option depth=18 --option width=4 --option clip_length=2 "
    "--option flow_length=2 --spec short_side=64 --spec crop=[48,48] "
    "--spec temporal_stride=2 --spec train_strides=[2,3] "
    "--checkpoint-seconds 0"
).split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos")
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole = finish(given.videos, Path(folder, "whole"))
        print("| run | kills | loss | val_loss | val_accuracy |")
        print("|---|---|---|---|---|")
        show("undisturbed", 0, whole)
        for number in range(given.times):
            out = Path(folder, f"killed{number}")
            kill(given.videos, out, random.Random(number))
            last = finish(given.videos, out)
            show(f"killed {number + 1}", 1, last)
            difference = abs(last["val_loss"] - whole["val_loss"])
            if difference > 1e-3:
                sys.exit(f"val_loss differs by {difference:.2g}")


def finish(videos: str, out: Path) -> dict[str, float]:
    """Runs to the end; the last epoch's numbers."""
    subprocess.run(command(videos, out), check=True, stderr=subprocess.DEVNULL)
    return json.loads((out / "metrics.json").read_text())["last"]


def kill(videos: str, out: Path, draw: random.Random) -> None:
    """Kills a run some time after its first checkpoint."""
    process = subprocess.Popen(command(videos, out), stderr=subprocess.DEVNULL)
    while not (out / "checkpoint.npz").exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(draw.uniform(0, 1))
    process.send_signal(signal.SIGKILL)
    process.wait()


def command(videos: str, out: Path) -> list[str]:
    program = "from keras_twostream.cli import main; main()"
    start = [sys.executable, "-c", program, "train"]
    return [*start, "--data", videos, "--out", str(out), *FLAGS]


def show(name: str, kills: int, last: dict[str, float]) -> None:
    numbers = " | ".join(
        f"{last[key]:.6f}" for key in ("loss", "val_loss", "val_accuracy")
    )
    print(f"| {name} | {kills} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
