"""`keras-twostream train` on a small data set of one's own, untuned.

    python benchmarks/small_data.py WORK [--counts 100 300] [--weights none]

Draws videos of six classes that differ by motion alone: a textured thing
slides left, right, up or down, or turns either way, before a textured wall
that shakes, at sizes, lengths and frame rates of all sorts. Things and walls
are drawn without regard to the class. Then calls `train` with no flag but
the data and the folder, and `evaluate` on 240 videos of other seeds. What is
there already is not done again. For real footage cut to few videos a class,
and for its direction in time, see `accuracy.py curve`.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
from rich.progress import track

CLASSES = ("left", "right", "up", "down", "clockwise", "anticlockwise")
SLIDES = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
TURNS = {"clockwise": 1, "anticlockwise": -1}
SIDES, SECONDS, RATES = (96, 321), (1.2, 3.5), (15, 24, 25, 30)
TESTED = 240


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--counts", nargs="+", type=int, default=[100, 300])
    parser.add_argument("--weights", help="none: from random weights")
    given = parser.parse_args()
    test = draw_videos(given.work / "test", TESTED, seed=1)
    print("| clips | start | epochs | minutes | held out | other videos |")
    print("|---|---|---|---|---|---|", flush=True)
    for count in given.counts:
        videos = draw_videos(given.work / f"train{count}", count, seed=0)
        print(row(given, count, videos, test), flush=True)


def row(given, count: int, videos: Path, test: Path) -> str:
    start = given.weights or "default"
    out = given.work / f"run{count}_{start}"
    flags = ["--weights", given.weights] if given.weights else []
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
        f"| {count} | {start} | {epochs} | {minutes:.1f} | {inner:.1%} | "
        f"{outer:.1%} |"
    )


def call(*arguments) -> None:
    command = [sys.executable, "-m", "keras_twostream", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def top1(folder: Path) -> float:
    report = json.loads((folder / "metrics.json").read_text())
    return report["accuracy"]["fused"]["top1"]


# === Videos ===


def draw_videos(folder: Path, count: int, seed: int) -> Path:
    """One folder of videos per class, unless it is there."""
    if folder.exists():
        return folder
    for index in track(range(count), f"Drawing {folder.name}", transient=True):
        name = CLASSES[index % len(CLASSES)]
        rng = np.random.default_rng([seed, index])
        path = folder / name / f"{index:04d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, draw(name, rng), int(rng.choice(RATES)))
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


def write(path: Path, frames: np.ndarray, rate: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in frames:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
