"""Errors of the disk, with the place and a remedy."""

from contextlib import AbstractContextManager
from pathlib import Path

from safetensors import SafetensorError

from keras_twostream import _files
from keras_twostream.errors import WeightsError

ELSEWHERE = "write to another folder"
OTHER_CACHE = "set KERAS_TWOSTREAM_HOME to a folder that has room"


def writable(
    folder: Path, way_out: str = ELSEWHERE
) -> AbstractContextManager[None]:
    """Turn a disk error of the block into one that says what to do.

    The block writes into a folder and reads nothing from elsewhere, so any
    OSError in it is one of writing.

    Raises:
        WeightsError: If the disk refuses, for instance because it is full.
    """
    kinds = (OSError, SafetensorError)
    return _files.refused(folder, WeightsError, f"or {way_out}", kinds)
