"""Training input from packed caches beside a PyTorch DataLoader.

    python benchmarks/input.py VIDEOS WORK [--rounds 3] [--clips 192]

The DataLoader reads TSN-style folders of JPEGs (img_, flow_x_, flow_y_) of
the very same frames and fields with OpenCV, and crops, scales and mirrors as
we do; both give uint8 frames and float32 flow in pixels, a frame and ten
fields in each clip. Contenders take turns in one run, on the same number of
workers. WORK keeps caches and folders, so that a second run only reads.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from keras_twostream import ClipSpec
from keras_twostream.data.cache import Contract, PackedSource
from keras_twostream.data.cutting.augmentation import multi_scale
from keras_twostream.data.cutting.cropping import mirrored
from keras_twostream.data.cutting.placement import generator
from keras_twostream.data.extraction import extract

SPEC = ClipSpec(resize_to=(256, 340), frame_rate=None)
SIZE, BOUND, BATCH = SPEC.crop, SPEC.flow_bound, 16
ENCODINGS = {"jpeg": 8, "raw": 8}
BUFFERED = 5  # batches that a contender may have ready


# === TSN-style folders, as a PyTorch user reads them ===


class Folders(torch.utils.data.Dataset):
    """One random snippet from each folder of JPEGs, by index."""

    def __init__(self, folders: list[Path], clips: int) -> None:
        self._folders, self._clips = folders, clips
        self._frames = [len(list(f.glob("img_*.jpg"))) for f in folders]

    def __len__(self) -> int:
        return self._clips

    def __getitem__(self, index: int):
        cv2.setNumThreads(1)
        folder = self._folders[index % len(self._folders)]
        frames = self._frames[index % len(self._folders)]
        rng = generator(0, 0, index)
        start = 1 + int(rng.integers(frames - SPEC.flow_length))
        image = cv2.imread(str(folder / f"img_{start:05d}.jpg"))
        crop = multi_scale(*image.shape[:2], SIZE, rng)
        crop = mirrored(crop, rng.random() < 0.5)
        rgb = cut(image, crop)[None, ..., ::-1]
        planes = []
        for number in range(start, start + SPEC.flow_length):
            for axis in "xy":
                name = str(folder / f"flow_{axis}_{number:05d}.jpg")
                planes.append(cut(cv2.imread(name, cv2.IMREAD_GRAYSCALE), crop))
        flow = np.stack(planes, axis=-1)[None].astype(np.float32)
        flow *= 2 * BOUND / 255
        flow -= BOUND
        scale = np.divide(SIZE, (crop.height, crop.width)).astype(np.float32)
        flow[..., 0::2] *= -scale[1] if crop.mirror else scale[1]
        flow[..., 1::2] *= scale[0]
        return {
            "rgb": torch.from_numpy(np.ascontiguousarray(rgb)),
            "flow": torch.from_numpy(flow),
        }


def cut(image: np.ndarray, crop) -> np.ndarray:
    rows = slice(crop.top, crop.top + crop.height)
    image = image[rows, crop.left : crop.left + crop.width]
    image = cv2.resize(image, (SIZE[1], SIZE[0]))
    return cv2.flip(image, 1) if crop.mirror else image


def write_folders(cache: Path, out: Path) -> list[Path]:
    """A folder of JPEGs for each packed file, from its frames and fields."""
    folders = []
    for path in sorted(cache.rglob("*.safetensors")):
        folder = out / path.name.removesuffix(".safetensors")
        folders.append(folder)
        if folder.exists():
            continue
        folder.mkdir(parents=True)
        source = PackedSource(path, SPEC)
        for i in range(source.frames):
            frame = source.read(np.array([i]))[0]
            write(folder / f"img_{i + 1:05d}.jpg", frame[..., ::-1])
        for i in range(source.frames - 1):
            field = source.fields(np.array([[i, i + 1]]))[0]
            levels = np.rint((field + BOUND) * 255 / (2 * BOUND))
            for axis, plane in zip(
                "xy", (levels[..., 0], levels[..., 1]), strict=True
            ):
                write(folder / f"flow_{axis}_{i + 1:05d}.jpg", plane)
    return folders


def write(path: Path, image: np.ndarray) -> None:
    image = image.clip(0, 255).astype(np.uint8)
    cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 95])


# === Contenders ===


def loader(folders: list[Path], clips: int, workers: int) -> Iterator:
    batches = torch.utils.data.DataLoader(
        Folders(folders, clips),
        batch_size=BATCH,
        num_workers=workers,
        persistent_workers=True,
        multiprocessing_context="spawn",
    )
    while True:
        yield from batches


def packed(cache: Path, clips: int, workers: int) -> Iterator:
    from keras_twostream.data import video_dataset

    paths = sorted(map(str, cache.rglob("*.safetensors")))
    items = [(paths[i % len(paths)], 0) for i in range(clips)]
    batches = video_dataset(
        items, SPEC, BATCH, training=True, repeat=True, workers=workers
    )
    return iter(batches)


def measure(batches: Iterator, clips: int) -> tuple[float, float]:
    """Seconds, and seconds of the processor, for each clip."""
    wait_for_the_others()
    for _ in range(BUFFERED):
        next(batches)
    wall, cpu = time.perf_counter(), cpu_seconds()
    for _ in range(clips // BATCH):
        next(batches)
    count = clips // BATCH * BATCH
    wall = time.perf_counter() - wall
    return wall / count, (cpu_seconds() - cpu) / count


def wait_for_the_others() -> None:
    """Until nobody fills buffers any more."""
    before, now = -1.0, cpu_seconds()
    while now - before > 0.02:
        time.sleep(2)
        before, now = now, cpu_seconds()


def cpu_seconds() -> float:
    """Of this process and of those it started."""
    total = time.process_time()
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().split(")")[1]
        ticks = sum(map(int, fields.split()[11:13]))
        total += ticks / os.sysconf("SC_CLK_TCK")
    return total


def size(folder: Path, pattern: str) -> float:
    return sum(path.stat().st_size for path in folder.rglob(pattern)) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=192, help="each round")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    sizes: dict[str, float] = {}
    makers: dict[str, Callable[[], Iterator]] = {}
    share = (options.clips, options.workers)
    for encoding, bits in ENCODINGS.items():
        cache = options.work / encoding
        contract = Contract.of(SPEC, bits, encoding)
        extract(options.videos, cache, contract, workers=options.workers)
        name = f"packed, {encoding}"
        sizes[name] = size(cache, "*.safetensors")
        makers[name] = lambda cache=cache: packed(cache, *share)
    folders = write_folders(options.work / "raw", options.work / "folders")
    peer = "DataLoader, folders of JPEGs"
    sizes[peer] = size(options.work / "folders", "*.jpg")
    makers[peer] = lambda: loader(folders, *share)
    running = {name: maker() for name, maker in makers.items()}
    times = {name: [] for name in running}
    for batches in running.values():
        next(batches)  # starts workers
    for _ in range(options.rounds):
        for name, batches in running.items():
            times[name].append(measure(batches, options.clips))
    report(times, sizes, peer)


def report(times: dict, sizes: dict, peer: str) -> None:
    best = {name: np.min(found, axis=0) for name, found in times.items()}
    print("| input | clips/s | times | CPU ms per clip | times | MiB |")
    print("|---|---|---|---|---|---|")
    for name, (wall, cpu) in best.items():
        faster = best[peer] / (wall, cpu)
        print(
            f"| {name} | {1 / wall:.1f} | {faster[0]:.2f} | {1000 * cpu:.2f} "
            f"| {faster[1]:.2f} | {sizes[name]:.1f} |"
        )


if __name__ == "__main__":
    main()
