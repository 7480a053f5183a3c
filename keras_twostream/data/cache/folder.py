"""A folder of packed files: one contract, and a line for each video."""

import contextlib
import dataclasses
import json
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from keras_twostream import _files
from keras_twostream.data.cache import packed
from keras_twostream.data.cache.contract import Contract
from keras_twostream.errors import SpecError, VideoError

CONTRACT_FILE = "cache.json"
MANIFEST_FILE = "manifest.jsonl"
ROOTS_FILE = "roots.json"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A video's line in the manifest.

    Attributes:
        source: The video, relative to the data set.
        fingerprint: Of the video, to notice that it changed.
        frames: Frames on the timeline.
        flows: Flow fields.
        size: (height, width) of the frames.
        bytes: Size of the packed file.
        sha256: Of the packed file.
        truncated: Whether the video promises more than it holds.
    """

    source: str
    fingerprint: str
    frames: int
    flows: int
    size: tuple[int, int]
    bytes: int
    sha256: str
    truncated: bool

    def line(self) -> str:
        """As a line of JSON."""
        return json.dumps(dataclasses.asdict(self)) + "\n"


class CacheFolder:
    """A folder of packed files.

    Args:
        path: The folder; it need not be there before something is written.

    Attributes:
        path: The folder.
        place: What a user calls it.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path, self.place = Path(path).expanduser(), os.fspath(path)
        self._lock = threading.Lock()

    def contract(self) -> Contract | None:
        """The contract of everything in it, None where there is none yet.

        Raises:
            SpecError: If `cache.json` cannot be understood.
        """
        file = self.path / CONTRACT_FILE
        try:
            values = json.loads(file.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise SpecError(
                f"{file} is damaged ({error}). Delete it and extract again."
            ) from error
        return Contract.from_json(values, str(file))

    def agree(self, contract: Contract, roots: Iterable[str] = ()) -> None:
        """Writes the contract, or checks that it is the one in force.

        Args:
            contract: How what is written next is made.
            roots: See `add_roots`.

        Raises:
            SpecError: If the folder has another one, or cannot be written.
        """
        try:
            if self.contract() is None:
                text = json.dumps(contract.to_json(), indent=2) + "\n"
                self._create(CONTRACT_FILE, text)
            else:
                _files.remove_leftovers(self.path / CONTRACT_FILE)
            # Another process may have been first.
            self._check(self.contract(), contract)
            self.add_roots(roots)
        except OSError as error:
            raise SpecError(
                f"Cannot write into {self.place} ({error.strerror or error}). "
                "Choose a folder that you may write to."
            ) from error

    def _check(self, present: Contract, contract: Contract) -> None:
        name = present.difference(contract)
        if name is not None:
            raise SpecError(
                f"{self.place} holds a cache with {name}="
                f"{getattr(present, name)!r}, and {name}="
                f"{getattr(contract, name)!r} was asked for. Choose another "
                "folder, or delete this one."
            )

    def roots(self) -> list[str]:
        """The folders that its videos came from."""
        try:
            return json.loads((self.path / ROOTS_FILE).read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return []

    def add_roots(self, roots: Iterable[str]) -> None:
        """Remembers folders that names of videos are relative to.

        They tell a video that changed from another folder's of that name.
        """
        present = self.roots()
        new = sorted(set(roots) - set(present))
        if new:
            text = json.dumps(present + new, indent=2) + "\n"
            self._write(ROOTS_FILE, text)

    def _create(self, name: str, text: str) -> None:
        """Writes a file; one that is there already stays as it is."""
        _files.create_text(self.path / name, text)

    def _write(self, name: str, text: str) -> None:
        _files.write_text(self.path / name, text)

    def packed_path(self, source: str) -> Path:
        """Where the packed file of a video stands.

        Raises:
            SpecError: If its name leads out of the folder.
        """
        return packed.packed_path(self.path, source)

    def packed_bytes(self, source: str) -> int | None:
        """Size of a video's packed file, None where there is none."""
        try:
            return self.packed_path(source).stat().st_size
        except (OSError, SpecError):
            return None

    @contextlib.contextmanager
    def packed_here(self, source: str) -> Iterator[Path]:
        """The packed file of a video, on this machine."""
        yield self.packed_path(source)

    def entries(self) -> dict[str, Entry]:
        """The manifest, by source; the last line about a video counts.

        A line that was cut off when a process was killed is passed over.
        """
        found = {}
        try:
            text = (self.path / MANIFEST_FILE).read_text("utf-8")
        except FileNotFoundError:
            return found
        for line in text.splitlines():
            entry = _entry(line)
            if entry is not None:
                found[entry.source] = entry
        return found

    def add(self, entry: Entry) -> None:
        """Appends to the manifest."""
        with self._lock, open(self.path / MANIFEST_FILE, "ab+") as file:
            if file.tell():
                # The last line may have been cut off by a kill.
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(entry.line().encode("utf-8"))

    def tidy(self) -> None:
        """Rewrites the manifest in order, one line for each video."""
        entries = self.entries()
        lines = [entries[source].line() for source in sorted(entries)]
        self._write(MANIFEST_FILE, "".join(lines))

    def has(self, source: str, video: str | os.PathLike | None = None) -> bool:
        """Whether a whole packed file of this very video is there.

        Args:
            source: The video's name in the data set.
            video: The file, to notice that it changed; None where it is not
                at hand.
        """
        try:
            found = packed.open_packed(self.packed_path(source))
        except (VideoError, SpecError):
            return False
        if video is None or not os.path.exists(video):
            return True
        return found.fingerprint == packed.fingerprint(video)

    def find(self, video: str | os.PathLike) -> str | None:
        """The name under which a video is in the cache, None if it is not.

        The end of its path decides, so that a cache serves on machines
        where the data set lies elsewhere.
        """
        parts = Path(os.path.abspath(video)).parts[1:]
        for first in range(len(parts)):
            source = "/".join(parts[first:])
            if self.packed_path(source).exists() and self.has(source, video):
                return source
        return None


def _entry(line: str) -> Entry | None:
    try:
        values: dict[str, Any] = json.loads(line)
        return Entry(**{**values, "size": tuple(values["size"])})
    except (ValueError, TypeError, KeyError):
        return None
