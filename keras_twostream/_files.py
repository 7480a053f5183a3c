"""Whole-file writers: a file is there complete, or not at all.

Every file that the library keeps is written through this module, so that a
full disk or a killed process leaves the old file or the new one.
"""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tomli_w

from keras_twostream.errors import SpecError, TwoStreamError

PART = ".part"
FULL = (errno.ENOSPC, errno.EDQUOT)
LOCKED = (errno.EROFS, errno.EACCES, errno.EPERM)
_OF_WRITING = (*FULL, errno.EROFS, errno.EFBIG)  # never of reading

_MANY = 5000  # files in a folder that is not listed for each of them
_RARELY = 50  # times as long as its listing took, it holds

_under_way: list[str] = []  # names of this process's parts
_listed: dict[Path, tuple[float, list[str]]] = {}  # large folders: until, parts


# === Any content ===


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a file that takes its name when the block ends without an error.

    Args:
        path: The name it takes; folders are made.
    """
    with replacing(Path(path)) as (part,), open(part, "w+b") as file:
        yield file


@contextlib.contextmanager
def replacing(*paths: Path) -> Iterator[list[Path]]:
    """Give paths to write files at, which take their names together.

    They take them when the block ends without an error, one right after the
    other. Until then the names are hidden, end in `.part` and belong to this
    thread. After an error, a full disk included, nothing is left of them;
    leftovers of a killed process are removed by the next one that writes the
    same file.

    Args:
        paths: The names the files take, in this order; folders are made.
    """
    parts = [_part_of(path) for path in paths]
    _under_way.extend(part.name for part in parts)
    try:
        yield parts
        for part in parts:
            _sync(part)
        for part, path in zip(parts, paths, strict=True):
            os.replace(part, path)
    except BaseException as error:
        for part in parts:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _OF_WRITING:
            with contextlib.suppress(AttributeError):  # as of FFmpeg's errors
                error.filename = str(paths[0])  # not the part, or none
        raise
    finally:
        for part in parts:
            _under_way.remove(part.name)
    for folder in {path.parent for path in paths}:
        _sync_folder(folder)


def refuse_replacing(
    paths: Iterable[str | os.PathLike], sources: Iterable[Any]
) -> None:
    """Refuse, before the work, to write over a file that is read.

    Args:
        paths: The names that the files will have.
        sources: What is read. Only files count, under whatever name or link;
            frames in memory, addresses and folders do not.

    Raises:
        SpecError: If one of the names is that of a source.
    """
    read = {_identity(source): source for source in sources}
    read.pop(None, None)
    for path in paths:
        source = read.get(_identity(path))
        if source is not None:
            raise SpecError(
                f"Cannot write {path}: it is the file {source}, which is read "
                "here and would be lost. Choose another name or folder, or "
                "leave that file out."
            )


def _identity(place: Any) -> tuple[int, int] | None:
    """Return the numbers of a file's disk and place on it, None without one."""
    if not isinstance(place, str | os.PathLike):
        return None
    try:
        status = os.stat(expanded(place))
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def rename(path: Path, name: Path) -> None:
    """Give a whole file another name in its folder, in one step."""
    os.replace(path, name)
    _sync_folder(name.parent)


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write or replace a file in one step."""
    with writing(path) as file:
        file.write(data)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write or replace a text file, in UTF-8, in one step."""
    write_bytes(path, text.encode("utf-8"))


def create_text(path: Path, text: str) -> None:
    """Write a text file, or leave an existing one as it is."""
    part = _part_of(path)
    _under_way.append(part.name)
    try:
        part.write_text(text, "utf-8")
        _sync(part)
        _link(part, path)
    finally:
        part.unlink(missing_ok=True)
        _under_way.remove(part.name)


def remove_leftovers(path: Path) -> None:
    """Remove parts of a file that this machine's killed processes left."""
    prefix = _prefix(path)
    for name in _parts_in(path.parent):
        if name.startswith(prefix):
            # A machine's name may begin with all of another one's.
            owner = name[len(prefix) : -len(PART)].rsplit("-", 2)
            if owner[0] == socket.gethostname() and len(owner) == 3:
                if not _in_use(name, owner[1]):
                    _remove(path.parent / name)


def _parts_in(folder: Path) -> list[str]:
    """Return the names of the parts in a folder, as they were of late.

    A folder of 100,000 files takes longer to list than a file to write.
    """
    began = time.monotonic()
    due, parts = _listed.get(folder, (began, []))
    if began >= due:
        names = os.listdir(folder)
        parts = [name for name in names if name.endswith(PART)]
        if len(names) >= _MANY:
            took = time.monotonic() - began
            _listed[folder] = began + _RARELY * took, parts
    return parts


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def workshop(path: Path) -> Iterator[Path]:
    """Give a hidden folder beside a file, or a folder, that is made in it.

    It is gone when the block ends, with all that is left in it; that of a
    killed process goes when the same is made again.

    Args:
        path: The name that will be made; folders are made.
    """
    with _made(path.parent):
        folder = _part_of(path)
        _under_way.append(folder.name)
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _under_way.remove(folder.name)


def probe(folder: Path, room: int = 1 << 20) -> None:
    """Write into a folder to see that it takes files, and remove it again.

    Args:
        folder: Not made if missing: the folder that it would be in is tried.
        room: Bytes that have to fit.

    Raises:
        OSError: If the folder cannot be written, or its disk is too full.
    """
    folder = next(x for x in (folder, *folder.absolute().parents) if x.exists())
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
    free = shutil.disk_usage(folder).free
    if free < room:
        raise OSError(
            errno.ENOSPC,
            f"the disk has {free / 1e6:.1f} MB left, and "
            f"{room / 1e6:.1f} MB are needed",
        )


@contextlib.contextmanager
def held(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Keep other processes from a folder that they hold by this, too.

    A thread may hold a folder again that it holds. After an error nothing is
    left in a folder that had nothing.

    Args:
        folder: Made if missing.
        wait: Whether to wait for another process that holds it.

    Yields:
        Whether it is held; always, if `wait`.
    """
    import filelock  # many commands start without it

    place = folder.absolute() / ".lock"
    with _made(folder), contextlib.ExitStack() as stack:
        fresh = not place.exists()
        lock = filelock.FileLock(place, is_singleton=True)
        with contextlib.suppress(filelock.Timeout):
            stack.enter_context(lock.acquire(timeout=-1 if wait else 0))
        try:
            yield lock.is_locked
        except BaseException:
            with contextlib.suppress(OSError):  # on Windows it is open
                if fresh and os.listdir(folder) == [place.name]:
                    place.unlink()
            raise


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder where it is missing; if it stays empty, it goes again."""
    missing = [x for x in (folder, *folder.parents) if not x.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # it is not empty
            for each in missing:
                each.rmdir()


@contextlib.contextmanager
def refused(
    folder: str | os.PathLike,
    error: type[TwoStreamError],
    advice: str,
    kinds: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """Turn an error of a full or locked disk into one that says what to do.

    Args:
        folder: The folder that the block writes into, for the message.
        error: The error's class.
        advice: See `refusal`.
        kinds: Errors that mean the same in this block, besides an OSError of
            a full or locked disk.

    Raises:
        TwoStreamError: Raised as `error`.
    """
    types: tuple[type[Exception], ...] = (OSError, *kinds)
    try:
        yield
    except TwoStreamError:
        raise
    except types as cause:
        if not isinstance(cause, kinds) and not _is_refusal(cause):
            raise
        raise error(refusal(folder, cause, advice)) from cause


def refusal(folder: str | os.PathLike, error: Exception, advice: str) -> str:
    """Return a sentence that says why a disk refused, and what to do.

    Args:
        folder: The folder that was written into.
        error: The disk's error.
        advice: More advice, as "or ..." or "and ...".
    """
    number = getattr(error, "errno", None)
    remedy = "See to that"
    if number in FULL:
        remedy = "Make room"
    elif number in LOCKED:
        remedy = "Make it writable"
    reason = getattr(error, "strerror", None) or error
    return f"Cannot write into {folder}: {reason}. {remedy}, {advice}."


def not_written(error: Exception) -> str:
    """Return `refusal` of an error that only a full or locked disk raises.

    Args:
        error: Any error, wherever it arose.

    Returns:
        The sentence; empty for another error.
    """
    if getattr(error, "errno", None) not in _OF_WRITING:
        return ""
    file = getattr(error, "filename", None)
    place = (os.path.dirname(os.fsdecode(file)) or ".") if file else "the disk"
    return refusal(place, error, "and run the command again")


def _is_refusal(error: Exception) -> bool:
    return getattr(error, "errno", None) in (*_OF_WRITING, *LOCKED)


# === By format ===


def write_json(path: str | os.PathLike, values: Any) -> None:
    """Write indented JSON."""
    write_text(path, json.dumps(values, indent=2) + "\n")


def write_toml(path: str | os.PathLike, values: Mapping[str, Any]) -> None:
    """Write TOML; None is left out."""
    write_text(path, to_toml(values))


def to_toml(values: Mapping[str, Any]) -> str:
    """Return nested tables of numbers, strings, booleans and lists as TOML."""
    return tomli_w.dumps(_without_none(values))


def write_arrays(path: str | os.PathLike, arrays: Mapping[str, Any]) -> None:
    """Write arrays to an .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def write_array(path: str | os.PathLike, array: np.ndarray) -> None:
    """Write an array to an .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def write_table(
    path: str | os.PathLike,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str] = (),
) -> None:
    """Write a CSV with the columns of all rows, in order of appearance.

    Text that a spreadsheet would run as a formula is written behind an
    apostrophe, which spreadsheets hide.

    Args:
        path: File to write.
        rows: Values by column.
        columns: Columns that come first, and are there without rows too.
    """
    columns = list(dict.fromkeys([*columns, *(n for r in rows for n in r)]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(cell, columns))
    for row in rows:
        writer.writerow([cell(row.get(name, "")) for name in columns])
    write_text(path, text.getvalue())


def cell(value: Any) -> Any:
    """Return a CSV cell that no spreadsheet runs as a formula."""
    # "\t" and "\r" too: spreadsheets skip them and run what follows.
    if isinstance(value, str) and value.startswith(tuple("=+-@\t\r")):
        return f"'{value}"
    return value


# === Names and disks ===


def expanded(place: str | os.PathLike) -> Path:
    """Return a path that a user gave, with the home folder for `~`."""
    # As `Path.expanduser` does, but a name such as "~1.mp4" stays as it is.
    return Path(os.path.expanduser(place))


def _part_of(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    owner = f"{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
    return path.with_name(f"{_prefix(path)}{owner}{PART}")


def _prefix(path: Path) -> str:
    """Return the prefix of the names of a file's unfinished parts."""
    # All of one length: the file's own name may be as long as names can be.
    return f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}."


def _link(part: Path, path: Path) -> None:
    try:
        os.link(part, path)
    except FileExistsError:
        return
    except OSError:  # not every file system has links
        os.replace(part, path)


def _sync(part: Path) -> None:
    with open(part, "r+b") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a new name survive a loss of power, where folders can be synced.

    Windows opens no folder, and some network file systems sync none.
    """
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _in_use(part: str, process: str) -> bool:
    """Return whether the process that began a part may still finish it."""
    if process == str(os.getpid()):
        # A killed container's number is often its successor's too.
        return part in _under_way
    if not process.isdecimal() or os.name == "nt":
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(process)


def _is_zombie(process: str) -> bool:
    """Return whether Linux says a process is dead, only not yet collected.

    In a container whose first process collects none, it stays so for good.
    """
    try:
        state = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
    except OSError:
        return False
    # The name before the state stands in brackets, and may hold any of them.
    return state.rpartition(")")[2].split()[:1] in (["Z"], ["X"])


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            str(key): _without_none(item)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value]
    return value
