"""Verification of files by hash, remembered by size and time.

Where nobody has stated a hash, the first download's is recorded here, and
later ones are held to it.
"""

import contextlib
import datetime
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from keras_twostream import _files
from keras_twostream.errors import WeightsError


def cache_folder() -> Path:
    """Return the folder of converted weights and remembered checks.

    `KERAS_TWOSTREAM_HOME`, or keras_twostream in the user's cache folder
    (`XDG_CACHE_HOME`, or ~/.cache).
    """
    if home := os.environ.get("KERAS_TWOSTREAM_HOME"):
        return _files.expanded(home)
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _files.expanded(caches) / "keras_twostream"


def sha256_of(path: Path) -> str:
    """Return the file's sha256 in hex."""
    return _hash_of(path, "sha256")


def _hash_of(path: Path, kind: str) -> str:
    with open(path, "rb") as file:
        if kind != "git_blob":
            return hashlib.file_digest(file, kind).hexdigest()
        # Git hashes the length first.
        start = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
        return hashlib.file_digest(file, start.copy).hexdigest()


def verify(path: Path, expected: str, repair: str) -> None:
    """Refuse a file whose bytes are not the ones that were published.

    A file that passed is remembered by its path, size and time of change, so
    that the next load does not read it twice.

    Args:
        path: The file.
        expected: Its sha256 as published; another hash with its kind in
            front, as "sha1:..." or "git_blob:...".
        repair: Advice to the user about a wrong file.

    Raises:
        WeightsError: If the hash differs.
    """
    stat = path.stat()
    mark = [str(path.resolve()), stat.st_size, stat.st_mtime_ns, expected]
    note = _note(mark)
    if _recall(note) == mark:
        return
    *stated, digits = expected.split(":")
    kind = stated[0] if stated else "sha256"
    actual = _hash_of(path, kind)
    if actual != digits:
        raise WeightsError(
            f"{path} is not the file that was published: it is damaged or "
            f"was replaced.\n  expected {kind} {digits}\n"
            f"  received {kind} {actual}\n{repair}"
        )
    _remember(note, mark)


def verify_prefix(path: Path, prefix: str, repair: str) -> None:
    """Check the start of a file's sha256, 32 bits of it or more.

    Raises:
        WeightsError: If the file's hash starts otherwise.
    """
    actual = sha256_of(path)
    if not actual.startswith(prefix):
        raise WeightsError(
            f"{path} is not the file that was published.\n  expected sha256 "
            f"{prefix}...\n  received sha256 {actual}\n{repair}"
        )


def hold(path: Path, address: str, repair: str) -> None:
    """Hold a file without a whole hash to that of its first download.

    Args:
        path: The file, as it came.
        address: Source of the file.
        repair: Advice to the user about a file that changed.

    Raises:
        WeightsError: If the address gave other bytes before.
    """
    record = _record(address)
    known = _recall(record)
    if isinstance(known, dict) and "sha256" in known:
        try:
            return verify(path, known["sha256"], "")
        except WeightsError as error:
            raise WeightsError(
                f"{address} gave other bytes on {known.get('date')}, and "
                f"nobody has stated its hash: {error}{repair}\nIf the change "
                f"is meant, delete {record}."
            ) from error
    facts = {
        "address": address,
        "sha256": sha256_of(path),
        "size": path.stat().st_size,
        "date": datetime.date.today().isoformat(),
    }
    _remember(record, facts)


def _record(address: str) -> Path:
    name = hashlib.sha256(address.encode()).hexdigest()[:24]
    return cache_folder() / "first_downloads" / f"{name}.json"


def _note(mark: list) -> Path:
    name = hashlib.sha256(mark[0].encode()).hexdigest()[:24]
    return cache_folder() / "verified" / f"{name}.json"


def _recall(note: Path) -> Any:
    try:
        return json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _remember(note: Path, mark: Any) -> None:
    # A cache folder that cannot be written only costs the next load a hash.
    with contextlib.suppress(OSError):
        _files.write_text(note, json.dumps(mark))
