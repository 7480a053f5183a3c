"""What `extract` costs beside its parts, and beside a plain OpenCV loop.

    python benchmarks/extraction.py VIDEO [--frames 60] [--flow dis farneback]
    python benchmarks/extraction.py VIDEO --rates dis farneback tvl1
    python benchmarks/extraction.py VIDEO --memory 64 128 256
    python benchmarks/extraction.py VIDEO --sizes

Decoding, flow, encoding and writing are each timed alone over the same
frames, and then `pack_video`, which does them all, and the loop that
mmaction2's Python extractor runs: OpenCV decodes, computes, and writes three
JPEGs a frame. Times are those of the processor, on one thread, so that other
work on the machine disturbs little; the best of the rounds counts.

`--rates` goes by the clock instead, with two processes: what `extract` does
with copies of the video, start of its processes included, beside what the
parts allow, each timed alone.
"""

import argparse
import itertools
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_twostream import ClipSpec, flow
from keras_twostream._opencv import cv2
from keras_twostream.data import iter_frames
from keras_twostream.data.cache import Contract, images, pack_video, packing
from keras_twostream.data.extraction import extract

ROUNDS = 3
PROCESSES, COPIES = 2, {"dis": 8, "farneback": 8, "tvl1": 1}
SIZE = (256, 340)
BOUND = 20.0
ENCODINGS = (("jpeg", 8), ("jpeg", 16), ("png", 8), ("png", 16))
ENCODINGS += (("raw", 8), ("raw", 16))
RATE = 25.0  # frames per second, to speak of sizes


def fastest(
    jobs: dict[str, Callable[[], object]],
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """The least time of each job, taken in turns."""
    times = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            start = clock()
            job()
            times[name].append(clock() - start)
    return {name: min(found) for name, found in times.items()}


def decode(video: Path, count: int) -> list[np.ndarray]:
    frames = iter_frames(video, resize_to=SIZE)
    return list(itertools.islice(frames, count))


def encode(frames, fields, contract: Contract) -> None:
    for frame in frames:
        images.pack_frame(frame, contract)
    for field in fields:
        images.pack_field(field, contract)


def plain_loop(video: Path, count: int, algorithm: str, out: Path) -> None:
    """What people write by hand, with the same solver."""
    capture = cv2.VideoCapture(str(video))
    solver = SOLVERS[algorithm]()
    previous = None
    for number in range(count):
        _, frame = capture.read()
        frame = cv2.resize(frame, SIZE[::-1])
        write(out / f"img_{number:05d}.jpg", frame)
        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        if previous is not None:
            field = solver(previous, grey)
            levels = np.rint((field.clip(-BOUND, BOUND) + BOUND) * 6.375)
            levels = levels.astype(np.uint8)
            write(out / f"x_{number:05d}.jpg", levels[..., 0])
            write(out / f"y_{number:05d}.jpg", levels[..., 1])
        previous = grey


def write(path: Path, image: np.ndarray) -> None:
    cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 95])


def dis() -> Callable:
    solver = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return lambda first, second: solver.calc(first, second, None)


def farneback() -> Callable:
    settings = (0.5, 5, 15, 3, 5, 1.2, 0)
    return lambda first, second: cv2.calcOpticalFlowFarneback(
        first, second, None, *settings
    )


SOLVERS = {"dis": dis, "farneback": farneback}


def row(video: Path, count: int, algorithm: str) -> str:
    spec = ClipSpec(resize_to=SIZE, frame_rate=None, flow_algorithm=algorithm)
    contract = Contract.of(spec)
    stack = np.stack(decode(video, count))
    fields = flow.compute(stack, algorithm)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "v.safetensors"
        jobs = {
            "decode": lambda: decode(video, count),
            "flow": lambda: flow.compute(stack, algorithm),
            "encode": lambda: encode(stack, fields, contract),
            "extract": lambda: pack_video(video, target, contract, "v"),
        }
        if algorithm in SOLVERS:
            jobs["loop"] = lambda: plain_loop(
                video, count, algorithm, Path(folder)
            )
        times = fastest(jobs)
    whole, loop = times["extract"], times.pop("loop", float("nan"))
    share = (sum(times.values()) - whole) / whole
    each = " | ".join(f"{1000 * t / count:.2f}" for t in times.values())
    return (
        f"| {algorithm} | {each} | {share:.2f} | {1000 * loop / count:.2f} "
        f"| {loop / whole:.2f} |"
    )


def rate_row(video: Path, algorithm: str) -> str:
    """Frames a second of `extract`, and what its parts allow."""
    spec = ClipSpec(resize_to=SIZE, frame_rate=None, flow_algorithm=algorithm)
    contract, copies = Contract.of(spec), COPIES[algorithm]
    frames = np.stack(list(iter_frames(video, resize_to=SIZE)))
    fields = flow.compute(frames, algorithm)
    with tempfile.TemporaryDirectory() as folder:
        videos = Path(folder) / "videos"
        videos.mkdir()
        for number in range(copies):
            shutil.copy(video, videos / f"{number}{video.suffix}")

        def whole():
            out = Path(folder) / "cache"
            extract(videos, out, contract, workers=min(PROCESSES, copies))
            shutil.rmtree(out)

        times = fastest(
            {
                "decode": lambda: list(iter_frames(video, resize_to=SIZE)),
                "flow": lambda: flow.compute(frames, algorithm),
                "encode": lambda: encode(frames, fields, contract),
                "extract": whole,
            },
            time.perf_counter,
        )
    reached = copies * len(frames) / times.pop("extract")
    # In-graph flow takes both processors by itself.
    allowed = min(PROCESSES, copies) * len(frames) / sum(times.values())
    return (
        f"| {algorithm} | {reached:.1f} | {allowed:.1f} "
        f"| {reached / allowed:.2f} |"
    )


def only(count: int) -> None:
    """Makes the first frames all that a video has."""

    def few(*arguments, **settings):
        return itertools.islice(iter_frames(*arguments, **settings), count)

    packing.reading.iter_frames = few
    packing._verify = lambda *arguments: None


def peak(video: Path, count: int, pipe) -> None:
    """Sends the peak memory of extracting some frames, in MiB."""
    cv2.setNumThreads(1)
    only(count)
    contract = Contract.of(ClipSpec(resize_to=SIZE, frame_rate=None))
    with tempfile.TemporaryDirectory() as folder:
        pack_video(video, Path(folder) / "v.safetensors", contract, "v")
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def memory_row(video: Path, count: int) -> str:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=peak, args=(video, count, theirs))
    process.start()
    process.join()
    return f"| {count} | {ours.recv():.0f} |"


def size_rows(video: Path, count: int) -> list[str]:
    """KiB per second of video, and what encoding does to the flow."""
    frames = decode(video, count)
    fields = flow.compute(np.stack(frames), "dis")
    jpegs = sum(
        len(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])
        for image in loose_images(frames, fields)
    )
    rows = [f"| folders of JPEGs | {jpegs / count * RATE / 1024:.0f} | |"]
    for encoding, bits in ENCODINGS:
        spec = ClipSpec(resize_to=SIZE, frame_rate=None)
        contract = Contract.of(spec, bits, encoding)
        packed = [images.pack_field(field, contract) for field in fields]
        total = sum(map(len, packed))
        total += sum(len(images.pack_frame(f, contract)) for f in frames)
        errors = [
            np.abs(unpacked(payload, contract) - field.clip(-BOUND, BOUND))
            for payload, field in zip(packed, fields, strict=True)
        ]
        rows.append(
            f"| {encoding}, flow {contract.flow_encoding} of {bits} bits "
            f"| {total / count * RATE / 1024:.0f} | {np.mean(errors):.4f} |"
        )
    return rows


def unpacked(payload: bytes, contract: Contract) -> np.ndarray:
    content = np.frombuffer(payload, np.uint8)
    levels = images.unpack_levels(content, SIZE, contract)
    field = np.empty((*SIZE, 2), np.float32)
    images.to_pixels(levels, contract, field)
    return field


def loose_images(frames, fields) -> list[np.ndarray]:
    levels = flow.encode(np.stack(fields), BOUND, 8)
    bgr = [np.ascontiguousarray(frame[..., ::-1]) for frame in frames]
    return [*bgr, *levels[..., 0], *levels[..., 1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--flow", nargs="+", default=list(SOLVERS))
    parser.add_argument("--rates", nargs="+", choices=COPIES)
    parser.add_argument("--memory", nargs="+", type=int)
    parser.add_argument("--sizes", action="store_true")
    options = parser.parse_args()
    if options.memory:
        print("| frames | peak MiB |\n|---|---|")
        for count in options.memory:
            print(memory_row(options.video, count), flush=True)
        return
    if options.sizes:
        print("| encoding | KiB/s | error, px |\n|---|---|---|")
        print("\n".join(size_rows(options.video, options.frames)))
        return
    cv2.setNumThreads(1)
    if options.rates:
        print("| flow | frames/s | allowed | share |\n|---|---|---|---|")
        for algorithm in options.rates:
            print(rate_row(options.video, algorithm), flush=True)
        return
    only(options.frames)
    print("| flow | decode | flow | encode | extract | share | loop | times |")
    print("|---|---|---|---|---|---|---|---|")
    for algorithm in options.flow:
        print(row(options.video, options.frames, algorithm), flush=True)


if __name__ == "__main__":
    main()
