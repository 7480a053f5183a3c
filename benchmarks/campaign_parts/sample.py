"""A whole file of some format, and how the package reads it."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Reading(NamedTuple):
    """The result of reading a file.

    Attributes:
        items: Number of frames, rows or tensors.
        digest: A hash of all that was read.
        aside: What was said of parts that could not be read, or "".
    """

    items: int
    digest: str
    aside: str = ""


@dataclasses.dataclass(frozen=True)
class Sample:
    """A file to damage, with all that is needed to read it.

    Attributes:
        name: Its name.
        row: Its row of the table.
        file: Name of the file that is damaged, in `files`.
        files: Contents by path.
        read: Function that reads the folder of the files.
        text: Whether the file is text.
        sealed: Whether a part of the file can be told from the whole.
        exact: Whether no other value than the whole's may come out.
        heavy: Whether reading needs Keras and TensorFlow.
    """

    name: str
    row: str
    file: str
    files: dict[str, bytes]
    read: Callable[[Path], Reading]
    text: bool = False
    sealed: bool = False
    exact: bool = False
    heavy: bool = False


def digest(*values: Any) -> str:
    """Return a hash of arrays, containers and plain values."""
    made = hashlib.sha256()
    for value in values:
        _feed(made, value)
    return made.hexdigest()[:16]


def _feed(made, value: Any) -> None:
    if isinstance(value, np.ndarray) and value.dtype != object:
        made.update(f"{value.dtype}{value.shape}".encode())
        made.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            _feed(made, key)
            _feed(made, value[key])
    elif isinstance(value, list | tuple | np.ndarray):
        for item in value:
            _feed(made, item)
    else:
        made.update(repr(value).encode("utf-8", "replace"))
