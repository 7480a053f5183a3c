"""Jobs of an extraction whose source or root is a URL."""

import os
import tempfile
from pathlib import Path

from keras_twostream.data.cache import addresses
from keras_twostream.data.cache.store import whole_name
from keras_twostream.data.extraction.jobs import Job, read_listed
from keras_twostream.data.lists.annotations import LIST_SUFFIXES
from keras_twostream.data.lists.files import is_video
from keras_twostream.data.lists.split_formats import official_format
from keras_twostream.errors import SpecError


def find_remote_jobs(
    source: str, root: str | None = None, format: str | None = None
) -> list[Job]:
    """Return the jobs of `find_jobs`, for a source or a root behind a URL.

    Raises:
        SpecError: If there is no video.
    """
    if format is not None or _is_list(source):
        return _from_list(source, root, format)
    files, inner = addresses.file_system(source)
    if files.isfile(inner):
        return [Job(source, source.rpartition("/")[2])]
    details = files.find(inner, detail=True) if files.exists(inner) else {}
    names = {path[len(inner) :].strip("/"): path for path in sorted(details)}
    sizes = {
        name: details[path]["size"]
        for name, path in names.items()
        if is_video(name)
    }
    if not sizes:
        raise SpecError(f"No video at {source}. Check the URL.")
    return [
        Job(addresses.join(source, name), name, size)
        for name, size in sizes.items()
    ]


def _is_list(source: str) -> bool:
    suffix = os.path.splitext(source)[1].lower()
    official = official_format(_names_in(source))
    return suffix in LIST_SUFFIXES or official is not None


def _names_in(folder: str) -> list[str]:
    """Return the names of files directly in a folder; none for a file."""
    if not addresses.is_remote(folder):
        return os.listdir(folder) if os.path.isdir(folder) else []
    files, inner = addresses.file_system(folder)
    if files.isfile(inner) or not files.exists(inner):
        return []
    paths = files.find(inner, maxdepth=1)
    return [path.rpartition("/")[2] for path in paths]


def _from_list(source: str, root: str | None, format) -> list[Job]:
    root = source.rpartition("/")[0] if root is None else root
    with tempfile.TemporaryDirectory(prefix="keras_twostream_") as folder:
        annotations = read_listed(
            _list_here(source, Path(folder)), format=format
        )
    names = dict.fromkeys(item.path for item in annotations.items)
    return [_job(name, root) for name in names]


def _job(name: str, root: str) -> Job:
    if addresses.is_remote(name):
        return Job(name, whole_name(name))
    return Job(addresses.join(root, name), name)


def _list_here(source: str, folder: Path) -> Path:
    """Yield a local copy of a list, or of a folder of official lists."""
    if not addresses.is_remote(source):
        return Path(source)
    target = folder / source.rstrip("/").rpartition("/")[2]
    if addresses.is_file(source):
        addresses.fetch(source, target)
        return target
    for name in _names_in(source):
        addresses.fetch(addresses.join(source, name), target / name)
    return target
