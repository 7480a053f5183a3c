"""Checking a file's sha256, once: the answer is remembered by size and time."""

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path

from keras_twostream import _files
from keras_twostream.errors import WeightsError

_NAMED_HASH = re.compile(r"-([0-9a-f]{8})\.pth?$")


def cache_folder() -> Path:
    """Where converted weights and remembered checks lie.

    `KERAS_TWOSTREAM_HOME`, or keras_twostream in the user's cache folder
    (`XDG_CACHE_HOME`, or ~/.cache).
    """
    if home := os.environ.get("KERAS_TWOSTREAM_HOME"):
        return Path(home).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(caches).expanduser() / "keras_twostream"


def sha256_of(path: Path) -> str:
    """The file's sha256 in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path, expected: str, repair: str) -> None:
    """Refuse a file whose bytes are not the ones that were published.

    A file that passed is remembered by its path, size and time of change, so
    that the next load does not read it twice.

    Args:
        path: The file.
        expected: Its sha256 as published.
        repair: What the user should do about a wrong file.

    Raises:
        WeightsError: If the hash differs.
    """
    stat = path.stat()
    mark = [str(path.resolve()), stat.st_size, stat.st_mtime_ns, expected]
    note = _note(mark)
    if _recall(note) == mark:
        return
    actual = sha256_of(path)
    if actual != expected:
        raise WeightsError(
            f"{path} is not the file that was published: it is damaged or "
            f"was replaced.\n  expected sha256 {expected}\n"
            f"  received sha256 {actual}\n{repair}"
        )
    _remember(note, mark)


def verify_name(path: Path, repair: str) -> None:
    """Check the start of the sha256 that PyTorch puts in a file's name.

    "resnet50-0676ba61.pth" names 32 bits of its hash; where a row has no
    full hash yet, they are what protects it.

    Raises:
        WeightsError: If the file's hash starts otherwise.
    """
    match = _NAMED_HASH.search(path.name)
    if match is None:
        return
    actual = sha256_of(path)
    if not actual.startswith(match[1]):
        raise WeightsError(
            f"{path} is not the file that was published.\n  expected sha256 "
            f"{match[1]}... (in its name)\n  received sha256 {actual}\n"
            f"{repair}"
        )


def _note(mark: list) -> Path:
    name = hashlib.sha256(mark[0].encode()).hexdigest()[:24]
    return cache_folder() / "verified" / f"{name}.json"


def _recall(note: Path) -> list | None:
    try:
        return json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _remember(note: Path, mark: list) -> None:
    # A cache folder that cannot be written only costs the next load a hash.
    with contextlib.suppress(OSError):
        _files.write_text(note, json.dumps(mark))
