"""Our optical flow beside that of others: error and speed.

The settings are timed in turns, on the same cores, and the best of the rounds
counts. CPU seconds are given beside the clock's: on a machine that does other
work too they are the fairer of the two. Speed is measured at 340 x 256.

    python benchmarks/flow.py tvl1 --data DIR --contrib-python PYTHON
    python benchmarks/flow.py raft [--compiled]
    python benchmarks/flow.py dis

`tvl1` is TV-L1 in the graph beside OpenCV's DualTVL1, which is in
opencv-contrib-python and cannot be installed beside opencv-python: PYTHON is
that of an environment that has it. DIR holds frame10.png, frame11.png and
flow10.flo of a Middlebury pair (RubberWhale: vision.middlebury.edu/flow/data),
for the end-point error at the pair's own size.

`raft` is RAFT beside torchvision's, on the same random weights (the error of
real ones does not change with who computes it: the fields are compared), from
frame to frame of one clip; `--compiled` times torchvision's under
`torch.compile`, too. `dis` is `flow.compute` beside the shortest loop
over OpenCV's DIS that a user would write.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keras_twostream import _acceleration, data, flow

sys.path.append(str(Path(__file__).parents[1] / "tests" / "peers"))

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


# === RAFT and DIS ===


def clip_of(video: Path | None, count: int) -> np.ndarray:
    """(count, 256, 340, 3) uint8: a video's first frames, or moving noise."""
    if video is None:
        return moving_clip(count)
    frames = itertools.islice(data.iter_frames(video), count)
    return np.stack([cv2.resize(frame, SPEED_SIZE) for frame in frames])


def moving_clip(count: int) -> np.ndarray:
    """(count, 256, 340, 3) uint8: smooth noise that moves to the right."""
    width, height = SPEED_SIZE
    noise = np.random.default_rng(0).integers(
        0, 256, (height, width + 2 * count, 3), np.uint8
    )
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    starts = [2 * (count - number) for number in range(count)]
    return np.stack([smooth[:, start : start + width] for start in starts])


def timed(
    settings: dict[str, Callable[[], np.ndarray]], rounds: int, pairs: int
) -> dict[str, list[float]]:
    """Best clock and CPU seconds per pair, by setting."""
    for solve in settings.values():
        solve()  # compiles, and warms caches
    times: dict[str, list[tuple[float, float]]] = {n: [] for n in settings}
    for _ in range(rounds):
        for name, solve in settings.items():
            start = time.perf_counter(), time.process_time()
            solve()
            seconds = time.perf_counter() - start[0]
            times[name].append((seconds, time.process_time() - start[1]))
    return {
        name: (np.min(seconds, axis=0) / pairs).tolist()
        for name, seconds in times.items()
    }


def measure_raft(
    rounds: int,
    pairs: int,
    video: Path | None,
    updates: int,
    threads: int,
    compiled: bool,
) -> Iterator[str]:
    """Rows of a table of both networks, ours and torchvision's."""
    _acceleration.prefer_fast()
    import tensorflow as tf
    import torch
    from reference import declare_operators

    declare_operators()
    from torchvision.models import optical_flow

    torch.set_num_threads(threads)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    frames = clip_of(video, pairs + 1)
    # Sides that both take, so that neither pads.
    frames = np.pad(frames, [(0, 0), (0, 0), (2, 2), (0, 0)], mode="edge")
    images = torch.from_numpy(frames.astype("float32") / 127.5 - 1)
    images = images.permute(0, 3, 1, 2).contiguous()
    for name in ("raft_small", "raft_large"):
        torch.manual_seed(0)
        net = getattr(optical_flow, name)().eval()
        with tempfile.TemporaryDirectory() as folder:
            weights = os.path.join(folder, "weights.pth")
            torch.save(net.state_dict(), weights)
            parameters = {"weights": weights, "updates": updates}
            flow.compute(frames[:2], name, **parameters)
        settings = {
            f"ours, {name}": lambda n=name, p=parameters: flow.compute(
                frames, n, **p
            ),
            f"torchvision, {name}": lambda n=net: of_torch(n, images, updates),
        }
        if compiled:
            quick = torch.compile(net)
            settings[f"torchvision compiled, {name}"] = lambda n=quick: (
                of_torch(n, images, updates)
            )
        fields = [solve() for solve in settings.values()]
        apart = np.abs(fields[0] - fields[1]).max()
        seconds = timed(settings, rounds, pairs)
        theirs = seconds[f"torchvision, {name}"]
        yield from (
            f"| {each} | {1 / clock:.2f} | {theirs[0] / clock:.2f} "
            f"| {1000 * cpu:.0f} | {theirs[1] / cpu:.2f} | {apart:.1e} |"
            for each, (clock, cpu) in seconds.items()
        )


def of_torch(net: Any, images: Any, updates: int) -> np.ndarray:
    """torchvision's flow, pair by pair, as a CPU does it fastest."""
    import torch

    with torch.no_grad():
        fields = [
            net(images[i : i + 1], images[i + 1 : i + 2], updates)[-1]
            for i in range(len(images) - 1)
        ]
    return torch.cat(fields).permute(0, 2, 3, 1).numpy()


def measure_dis(rounds: int, pairs: int, video: Path | None) -> Iterator[str]:
    """Rows of a table of each preset, ours and a plain loop's."""
    frames = clip_of(video, pairs + 1)
    for number, preset in enumerate(("ultrafast", "fast", "medium")):

        def plain(number: int = number) -> np.ndarray:
            solver = cv2.DISOpticalFlow_create(number)
            grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames]
            pairs = itertools.pairwise(grey)
            return np.stack([solver.calc(*pair, None) for pair in pairs])

        settings = {
            f"ours, {preset}": lambda p=preset: flow.compute(
                frames, "dis", preset=p
            ),
            f"plain loop, {preset}": plain,
        }
        seconds = timed(settings, rounds, pairs)
        theirs = seconds[f"plain loop, {preset}"]
        yield from (
            f"| {each} | {1 / clock:.1f} | {theirs[0] / clock:.2f} "
            f"| {1000 * cpu:.2f} | {theirs[1] / cpu:.2f} |"
            for each, (clock, cpu) in seconds.items()
        )


# === The command line ===


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="what", required=True)
    tvl1 = commands.add_parser("tvl1")
    tvl1.add_argument("--data", type=Path, required=True)
    tvl1.add_argument("--contrib-python", required=True)
    raft = commands.add_parser("raft")
    raft.add_argument("--updates", type=int, default=12)
    raft.add_argument("--threads", type=int, default=os.cpu_count())
    raft.add_argument("--compiled", action="store_true")
    for command, pairs in ((raft, 4), (commands.add_parser("dis"), 32)):
        command.add_argument("--pairs", type=int, default=pairs)
        command.add_argument("--video", type=Path)
    for command in commands.choices.values():
        command.add_argument("--rounds", type=int, default=5)
    given = vars(parser.parse_args())
    what = given.pop("what")
    if what == "tvl1":
        folder, python = given["data"], given["contrib_python"]
        print(table(measure(folder, python, given["rounds"])))
        return
    columns = ["setting", "pairs/s", "times theirs", "CPU ms per pair"]
    columns += ["times theirs", *(["px apart"] if what == "raft" else [])]
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    rows = measure_raft if what == "raft" else measure_dis
    for row in rows(**given):
        print(row, flush=True)


if __name__ == "__main__":
    main()
