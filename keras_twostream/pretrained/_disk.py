"""Errors of the disk, with the place and a remedy."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from keras_twostream.errors import WeightsError

ELSEWHERE = "write to another folder"
OTHER_CACHE = "set KERAS_TWOSTREAM_HOME to a folder that has room"


@contextlib.contextmanager
def writable(folder: Path, way_out: str = ELSEWHERE) -> Iterator[None]:
    """Turn a disk error of the block into one that says what to do.

    The block writes into a folder and reads nothing from elsewhere.

    Args:
        folder: The folder, for the error.
        way_out: Remedy where the folder cannot be made writable.

    Raises:
        WeightsError: If the disk refuses, for instance because it is full.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"Could not write into the folder {folder}: {error}. Free some "
            f"space on the disk, make the folder writable, or {way_out}."
        ) from error
