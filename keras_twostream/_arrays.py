"""Arrays from files that may be damaged, or forged to take all memory."""

import contextlib
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream.errors import TwoStreamError

ARRAYS_LIMIT = "KERAS_TWOSTREAM_MAX_UNPACKED"
_DEFAULT_LIMIT = 100  # bytes of arrays, for each byte of their file
_FREE = 2**26  # bytes of arrays that any file may hold
_PIECE = 2**20  # bytes that are unpacked at once to be counted

# MAT-File Level 5: what stands before the variables, and the type of one that
# is compressed (MAT-File Format, tables 1-1 and 1-2).
_MATLAB_HEADER = 128
_COMPRESSED = 15


def read_arrays(
    path: str | os.PathLike,
    error: type[TwoStreamError],
    advice: str = "Delete it, or copy it again from where it came.",
) -> dict[str, np.ndarray]:
    """Return all arrays of an .npz file.

    Nothing pickled is read, and the unpacked size is bounded before memory is
    taken.

    Raises:
        TwoStreamError: Raised as `error`, if it is missing, damaged or too
            large when it is unpacked.
    """
    path = Path(path)
    with whole(path, error, advice):
        check_unpacked(path, error)
        with np.load(path, allow_pickle=False) as file:
            return dict(file)


@contextlib.contextmanager
def whole(
    path: str | os.PathLike, error: type[TwoStreamError], advice: str
) -> Iterator[None]:
    """Turn any error of reading one file into one that names it.

    Raises:
        TwoStreamError: Raised as `error`, in place of any other `Exception`.
    """
    try:
        yield
    except TwoStreamError as cause:
        if os.fspath(path) in str(cause):
            raise
        raise error(f"{path}: {cause}") from cause
    except Exception as cause:  # a damaged file raises anything
        raise error(
            f"{path} cannot be read: it is missing or damaged "
            f"({type(cause).__name__}: {str(cause)[:200]}). {advice}"
        ) from cause


def check_unpacked(path: Path, error: type[TwoStreamError]) -> None:
    """Refuse an archive that unpacks to far more than any of its kind.

    Raises:
        TwoStreamError: Raised as `error`.
        zipfile.BadZipFile: If it is no archive.
    """
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > _most(path, error):
        needed = unpacked // os.path.getsize(path) + 1
        raise _too_large(path, f"{unpacked / 1e6:,.0f} MB", needed, error)


def read_matlab(
    path: str | os.PathLike, error: type[TwoStreamError]
) -> dict[str, Any]:
    """Return the variables of a .mat file, as `scipy.io.loadmat` does.

    Its compressed variables are unpacked in pieces first, and counted, for
    such a file does not state their size.

    Args:
        path: A .mat file up to MATLAB's version 7.
        error: The error's class.

    Raises:
        TwoStreamError: Raised as `error`, if it is too large when it is
            unpacked.
        Exception: Whatever SciPy raises of a damaged file.
    """
    import scipy.io

    path, unpacked = Path(path), 0
    most = _most(path, error)
    for piece in _inflated(path.read_bytes()):
        unpacked += piece
        if unpacked > most:  # how much more it is, nobody has counted
            needed = 10 * _limit(error)
            raise _too_large(path, "an unstated size", needed, error)
    return scipy.io.loadmat(path)


def _inflated(content: bytes) -> Iterator[int]:
    """Yield the bytes of each piece of a MATLAB 5 file's variables."""
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    place = _MATLAB_HEADER
    while order and place + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        body = content[place + 8 : place + 8 + size]
        place += 8 + size
        if kind != _COMPRESSED:
            yield len(body)
            continue
        stream = zlib.decompressobj()
        while body and not stream.eof:
            yield len(stream.decompress(body, _PIECE))
            body = stream.unconsumed_tail


def _most(path: Path, error: type[TwoStreamError]) -> int:
    return max(_FREE, _limit(error) * os.path.getsize(path))


def _too_large(
    path: Path, size: str, needed: int, error: type[TwoStreamError]
) -> TwoStreamError:
    return error(
        f"{path} would unpack to {size}, more than "
        f"{_most(path, error) / 1e6:,.0f} MB. If you trust the file, raise "
        f"the limit of bytes for each of its bytes: {ARRAYS_LIMIT}={needed}"
    )


def _limit(error: type[TwoStreamError]) -> int:
    text: Any = os.environ.get(ARRAYS_LIMIT, "").strip() or _DEFAULT_LIMIT
    if not str(text).isdecimal() or int(text) < 1:
        raise error(
            f"The environment variable {ARRAYS_LIMIT} must be a number above "
            f"0. Received: {text!r}"
        )
    return int(text)


def bytes_of(values: np.ndarray) -> memoryview:
    """Return an array's bytes, of bfloat16 too, which has no buffer."""
    return np.ascontiguousarray(values).view(np.uint8).data
