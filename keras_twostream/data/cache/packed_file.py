"""The packed file of one video, written in one pass, with random access."""

import dataclasses
import functools
import hashlib
import json
import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from keras_twostream._schema import Rule, check
from keras_twostream.data.cache import addresses
from keras_twostream.data.cache.contract import LARGEST_SIDE, Contract
from keras_twostream.errors import SpecError, VideoError

PACKED_SUFFIX = ".safetensors"
_LENGTH = struct.Struct("<Q")
_END = 64 * 1024  # bytes at either end of a video that identify it
_LARGEST = 2**53  # placeholder for numbers not known yet
_LONGEST_HEADER = 10**6
_DAMAGED = (
    AttributeError,
    KeyError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
_ABOUT = {
    "contract": Rule(dict),
    "source": Rule(str),
    "fingerprint": Rule(str),
    "truncated": Rule(bool),
    "size": Rule(list, item=int, length=2, low=1, high=LARGEST_SIDE),
    "frames": Rule(int, low=1, high=2**40),
}


def is_packed(path: str | os.PathLike) -> bool:
    """Return whether a path names a packed file."""
    return os.fspath(path).endswith(PACKED_SUFFIX)


def fingerprint(path: str | os.PathLike) -> str:
    """Return size and CRC of the ends of a file or URL, to recognise it."""
    size = addresses.size(os.fspath(path))
    with addresses.open_binary(path) as file:
        crc = zlib.crc32(file.read(_END))
        file.seek(max(size - _END, 0))
        crc = zlib.crc32(file.read(_END), crc)
    return f"{size}-{crc:08x}"


def checksum(path: Path) -> str:
    """Return the sha256 of a packed file, as its manifest has it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclasses.dataclass(frozen=True)
class Packed:
    """A packed file's metadata and index.

    Attributes:
        path: The file.
        contract: Contract under which its content was made.
        source: The video it was made of, relative to the data set.
        fingerprint: Fingerprint of that video, see `fingerprint`.
        truncated: Whether that video is shorter than its header states.
        size: (height, width) of its frames.
        frames: Frames on the timeline, flow included.
        rgb: (N, 2) start in the file and length of each frame; may be empty.
        flow: (N-1, 2) start and length of each flow field; may be empty.
    """

    path: str
    contract: Contract
    source: str
    fingerprint: str
    truncated: bool
    size: tuple[int, int]
    frames: int
    rgb: np.ndarray
    flow: np.ndarray

    def payloads(self, places: np.ndarray) -> list[np.ndarray]:
        """Return the bytes at rows of `rgb` or `flow`, each a uint8 array.

        The arrays are mapped: only the parts that are used are read.
        """
        with open(self.path, "rb") as file:
            view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        content = np.frombuffer(view, np.uint8)
        return [
            content[start : start + length] for start, length in places.tolist()
        ]


class PackedWriter:
    """A writer of one packed file, from start to end.

    Space for the header is reserved at the start and filled at the end.

    Args:
        file: A file open for writing, at its start.
        metadata: JSON values of the header, except for the counts.
    """

    def __init__(self, file: BinaryIO, metadata: dict[str, Any]) -> None:
        self._file, self._metadata = file, metadata
        self._rows: dict[str, list[tuple[int, int]]] = {"rgb": [], "flow": []}
        self._written = 0
        self._room = len(_header(metadata, _LARGEST, _LARGEST, _LARGEST))
        self._room += -self._room % 8
        file.write(b" " * (_LENGTH.size + self._room))

    def append(self, stream: str, payload: bytes) -> None:
        """Add the next frame ("rgb") or field ("flow")."""
        self._file.write(payload)
        self._rows[stream].append((self._written, len(payload)))
        self._written += len(payload)

    def count(self, stream: str) -> int:
        """Return how many frames or fields were added."""
        return len(self._rows[stream])

    def finish(self) -> None:
        """Write the index and the header."""
        padding = -self._written % 8
        self._file.write(b"\0" * padding)
        for stream in ("rgb", "flow"):
            rows = np.array(self._rows[stream], "<i8").reshape(-1, 2)
            self._file.write(rows.tobytes())
        header = _header(
            self._metadata,
            self._written + padding,
            self.count("rgb"),
            self.count("flow"),
        )
        self._file.seek(0)
        self._file.write(_LENGTH.pack(self._room))
        self._file.write(header.ljust(self._room))


def _header(metadata: dict[str, Any], size: int, rgb: int, flow: int) -> bytes:
    ends = [size, size + 16 * rgb, size + 16 * (rgb + flow)]
    content = {
        "__metadata__": {"keras_twostream": json.dumps(metadata)},
        "bytes": _tensor("U8", [size], [0, ends[0]]),
        "rgb": _tensor("I64", [rgb, 2], ends[:2]),
        "flow": _tensor("I64", [flow, 2], ends[1:]),
    }
    return json.dumps(content).encode("utf-8")


def _tensor(dtype: str, shape: list[int], offsets: list[int]) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


# === Reading ===


def open_packed(path: str | os.PathLike) -> Packed:
    """Return a packed file's index, cached until the file changes.

    Raises:
        VideoError: If the file is missing, or damaged.
        SpecError: If it was made by a newer version of the library.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise VideoError(
            f"Cannot read {path}: {error.strerror or error}. Check the path."
        ) from error
    return _open(os.fspath(path), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _open(path: str, size: int, modified: int) -> Packed:
    del modified  # it only tells the function's cache that the file changed
    try:
        with open(path, "rb") as file:
            header, start = _read_header(file)
            rgb, flow = (
                _read_index(file, header[name], start, size)
                for name in ("rgb", "flow")
            )
        about = check(
            json.loads(header["__metadata__"]["keras_twostream"]),
            _ABOUT,
            path,
            VideoError,
        )
        contract = Contract.from_json(about.pop("contract"), path)
        about["size"] = tuple(about["size"])
        return Packed(path=path, contract=contract, rgb=rgb, flow=flow, **about)
    except SpecError:
        raise
    except (*_DAMAGED, VideoError) as error:
        raise VideoError(
            f"Cannot read {path}: it is not a packed video, or damaged "
            f"({type(error).__name__}: {error}). Delete it and extract again."
        ) from error


def _read_header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
    if length > _LONGEST_HEADER:
        raise OSError("its header is too long")
    header = json.loads(file.read(length))
    return header, _LENGTH.size + length


def _read_index(
    file: BinaryIO, tensor: dict[str, Any], start: int, size: int
) -> np.ndarray:
    first, last = tensor["data_offsets"]
    count = tensor["shape"][0]
    inside = 0 <= first <= last <= size - start
    if not inside or last - first != 16 * count:
        raise OSError("its end is missing")
    file.seek(start + first)
    rows = np.frombuffer(file.read(16 * count), "<i8").reshape(-1, 2).copy()
    rows[:, 0] += start
    outside = (rows < 0) | (rows > size)
    if outside.any() or (rows.sum(axis=1) > size).any():
        raise OSError("its index points outside the file")
    return rows


def packed_path(folder: Path, source: str) -> Path:
    """Return the path of a video's packed file in a cache.

    Raises:
        SpecError: If the name leads out of the cache.
    """
    path = Path(source + PACKED_SUFFIX)
    if path.anchor or ".." in path.parts:
        raise SpecError(
            f"A cache has no place for a video called {source!r}: the name "
            "leads out of its folder. Name videos by their paths below one "
            "folder, without a / in front and without '..'."
        )
    return folder / path
