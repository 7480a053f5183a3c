"""Large data, once each: many videos, long ones, large ones, many classes."""

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np

from campaign_parts import videos
from campaign_parts.cases import run_case
from campaign_parts.results import Results
from keras_twostream.data.cache import CacheFolder, Contract
from keras_twostream.data.extraction import extract
from keras_twostream.data.lists.annotations import read_annotations
from keras_twostream.data.video import reading
from keras_twostream.spec import ClipSpec

MANY, HOURS, RATE, CLASSES = 10_000, 2, 5, 1_000
_GROWTH = 64 << 20  # bytes by which memory may grow and count as flat


def run(seed: int, results: Results, work: Path) -> None:
    """Try each size that was not tried before.

    Args:
        seed: Seed of what is picked.
        results: Where outcomes go.
        work: Folder for the data.
    """
    for name, attempt in SIZES.items():
        if results.has(name, 0):
            continue
        folder = work / f"size-{os.getpid()}" / "inside"
        folder.mkdir(parents=True)
        outcome = run_case(
            lambda attempt=attempt, folder=folder: attempt(folder, seed),
            folder,
            bounded=False,
        )
        fine = outcome.verdict == "returned"
        results.add(
            sample=name,
            row=name,
            number=0,
            kind="size",
            verdict="right" if fine else outcome.verdict,
            detail=outcome.value,
            seconds=round(outcome.seconds, 1),
        )
        print(name, outcome, flush=True)
        shutil.rmtree(folder.parent)


# === What is tried ===


def _many(folder: Path, seed: int) -> dict[str, Any]:
    """Extract ten thousand videos, in constant memory and descriptors."""
    del seed
    root = folder / "videos"
    for kind in range(20):
        (root / f"class{kind:02}").mkdir(parents=True)
        first = root / f"class{kind:02}" / "0.mp4"
        frames = numbered([kind, kind + 1, kind + 2], 24, 40)
        videos.write_video(first, frames, preset="ultrafast")
        for number in range(1, MANY // 20):
            os.link(first, first.with_name(f"{number}.mp4"))
    listed = read_annotations(root)
    watch = _Watch()
    spec = ClipSpec(streams=("rgb",), short_side=24, crop=(24, 24))
    contract = Contract.of(spec.replace(frame_rate=None))
    summary = extract(
        root,
        folder / "cache",
        contract,
        workers=1,
        progress=lambda done, *_: watch.look(done > 3 * MANY // 10),
    )
    _check(len(summary.done) == MANY and not summary.failed, summary.failed)
    again = extract(root, folder / "cache", contract, workers=1)
    _check(again.present == MANY and not again.done, "not resumed")
    entries = CacheFolder(folder / "cache").entries()
    _check(sum(e.frames for e in entries.values()) == 3 * MANY, "frames")
    return {"videos": len(listed), **watch.facts()}


def _long(folder: Path, seed: int) -> dict[str, Any]:
    """Read two hours: at random, from start to end, and into a cache."""
    path = folder / "long.mp4"
    count = HOURS * 3600 * RATE
    _write_long(path, count)
    watch = _Watch()
    info = reading.probe(path)
    _check(info.frames == count, f"{info.frames} frames")
    picks = np.array(random.Random(seed).sample(range(count), 40))
    found = numbers_of(reading.read_frames(path, np.sort(picks)[:20]))
    _check(found == (np.sort(picks)[:20] % 1024).tolist(), "sorted picks")
    for pick in picks[20:]:
        found = numbers_of(reading.read_frames(path, [pick]))
        _check(found == [pick % 1024], f"frame {pick}")
        watch.look(True)
    for number, frame in enumerate(reading.iter_frames(path)):
        if number % 500 == 0:
            _check(numbers_of([frame]) == [number % 1024], f"at {number}")
            watch.look(number > 5000)
    return {"frames": count, **watch.facts()}


def _large(folder: Path, seed: int) -> dict[str, Any]:
    """Read and extract 4K."""
    del seed
    path = folder / "large.mp4"
    frames = numbered(range(8), 2160, 3840)
    videos.write_video(path, frames, preset="ultrafast")
    watch = _Watch()
    found = reading.read_frames(path)
    _check(numbers_of(found) == list(range(8)), "frames")
    _check(numbers_of(reading.read_frames(path, [5])) == [5], "one frame")
    contract = Contract.of(ClipSpec(frame_rate=None))
    summary = extract(path, folder / "cache", contract, workers=1)
    _check(summary.frames == 8 and summary.flows == 7, summary.failed)
    watch.look(True)
    return {"size": list(found.shape[1:3]), **watch.facts()}


def _classes(folder: Path, seed: int) -> dict[str, Any]:
    """List and cut clips of a thousand classes, as folders and as a list."""
    del seed
    root = folder / "videos"
    first = None
    for kind in range(CLASSES):
        (root / f"class{kind:04}").mkdir(parents=True)
        path = root / f"class{kind:04}" / "a.mp4"
        if first is None:
            videos.write_video(path, numbered([1, 2, 3], 24, 40))
            first = path
        else:
            os.link(first, path)
    found = read_annotations(root)
    _check(found.labels == list(range(CLASSES)), "labels")
    rows = "".join(
        f"{Path(item.path).parent.name}/a.mp4,{Path(item.path).parent.name}\n"
        for item in found.items
    )
    (root / "list.csv").write_text("path,label\n" + rows)
    listed = read_annotations(root / "list.csv")
    _check(listed.classes == found.classes, "classes")
    _check(listed.labels == found.labels, "labels of the list")
    return {"classes": len(found.classes)}


SIZES: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "10,000 short videos": _many,
    "a video of two hours": _long,
    "4K": _large,
    "1,000 classes": _classes,
}


# === Frames that carry their number ===


def numbered(numbers, height: int, width: int) -> np.ndarray:
    """Return frames with their number, modulo 1024, in ten blocks."""
    bits = np.asarray(numbers)[:, None] % 1024 >> np.arange(10) & 1
    frames = np.full((len(bits), height, width, 3), 128, np.uint8)
    top = np.repeat(bits * 235, width // 10, axis=1).astype(np.uint8)
    frames[:, : height // 2, : width // 10 * 10] = top[:, None, :, None]
    return frames


def numbers_of(frames) -> list[int]:
    """Return the numbers, modulo 1024, that frames carry."""
    found = []
    for frame in frames:
        height, width = frame.shape[:2]
        columns = (np.arange(10) * (width // 10) + width // 20).astype(int)
        bits = frame[height // 4, columns].mean(axis=-1) > 128
        found.append(int((bits << np.arange(10)).sum()))
    return found


def _write_long(path: Path, count: int) -> None:
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "g": "50", "qp": "20"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.height, stream.width, stream.pix_fmt = 32, 80, "yuv420p"
        for number in range(count):
            (image,) = numbered([number], 32, 80)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


# === Memory and descriptors ===


class _Watch:
    """Memory and open files of this process, early and late."""

    def __init__(self) -> None:
        self._early = self._late = (0, 0)
        self._began = time.monotonic()
        self._count = 0

    def look(self, late: bool) -> None:
        """Note the most that is in use in the early or the late part."""
        self._count += 1
        if self._count % 50 and not late:
            return
        if late and self._count % 20:
            return
        name = "_late" if late else "_early"
        setattr(self, name, max(getattr(self, name), _in_use()))

    def facts(self) -> dict[str, Any]:
        """Return what was seen; refuse memory or files that grow."""
        now = _in_use()
        late = max(self._late, now)
        early = self._early if any(self._early) else late
        grown = late[0] - early[0]
        _check(grown < _GROWTH, f"memory grew by {grown / 1e6:.0f} MB")
        _check(late[1] <= early[1] + 4, f"descriptors: {early[1]}, {late[1]}")
        return {
            "MB": round(late[0] / 1e6),
            "MB grown": round(max(grown, 0) / 1e6),
            "descriptors": late[1],
        }


def _in_use() -> tuple[int, int]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd"))


def _check(fine: bool, text: object) -> None:
    if not fine:
        raise AssertionError(text)
