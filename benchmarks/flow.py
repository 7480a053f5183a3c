"""TV-L1 in the graph beside OpenCV's DualTVL1: error and speed.

The settings are timed in turns, on the same cores, and the best of the rounds
counts. CPU seconds are given beside the clock's: on a machine that does other
work too they are the fairer of the two. OpenCV's TV-L1 is in
opencv-contrib-python, which cannot be installed beside opencv-python: give the
Python of an environment that has it.

    python -m venv contrib
    contrib/bin/pip install opencv-contrib-python numpy
    python benchmarks/flow.py --data DIR --contrib-python contrib/bin/python

DIR holds frame10.png, frame11.png and flow10.flo of a Middlebury pair
(RubberWhale: vision.middlebury.edu/flow/data). The end-point error is measured
at the pair's own size, the speed at 340 x 256.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keras_twostream import flow

SPEED_SIZE = (340, 256)
OURS = {
    "ours, default": {},
    "ours, 3 warps": {"warps": 3},
    "ours, 2 warps, 8 iterations": {"warps": 2, "iterations": 8},
}
OPENCV = {
    "OpenCV, 1 outer iteration": {"outerIterations": 1},
    "OpenCV, 2 outer iterations": {"outerIterations": 2},
    "OpenCV, default": {},
}

# Runs in the other environment: one JSON request a line, one answer a line.
_OPENCV_SERVER = """
import json, sys, time
import cv2
for line in sys.stdin:
    request = json.loads(line)
    first, second = (cv2.imread(path, 0) for path in request["images"])
    solver = cv2.optflow.DualTVL1OpticalFlow_create(**request["parameters"])
    start = time.perf_counter(), time.process_time()
    field = solver.calc(first, second, None)
    seconds = time.perf_counter() - start[0], time.process_time() - start[1]
    cv2.writeOpticalFlow(request["save"], field)
    print(json.dumps(seconds), flush=True)
"""


class OpenCV:
    """DualTVL1 in a process of its own.

    Args:
        python: The interpreter that has OpenCV's contributed modules.
        folder: Where images and fields are handed over.
    """

    def __init__(self, python: str, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [python, "-c", _OPENCV_SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def solve(
        self, frames: np.ndarray, parameters: dict[str, Any]
    ) -> tuple[np.ndarray, list[float]]:
        """The field, and the clock's and the CPU's seconds."""
        images = [str(self._folder / f"{n}.png") for n in range(2)]
        for path, frame in zip(images, frames, strict=True):
            cv2.imwrite(path, frame[..., ::-1])
        saved = str(self._folder / "field.flo")
        request = {"images": images, "parameters": parameters, "save": saved}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        seconds = json.loads(self._process.stdout.readline())
        return flow.read_flo(saved), seconds

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def ours(
    frames: np.ndarray, parameters: dict[str, Any]
) -> tuple[np.ndarray, list[float]]:
    """The field, and the clock's and the CPU's seconds."""
    start = time.perf_counter(), time.process_time()
    field = flow.compute(frames, "tvl1", **parameters)[0]
    return field, [
        time.perf_counter() - start[0],
        time.process_time() - start[1],
    ]


def measure(folder: Path, python: str, rounds: int) -> dict[str, list[float]]:
    """End-point error in px, best clock and CPU seconds, by setting."""
    truth = flow.read_flo(folder / "flow10.flo")
    paths = [folder / name for name in ("frame10.png", "frame11.png")]
    frames = np.stack([cv2.imread(str(p))[..., ::-1] for p in paths])
    small = np.stack(
        [
            cv2.resize(f, SPEED_SIZE, interpolation=cv2.INTER_AREA)
            for f in frames
        ]
    )
    with tempfile.TemporaryDirectory() as exchange:
        opencv = OpenCV(python, Path(exchange))
        settings = {name: (ours, p) for name, p in OURS.items()}
        settings |= {name: (opencv.solve, p) for name, p in OPENCV.items()}
        errors = {
            name: flow.end_point_error(solve(frames, p)[0], truth)
            for name, (solve, p) in settings.items()
        }
        for solve, parameters in settings.values():
            solve(small, parameters)  # compiles, and warms caches
        times = [
            [solve(small, p)[1] for solve, p in settings.values()]
            for _ in range(rounds)
        ]
        opencv.close()
    best = np.min(times, axis=0).tolist()
    return {
        name: [errors[name], *seconds]
        for name, seconds in zip(settings, best, strict=True)
    }


def table(rows: dict[str, list[float]]) -> str:
    """The rows in Markdown, speed relative to OpenCV's defaults."""
    _, clock_of_opencv, cpu_of_opencv = rows["OpenCV, default"]
    columns = (
        "setting",
        "end-point error, px",
        "pairs/s",
        "times OpenCV's",
        "CPU ms per pair",
        "times OpenCV's",
    )
    lines = [
        f"| {' | '.join(columns)} |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {error:.4f} | {1 / clock:.2f} "
        f"| {clock_of_opencv / clock:.1f} | {1000 * cpu:.0f} "
        f"| {cpu_of_opencv / cpu:.1f} |"
        for name, (error, clock, cpu) in rows.items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--contrib-python", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(table(measure(options.data, options.contrib_python, options.rounds)))


if __name__ == "__main__":
    main()
