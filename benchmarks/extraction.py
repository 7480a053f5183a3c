"""What `extract` costs beside its parts timed one by one.

    python benchmarks/extraction.py VIDEO [--frames 60]

Decoding, flow, encoding and writing are each timed alone over the same
frames, and then `pack_video`, which does them all. Times are those of the
processor, on one thread, so that other work on the machine disturbs little;
the best of the rounds counts. The last column is the sum of the parts over
the whole.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_twostream import ClipSpec, flow
from keras_twostream._opencv import cv2
from keras_twostream.data import iter_frames
from keras_twostream.data.cache import Contract, _images, _packing, pack_video

ROUNDS = 4
ALGORITHMS = ("dis", "farneback")
SIZE = (256, 340)


def fastest(jobs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The least processor time of each job, taken in turns."""
    times = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            start = time.process_time()
            job()
            times[name].append(time.process_time() - start)
    return {name: min(found) for name, found in times.items()}


def decode(video: Path, count: int) -> list[np.ndarray]:
    frames = iter_frames(video, resize_to=SIZE)
    return list(itertools.islice(frames, count))


def encode(frames, fields, contract: Contract) -> None:
    for frame in frames:
        _images.pack_frame(frame, contract)
    for field in fields:
        _images.pack_field(field, contract)


def row(video: Path, count: int, algorithm: str) -> str:
    spec = ClipSpec(resize_to=SIZE, frame_rate=None, flow_algorithm=algorithm)
    contract = Contract.of(spec)
    frames = decode(video, count)
    fields = flow.compute(np.stack(frames), algorithm)
    stack = np.stack(frames)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "v.safetensors"
        times = fastest(
            {
                "decode": lambda: decode(video, count),
                "flow": lambda: flow.compute(stack, algorithm),
                "encode": lambda: encode(frames, fields, contract),
                "extract": lambda: pack_video(video, target, contract, "v"),
            }
        )
        size = target.stat().st_size
    whole = times["extract"]
    each = " | ".join(f"{1000 * t / count:.2f}" for t in times.values())
    share = (sum(times.values()) - whole) / whole
    return f"| {algorithm} | {each} | {size / count / 1024:.1f} | {share:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=60)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    limit = options.frames

    def few(*arguments, **settings):
        return itertools.islice(iter_frames(*arguments, **settings), limit)

    # Only the first frames of the video, in the parts and in the whole.
    _packing._video.iter_frames = few
    _packing._verify = lambda *arguments: None
    print("| flow | decode | flow | encode | extract | KiB | parts/extract |")
    print("|---|---|---|---|---|---|---|")
    for algorithm in ALGORITHMS:
        print(row(options.video, limit, algorithm), flush=True)


if __name__ == "__main__":
    main()
