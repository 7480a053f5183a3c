"""`keras-twostream train` on a small data set of one's own, untuned.

    python benchmarks/small_data.py WORK [--counts 17 50] [--starts default]
    python benchmarks/small_data.py WORK --real UCF101_SIX

Calls `train` with no flag but the data and the folder, on so many videos of
each class, and `evaluate` on videos of other seeds or recordings. Without
--real, six classes are drawn that differ by motion alone: a textured thing
slides left, right, up or down, or turns either way, before a textured wall
that shakes, at sizes, lengths and frame rates of all sorts; things and walls
are drawn without regard to the class. With it there are two tasks: the six
classes, and whether a real video moves to the left or to the right, played
forwards or backwards, as it is or mirrored. What is there already is not done
again. Features of networks that do not train are in `accuracy.py curve`.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import real_videos
from accuracy_parts.runs import SIZE, clip_of_start
from rich.progress import track

CLASSES = ("left", "right", "up", "down", "clockwise", "anticlockwise")
SLIDES = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
TURNS = {"clockwise": 1, "anticlockwise": -1}
SIDES, SECONDS, RATES = (96, 321), (1.2, 3.5), (15, 24, 25, 30)
TESTED = 240  # drawn videos

HEAD = """\
| task | start | videos a class | epochs | minutes | held out | other videos |
|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--real", type=Path, help="six classes of UCF-101")
    parser.add_argument("--tasks", nargs="+", default=["six", "sideways"])
    parser.add_argument(
        "--counts", nargs="+", type=int, default=[5, 10, 20, 50]
    )
    parser.add_argument(
        "--starts", nargs="+", default=["default", "none"],
        choices=["default", "none"],
        help="default: the actors' weights; none: random ones",
    )  # fmt: skip
    given = parser.parse_args()
    tasks = given.tasks if given.real else ["drawn"]
    print(HEAD, flush=True)
    for task in tasks:
        pool, test = parts(task, given)
        for count in given.counts:
            videos = few(pool, count, given.work / f"{task}{count}")
            for start in given.starts:
                cells = row(given.work, task, start, count, videos, test)
                print(cells, flush=True)


def row(
    work: Path, task: str, start: str, count: int, videos: Path, test: Path
) -> str:
    out = work / f"run_{task}{count}_{start}"
    flags = [] if start == "default" else random_start()
    began = time.perf_counter()
    if not (out / "model").is_dir():
        call("train", "--data", videos, "--out", out, *flags)
        minutes = (time.perf_counter() - began) / 60
        (out / "minutes.txt").write_text(f"{minutes:.1f}")
    if not (out / "test" / "metrics.json").is_file():
        call("evaluate", out, "--data", test, "--out", out / "test")
    minutes = float((out / "minutes.txt").read_text())
    epochs = json.loads((out / "metrics.json").read_text())["epochs"]
    inner, outer = (top1(out / name) for name in ("evaluation", "test"))
    return (
        f"| {task} | {start} | {count} | {epochs} | {minutes:.1f} | "
        f"{inner:.1%} | {outer:.1%} |"
    )


def random_start() -> list[str]:
    """Return flags for the default's network, clip and recipe, not weights."""
    flags = ["--model", "spatiotemporal_resnet", "--weights", "none"]
    return [*flags, "--recipe", "finetune", *clip_of_start(*SIZE)]


def call(*arguments) -> None:
    command = [sys.executable, "-m", "keras_twostream", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def top1(folder: Path) -> float:
    report = json.loads((folder / "metrics.json").read_text())
    return report["accuracy"]["fused"]["top1"]


# === Sets of videos ===


def parts(task: str, given: argparse.Namespace) -> tuple[Path, Path]:
    """Return the folders to take training videos from, and to test on."""
    work = given.work
    if task == "drawn":
        most = max(given.counts) * len(CLASSES)
        pool = draw_videos(work / f"drawn_{most}", most, seed=0)
        return pool, draw_videos(work / "drawn_test", TESTED, seed=1)
    make = {"six": real_videos.linked, "sideways": real_videos.left_and_right}
    videos = sorted(given.real.glob("*/*.mp4"))
    tested = [path for path in videos if real_videos.is_tested(path)]
    rest = sorted(set(videos) - set(tested))
    return (
        make[task](rest, work / f"{task}_pool"),
        make[task](tested, work / f"{task}_test"),
    )


def few(pool: Path, count: int, folder: Path) -> Path:
    """Link `count` videos of each class, drawn with one seed for all."""
    for name in sorted(p for p in pool.iterdir() if p.is_dir()):
        inside = sorted(name.glob("*.mp4"))
        order = np.random.default_rng(0).permutation(len(inside))
        real_videos.linked([inside[i] for i in order[:count]], folder)
    return folder


# === Videos ===


def draw_videos(folder: Path, count: int, seed: int) -> Path:
    """One folder of videos per class, unless it is there."""
    if folder.exists():
        return folder
    for index in track(range(count), f"Drawing {folder.name}", transient=True):
        name = CLASSES[index % len(CLASSES)]
        rng = np.random.default_rng([seed, index])
        path = folder / name / f"{index:04d}.mp4"
        rate = int(rng.choice(RATES))
        real_videos.write(path, draw(name, rng), rate)
    return folder


def draw(name: str, rng: np.random.Generator) -> np.ndarray:
    """(T, H, W, 3) uint8; both sides even, as H.264 wants them."""
    height, width = (2 * int(rng.integers(*SIDES) // 2) for _ in "hw")
    count = int(15 * rng.uniform(*SECONDS))
    side = min(height, width)
    wall = texture(height + 16, width + 16, rng)
    thing = texture(side, side, rng)
    mask = outline(side, rng)
    slide, turn = SLIDES.get(name, (0, 0)), TURNS.get(name, 0)
    speed = rng.uniform(0.008, 0.02) * side  # px a frame
    spin = rng.uniform(2.0, 5.0)  # degrees a frame
    size, phase = rng.uniform(0.3, 0.6), rng.uniform(0, 360)
    middle = rng.uniform(0.4, 0.6, 2) * (width, height)
    frames = []
    for step in np.arange(count) - count / 2:
        angle = phase - turn * spin * step
        place = middle + np.multiply(slide, speed * step)
        place = place % (width, height)  # comes in again on the other side
        matrix = cv2.getRotationMatrix2D((side / 2, side / 2), angle, size)
        matrix[:, 2] += place - side / 2
        shake = rng.integers(6, 11, 2)
        frame = wall[shake[0] :][:height, shake[1] :][:, :width].copy()
        seen = cv2.warpAffine(mask, matrix, (width, height))[..., None]
        moved = cv2.warpAffine(thing, matrix, (width, height))
        frame = frame * (1 - seen) + moved * seen
        frame += rng.normal(0, 3, frame.shape)
        frames.append(frame.clip(0, 255).astype(np.uint8))
    return np.stack(frames)


def texture(height: int, width: int, rng) -> np.ndarray:
    """Coloured clouds of two sizes, (H, W, 3) float32."""
    image = np.full((height, width, 3), rng.uniform(60, 190, 3), np.float32)
    for cells, strength in ((4, 40), (24, 25)):
        cloud = rng.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        image += cv2.resize(
            cloud, (width, height), interpolation=cv2.INTER_CUBIC
        )
    return image


def outline(side: int, rng) -> np.ndarray:
    """1 inside a star-shaped thing, (side, side) float32."""
    turns = np.sort(rng.uniform(0, 2 * np.pi, 12))
    far = rng.uniform(0.3, 0.49, 12) * side
    corners = np.stack([np.cos(turns), np.sin(turns)], 1) * far[:, None]
    mask = np.zeros((side, side), np.float32)
    cv2.fillPoly(mask, [np.int32(corners + side / 2)], 1.0)
    return cv2.GaussianBlur(mask, (3, 3), 0)


if __name__ == "__main__":
    main()
