"""TV-L1 in the graph beside OpenCV's DualTVL1: error and speed.

Both run on the same cores in one process tree, in turns (one measurement of
each setting, then the next round), and the best of the rounds counts, so that
other work on the machine disturbs both alike. OpenCV's TV-L1 is in
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
import time
from pathlib import Path

import numpy as np

SPEED_SIZE = (340, 256)
OURS = {
    "default": {},
    "30 iterations": {"iterations": 30},
    "3 warps": {"warps": 3},
    "2 warps, 8 iterations": {"warps": 2, "iterations": 8},
}
OPENCV = {
    f"outer iterations {n}{' (default)' if n == 10 else ''}": {
        "outerIterations": n
    }
    for n in (1, 2, 5, 10)
}

# Runs in the other environment: one JSON request a line, one answer a line.
_OPENCV_SERVER = """
import json, sys, time
import cv2
for line in sys.stdin:
    request = json.loads(line)
    first, second = (cv2.imread(p, 0) for p in request["images"])
    if request["size"]:
        first, second = (
            cv2.resize(i, request["size"], interpolation=cv2.INTER_AREA)
            for i in (first, second)
        )
    solver = cv2.optflow.DualTVL1OpticalFlow_create(**request["parameters"])
    start = time.perf_counter()
    field = solver.calc(first, second, None)
    seconds = time.perf_counter() - start
    if request["save"]:
        cv2.writeOpticalFlow(request["save"], field)
    print(json.dumps({"seconds": seconds, "cv2": cv2.__version__}), flush=True)
"""


class OpenCV:
    """DualTVL1 in a process of its own."""

    def __init__(self, python: str, images: list[str]) -> None:
        self._images = images
        self._process = subprocess.Popen(
            [python, "-c", _OPENCV_SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, parameters, size=None, save="") -> float:
        request = {
            "images": self._images,
            "parameters": parameters,
            "size": size,
            "save": save,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())["seconds"]

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def measure(folder: Path, python: str, rounds: int) -> list[tuple]:
    """(name, end-point error in px, best seconds for a pair) of each setting.

    Args:
        folder: Holds the pair.
        python: The interpreter that has OpenCV's contributed modules.
        rounds: Times each setting is timed.
    """
    import cv2

    from keras_twostream import flow

    paths = [str(folder / name) for name in ("frame10.png", "frame11.png")]
    truth = flow.read_flo(folder / "flow10.flo")
    frames = np.stack([cv2.imread(path)[..., ::-1] for path in paths])
    small = np.stack(
        [
            cv2.resize(f, SPEED_SIZE, interpolation=cv2.INTER_AREA)
            for f in frames
        ]
    )
    opencv = OpenCV(python, paths)
    saved = str(Path.cwd() / "opencv_tvl1.flo")

    def ours_seconds(parameters):
        start = time.perf_counter()
        flow.compute(small, "tvl1", **parameters)
        return time.perf_counter() - start

    def opencv_seconds(parameters):
        return opencv.seconds(parameters, SPEED_SIZE)

    def ours_error(parameters):
        field = flow.compute(frames, "tvl1", **parameters)[0]
        return flow.end_point_error(field, truth)

    def opencv_error(parameters):
        opencv.seconds(parameters, save=saved)
        error = flow.end_point_error(flow.read_flo(saved), truth)
        Path(saved).unlink()
        return error

    settings = [
        *(("ours", n, p, ours_seconds, ours_error) for n, p in OURS.items()),
        *(
            ("OpenCV", n, p, opencv_seconds, opencv_error)
            for n, p in OPENCV.items()
        ),
    ]
    errors = [error(p) for _, _, p, _, error in settings]
    for _, _, parameters, seconds, _ in settings:
        seconds(parameters)  # compiles, and warms caches
    times = [
        [seconds(p) for _, _, p, seconds, _ in settings] for _ in range(rounds)
    ]
    opencv.close()
    best = np.min(times, axis=0)
    return [
        (f"{who}, {name}", error, float(each))
        for (who, name, *_), error, each in zip(
            settings, errors, best, strict=True
        )
    ]


def table(rows: list[tuple]) -> str:
    """The rows in Markdown, speed relative to OpenCV's defaults."""
    (slow,) = [each for name, _, each in rows if name.endswith("(default)")]
    lines = [
        "| setting | end-point error, px | pairs/s | times OpenCV's default |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {error:.4f} | {1 / each:.2f} | {slow / each:.1f} |"
        for name, error, each in rows
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
