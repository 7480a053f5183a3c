"""Files behind a URL, through fsspec. Local paths stay as they are."""

import contextlib
import os
import shutil
import tempfile
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from keras_twostream._files import PART
from keras_twostream.errors import MissingLibraryError, SpecError


def is_remote(path: str | os.PathLike) -> bool:
    """Return whether a path is a URL outside the local file system."""
    return "://" in os.fspath(path)


def without_file(path: str | os.PathLike) -> str:
    """Return a local path, with `~` expanded and `file://` removed."""
    path = os.fspath(path)
    if not path.startswith("file://"):
        return os.path.expanduser(path)
    return urllib.request.url2pathname(urllib.parse.urlsplit(path).path)


def join(folder: str | os.PathLike, name: str) -> str:
    """Return `name` below a folder, local or remote."""
    if is_remote(folder):
        return f"{os.fspath(folder).rstrip('/')}/{name}"
    return os.path.join(folder, name)


def file_system(url: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the path in it.

    Raises:
        MissingLibraryError: If fsspec, or its part for this kind of URL, is
            not installed.
        SpecError: If there is no such kind of URL.
    """
    try:
        import fsspec

        return fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise MissingLibraryError(
            f"Reaching {url} needs a package that is not installed ({error})."
            " fsspec itself comes with: pip install 'keras-twostream[fsspec]'"
        ) from error
    except ValueError as error:
        raise SpecError(
            f"Cannot reach {url}: {error}. Use a path, or a URL that fsspec "
            "knows, such as s3://bucket/folder."
        ) from error


def in_this_process(path: str | os.PathLike) -> bool:
    """Return whether only this process can see the path (`memory://`)."""
    return os.fspath(path).startswith("memory://")


def is_file(path: str) -> bool:
    """Return whether there is a file at a path or URL."""
    if not is_remote(path):
        return os.path.isfile(path)
    files, inner = file_system(path)
    return files.isfile(inner)


def size(path: str) -> int:
    """Return the size of a file in bytes."""
    if not is_remote(path):
        return os.path.getsize(path)
    files, inner = file_system(path)
    return files.size(inner)


def open_binary(path: str | os.PathLike) -> BinaryIO:
    """Open a file for reading at any position."""
    if not is_remote(path):
        return open(path, "rb")
    files, inner = file_system(os.fspath(path))
    return files.open(inner, "rb")


def fetch(url: str, target: Path) -> None:
    """Copy a file to this machine."""
    files, inner = file_system(url)
    target.parent.mkdir(parents=True, exist_ok=True)
    files.get_file(inner, str(target))


def publish(source: Path, url: str) -> None:
    """Copy a file to a URL, and give it its name once it is complete."""
    files, inner = file_system(url)
    folder, _, name = inner.rpartition("/")
    part = f"{folder}/.{name}.{uuid.uuid4().hex}{PART}"
    files.makedirs(folder, exist_ok=True)
    files.put_file(str(source), part)
    files.mv(part, inner)


@contextlib.contextmanager
def local_copy(path: str) -> Iterator[str]:
    """Yield a local file with the content of `path`, or `path` if local."""
    if not is_remote(path):
        yield path
        return
    folder = tempfile.mkdtemp(prefix="keras_twostream_")
    try:
        target = Path(folder, path.rpartition("/")[2])
        fetch(path, target)
        yield str(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
