"""Locks that let one process at a time make a cached file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import filelock

from keras_twostream.pretrained._disk import OTHER_CACHE, writable


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a cached file or folder.

    The folder around it is made if it is missing.

    Raises:
        WeightsError: If it cannot be written.
    """
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    with writable(path.parent, OTHER_CACHE):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
