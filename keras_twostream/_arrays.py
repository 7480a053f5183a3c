"""Arrays from files that may be damaged, or forged to take all memory."""

import contextlib
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream.errors import TwoStreamError

ARRAYS_LIMIT = "KERAS_TWOSTREAM_MAX_UNPACKED"
_DEFAULT_LIMIT = 100  # bytes of arrays, for each byte of their file
_FREE = 2**26  # bytes of arrays that any file may hold


def read_arrays(
    path: str | os.PathLike,
    error: type[TwoStreamError],
    advice: str = "Delete it, or copy it again from where it came.",
) -> dict[str, np.ndarray]:
    """Return all arrays of an .npz file.

    Nothing pickled is read, and the unpacked size is bounded before memory is
    taken.

    Args:
        path: The file.
        error: The error's class.
        advice: Advice about a damaged file.

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

    Args:
        path: The file.
        error: The error's class.
        advice: Advice about a damaged file.

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

    Args:
        path: A zip archive, as an .npz file is one.
        error: The error's class.

    Raises:
        TwoStreamError: Raised as `error`.
        zipfile.BadZipFile: If it is no archive.
    """
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    most = max(_FREE, _limit(error) * os.path.getsize(path))
    if unpacked > most:
        raise error(
            f"{path} would unpack to {unpacked / 1e6:,.0f} MB, more than "
            f"{most / 1e6:,.0f} MB. If you trust the file, raise the limit of "
            f"bytes for each of its bytes: {ARRAYS_LIMIT}="
            f"{unpacked // os.path.getsize(path) + 1}"
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
