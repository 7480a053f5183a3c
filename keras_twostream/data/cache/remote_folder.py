"""A cache behind a URL."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from keras_twostream.data.cache import addresses
from keras_twostream.data.cache.folder import (
    CONTRACT_FILE,
    MANIFEST_FILE,
    ROOTS_FILE,
    CacheFolder,
    Entry,
)
from keras_twostream.data.cache.packed_file import PACKED_SUFFIX

_PERIOD = 30.0  # seconds between two copies of the manifest


class RemoteCacheFolder(CacheFolder):
    """A writable cache behind a URL.

    Contract and manifest are kept on this machine and copied to the URL from
    time to time, since object stores cannot append to a file. Entries that a
    killed process has not copied are recovered from the packed files.

    Args:
        url: The folder, in any form that fsspec knows.
    """

    def __init__(self, url: str) -> None:
        self._here = tempfile.TemporaryDirectory(prefix="keras_twostream_")
        super().__init__(self._here.name)
        self.place = url.rstrip("/")
        for name in (CONTRACT_FILE, MANIFEST_FILE, ROOTS_FILE):
            if addresses.is_file(addresses.join(self.place, name)):
                addresses.fetch(
                    addresses.join(self.place, name), self.path / name
                )
        self._sizes = _sizes(self.place)
        self._copied = time.monotonic()

    def packed_bytes(self, source: str) -> int | None:
        """Return the size of a packed file when the cache was opened."""
        return self._sizes.get(source)

    @contextlib.contextmanager
    def packed_here(self, source: str) -> Iterator[Path]:
        """Yield a local copy of a video's packed file."""
        url = addresses.join(self.place, source + PACKED_SUFFIX)
        with addresses.local_copy(url) as path:
            yield Path(path)

    def add(self, entry: Entry) -> None:
        """Append an entry, see `CacheFolder.add`."""
        super().add(entry)
        if time.monotonic() - self._copied > _PERIOD:
            self._copy(MANIFEST_FILE)
            self._copied = time.monotonic()

    def _create(self, name: str, text: str) -> None:
        super()._create(name, text)
        self._copy(name)

    def _write(self, name: str, text: str) -> None:
        super()._write(name, text)
        self._copy(name)

    def _copy(self, name: str) -> None:
        addresses.publish(self.path / name, addresses.join(self.place, name))


def open_folder(place: str) -> CacheFolder:
    """Return the cache at a path or URL."""
    if addresses.is_remote(place):
        return RemoteCacheFolder(place)
    return CacheFolder(place)


@contextlib.contextmanager
def packed_target(place: str, source: str) -> Iterator[Path]:
    """Yield a path to write a packed file to, then move it into the cache."""
    if not addresses.is_remote(place):
        yield CacheFolder(place).packed_path(source)
        return
    with tempfile.TemporaryDirectory(prefix="keras_twostream_") as folder:
        path = CacheFolder(folder).packed_path(source)
        yield path
        addresses.publish(path, addresses.join(place, source + PACKED_SUFFIX))


def _sizes(place: str) -> dict[str, int]:
    files, inner = addresses.file_system(place)
    if not files.exists(inner):
        return {}
    details = files.find(inner, detail=True)
    return {
        path[len(inner) :].strip("/").removesuffix(PACKED_SUFFIX): x["size"]
        for path, x in details.items()
        if path.endswith(PACKED_SUFFIX)
    }
