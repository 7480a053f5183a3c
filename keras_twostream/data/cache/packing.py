"""Packing of a video file: decoded once, in constant memory."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from keras_twostream import _files, flow
from keras_twostream.data.cache import images, packed_file
from keras_twostream.data.cache.contract import Contract
from keras_twostream.data.cache.folder import Entry
from keras_twostream.data.video import READER_VERSION, packets, reading
from keras_twostream.data.video.resizing import fitted_size, sizing
from keras_twostream.errors import VideoError
from keras_twostream.spec import IN_GRAPH_FLOW

_BLOCK = 2**20  # bytes that a checksum reads at once
CHUNK = 32  # frames held at once, and pairs in a batch of in-graph flow
FEW = 4  # of flow that is computed pair by pair: a run that is stopped waits

Report = Callable[[int], None]


def pack_video(
    video: str | os.PathLike,
    target: Path,
    contract: Contract,
    source: str,
    report: Report = lambda frames: None,
) -> Entry:
    """Write the frames and flow of one video, and verify their counts.

    Args:
        video: The file.
        target: The packed file; it appears only when it is complete.
        contract: Contract of the cache.
        source: The video's name in the data set.
        report: Function called with the number of frames just finished.

    Returns:
        The video's line for the manifest.

    Raises:
        VideoError: If the video cannot be read to its end.
        OSError: If the packed file cannot be written.
    """
    scan = packets.scan_video(video)
    expected = len(scan.timeline(contract.frame_rate))
    info = reading.probe(video)
    mark = packed_file.fingerprint(video)
    side = fitted_size((info.height, info.width), **sizing(contract))
    about: dict[str, Any] = {
        "contract": {**contract.to_json(), "reader": READER_VERSION},
        "source": source,
        "fingerprint": mark,
        "truncated": scan.truncated,
        "size": side,
        "frames": expected,
    }
    with _files.writing(target) as file:
        writer = packed_file.PackedWriter(file, about)
        frames = _write(video, writer, contract, report)
        _verify(video, frames, expected, writer, contract)
        writer.finish()
        size, checksum = _checksum(file)
    return Entry(
        source=source,
        fingerprint=mark,
        frames=frames,
        flows=writer.count("flow"),
        size=side,
        bytes=size,
        sha256=checksum,
        truncated=scan.truncated,
    )


def _write(
    video: str | os.PathLike[str],
    writer: packed_file.PackedWriter,
    contract: Contract,
    report: Report,
) -> int:
    frames = reading.iter_frames(
        video,
        rate=contract.frame_rate,
        **sizing(contract),
    )
    done = 0
    previous: list[np.ndarray] = []
    in_graph = "flow" in contract.streams and (
        contract.flow_algorithm in IN_GRAPH_FLOW
    )
    for chunk in _chunks(frames, CHUNK if in_graph else FEW):
        if "rgb" in contract.streams:
            for frame in chunk:
                writer.append("rgb", images.pack_frame(frame, contract))
        if "flow" in contract.streams:
            for field in _fields(previous + chunk, contract):
                writer.append("flow", images.pack_field(field, contract))
        previous = chunk[-1:]
        done += len(chunk)
        report(len(chunk))
    return done


def _chunks(
    frames: Iterator[np.ndarray], size: int
) -> Iterator[list[np.ndarray]]:
    chunk = []
    for frame in frames:
        chunk.append(frame)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _fields(frames: list[np.ndarray], contract: Contract) -> np.ndarray:
    return flow.compute(
        np.stack(frames), contract.flow_algorithm, **contract.flow_parameters
    )


def _verify(
    video: str | os.PathLike[str],
    frames: int,
    expected: int,
    writer: packed_file.PackedWriter,
    contract: Contract,
) -> None:
    if frames != expected:
        raise VideoError(
            f"Cannot extract {video}: {frames} of its {expected} frames can "
            "be decoded; the file is damaged. Download it again, or repair "
            f"it: ffmpeg -i {video} repaired.mp4"
        )
    wanted = {"rgb": frames, "flow": frames - 1}
    for stream in contract.streams:
        if writer.count(stream) != wanted[stream]:
            raise VideoError(
                f"Cannot extract {video}: {wanted[stream]} items of stream "
                f"{stream!r} were expected, {writer.count(stream)} written."
            )


def _checksum(file: BinaryIO) -> tuple[int, str]:
    file.flush()
    file.seek(0)
    checksum = hashlib.sha256()
    while block := file.read(_BLOCK):
        checksum.update(block)
    return file.tell(), checksum.hexdigest()
