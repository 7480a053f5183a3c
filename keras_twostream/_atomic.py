"""Files that are there whole, or not at all."""

import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PART = ".part"


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name when the block ends without an error.

    Until then its name is hidden and ends in `.part`. After an error, a full
    disk included, nothing is left of it; what a killed process left is
    removed by the next one that writes the same file.

    Args:
        path: The name it takes; folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    owner = f"{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
    part = path.with_name(f"{_prefix(path)}{owner}{PART}")
    try:
        with open(part, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Replace a text file in one step."""
    with writing(path) as file:
        file.write(text.encode("utf-8"))


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a loss of power."""
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_leftovers(path: Path) -> None:
    host = socket.gethostname()
    prefix = f"{_prefix(path)}{host}-"
    for name in os.listdir(path.parent):
        if name.startswith(prefix) and name.endswith(PART):
            process = name[len(prefix) :].partition("-")[0]
            if not _alive(process):
                (path.parent / name).unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    """How the names of what is under way to a file start."""
    # Of one length: the file's own name may be as long as names can be.
    return f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}."


def _alive(process: str) -> bool:
    if not process.isdecimal() or os.name == "nt":
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
