"""A reader of TensorFlow checkpoints, without TensorFlow.

The index file is a table of LevelDB's format (google/leveldb,
doc/table_format.md). For each tensor it holds a BundleEntryProto
(tensorflow/core/protobuf/tensor_bundle.proto) with the type, shape, place and
CRC32C of the bytes in the data file. So a pinned index protects the data too.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _wire
from keras_twostream.pretrained._crc32c import crc32c, masked

_DATA = "data-00000-of-00001"
_LARGEST_INDEX = 1 << 26  # bytes
# tensorflow/core/framework/types.proto
_DTYPES = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    4: np.dtype("u1"),
    5: np.dtype("<i2"),
    6: np.dtype("i1"),
    9: np.dtype("<i8"),
    10: np.dtype("?"),
    14: np.dtype(ml_dtypes.bfloat16),
    17: np.dtype("<u2"),
    19: np.dtype("<f2"),
    22: np.dtype("<u4"),
    23: np.dtype("<u8"),
}
_STRING = 7  # how Keras keeps the graph of its objects


def read(index: Path, data: Path | None = None) -> dict[str, np.ndarray]:
    """Read all tensors of numbers from a checkpoint of one shard.

    Args:
        index: The .index file.
        data: The .data-00000-of-00001 file; beside the index when None.

    Returns:
        Arrays by TensorFlow's names.

    Raises:
        WeightsError: If a file is damaged or missing.
    """
    data = data or index.with_name(f"{index.stem}.{_DATA}")
    if not data.is_file():
        raise WeightsError(
            f"The checkpoint {index} needs its data beside it: {data} is "
            "missing."
        )
    try:
        with open(data, "rb") as file:
            size = data.stat().st_size
            return {
                entry.name: _tensor(entry, file, size)
                for entry in _entries(index)
                if entry.dtype != _STRING
            }
    except (ValueError, OSError) as error:
        raise WeightsError(
            f"The checkpoint {index} is damaged: {error}. A tensor's bytes "
            "must match the CRC32C in the index. Download it again with "
            "`keras-twostream weights pull --force`."
        ) from error


# === Entries and tensors ===


class _Entry(NamedTuple):
    """A BundleEntryProto, under its tensor's name."""

    name: str
    dtype: int
    shape: tuple[int, ...]
    offset: int
    size: int
    checksum: int


def _entries(index: Path) -> Iterator[_Entry]:
    """Yield the index's entries; the first row of its table is a header."""
    if index.stat().st_size > _LARGEST_INDEX:
        raise ValueError(f"its index is larger than {_LARGEST_INDEX} bytes")
    for key, value in _rows(memoryview(index.read_bytes())):
        if key:
            # Names of slices are no text, but the whole's entry is refused.
            yield _entry(key.decode(errors="replace"), value)
        else:
            _check_header(value)


def _check_header(message: memoryview) -> None:
    """Refuse what a BundleHeaderProto may say of data that is not read."""
    values = {x.number: x.value for x in _wire.fields(message)}
    if values.get(1, 0) != 1:
        raise ValueError(f"it has {values.get(1, 0)} data files, and not one")
    if values.get(2, 0):
        raise ValueError("its numbers have their highest byte first")


def _entry(name: str, message: memoryview) -> _Entry:
    numbers: dict[int, int] = {}
    shape: tuple[int, ...] = ()
    for field in _wire.fields(message):
        if field.number == 2:
            shape = tuple(map(_length, _messages(field.data, 2)))
        elif field.number == 7:
            raise ValueError(f"{name} is kept in slices, which are not read")
        elif field.wire == _wire.FOUR_BYTES:
            numbers[field.number] = int.from_bytes(field.data, "little")
        else:
            numbers[field.number] = field.value
    dtype, offset, size, checksum = (numbers.get(n, 0) for n in (1, 4, 5, 6))
    return _Entry(name, dtype, shape, offset, size, checksum)


def _messages(message: memoryview, number: int) -> Iterator[memoryview]:
    for field in _wire.fields(message):
        if field.number == number:
            yield field.data


def _length(dimension: memoryview) -> int:
    """Return the length in a TensorShapeProto.Dim; zero is not written."""
    values = {x.number: x.value for x in _wire.fields(dimension)}
    return values.get(1, 0)


def _tensor(entry: _Entry, file: BinaryIO, available: int) -> np.ndarray:
    dtype = _DTYPES.get(entry.dtype)
    if dtype is None:
        raise ValueError(f"{entry.name} is of the type number {entry.dtype}")
    if entry.size != math.prod(entry.shape) * dtype.itemsize:
        raise ValueError(f"{entry.name} has {entry.size} bytes")
    if entry.offset + entry.size > available:
        raise ValueError(f"{entry.name} lies beyond the end of its data")
    file.seek(entry.offset)
    content = bytearray(file.read(entry.size))
    if masked(crc32c(content)) != entry.checksum:
        raise ValueError(f"the bytes of {entry.name} are not those written")
    return np.frombuffer(content, dtype).reshape(entry.shape)


# === LevelDB's table ===

_FOOTER, _TRAILER = 48, 5
_MAGIC = bytes.fromhex("57fb808b247547db")


def _rows(table: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the keys and values of a table, in their order."""
    footer = table[-_FOOTER:]
    if len(footer) < _FOOTER or footer[-len(_MAGIC) :] != _MAGIC:
        raise ValueError("its index does not end as one")
    _, place = _handle(footer, 0)  # of what describes the table itself
    handle, _ = _handle(footer, place)
    for _, value in _block(table, handle):
        handle, _ = _handle(value, 0)
        yield from _block(table, handle)


def _handle(data: memoryview, place: int) -> tuple[tuple[int, int], int]:
    """Return a block's offset and size, and the position after them."""
    offset, place = _wire.varint(data, place)
    size, place = _wire.varint(data, place)
    return (offset, size), place


def _block(
    table: memoryview, handle: tuple[int, int]
) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the rows of a block; a key begins as the one before it."""
    content = _content(table, *handle)
    restarts = int.from_bytes(content[-4:], "little")
    end = len(content) - 4 * (restarts + 1)
    place, key = 0, b""
    while place < end:
        shared, place = _wire.varint(content, place)
        own, place = _wire.varint(content, place)
        length, place = _wire.varint(content, place)
        if shared > len(key) or own + length > end - place:
            raise ValueError("its index is cut off")
        key = key[:shared] + content[place : place + own]
        place += own
        yield key, content[place : place + length]
        place += length


def _content(table: memoryview, offset: int, size: int) -> memoryview:
    """Return the bytes of a block that its checksum agrees with."""
    end = offset + size
    if end + _TRAILER > len(table):
        raise ValueError("its index is cut off")
    kind, checksum = table[end], table[end + 1 : end + _TRAILER]
    actual = masked(crc32c(table[offset : end + 1]))
    if actual != int.from_bytes(checksum, "little"):
        raise ValueError("the bytes of its index are not those written")
    if kind:
        raise ValueError("its index is compressed, which TensorFlow never does")
    return table[offset:end]
