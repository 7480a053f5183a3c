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

    Args:
        path: The name it takes; folders are made.
    """
    with replacing(path) as (part,), open(part, "w+b") as file:
        yield file


@contextlib.contextmanager
def replacing(*paths: Path) -> Iterator[list[Path]]:
    """Paths to write files at, which take their names all together.

    They do when the block ends without an error, one right after the other.
    Until then their names are hidden, end in `.part` and are this thread's
    own. After an error, a full disk included, nothing is left of them; what
    a killed process left is removed by the next one that writes the same
    file.

    Args:
        paths: The names they take, in this order; folders are made.
    """
    parts = [_part_of(path) for path in paths]
    try:
        yield parts
        for part in parts:
            _sync(part)
        for part, path in zip(parts, paths, strict=True):
            os.replace(part, path)
    except BaseException:
        for part in parts:
            part.unlink(missing_ok=True)
        raise
    for folder in {path.parent for path in paths}:
        _sync_folder(folder)


def write_text(path: Path, text: str) -> None:
    """Replace a text file in one step."""
    with writing(path) as file:
        file.write(text.encode("utf-8"))


def create_text(path: Path, text: str) -> None:
    """Write a text file, unless there is one: that stays as it is."""
    part = _part_of(path)
    try:
        part.write_text(text, "utf-8")
        _sync(part)
        _link(part, path)
    finally:
        part.unlink(missing_ok=True)


def _link(part: Path, path: Path) -> None:
    try:
        os.link(part, path)
    except FileExistsError:
        return
    except OSError:  # not every file system has links
        os.replace(part, path)


def _part_of(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    owner = f"{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
    return path.with_name(f"{_prefix(path)}{owner}{PART}")


def _sync(part: Path) -> None:
    with open(part, "r+b") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a loss of power, where folders can be synced.

    Windows opens no folder, and some network file systems sync none.
    """
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes of this machine left of a file."""
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
