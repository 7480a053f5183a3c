"""A folder of packed files: one contract, and a line for each video."""

import contextlib
import dataclasses
import json
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from keras_twostream import _files, _schema
from keras_twostream._schema import Rule
from keras_twostream.data.cache import packed_file
from keras_twostream.data.cache.contract import LARGEST_SIDE, Contract
from keras_twostream.errors import SpecError, VideoError

CONTRACT_FILE = "cache.json"
MANIFEST_FILE = "manifest.jsonl"
ROOTS_FILE = "roots.json"
_LONGEST = 2**24  # bytes; limit for a contract or the roots
_BEGIN = b'{"source"'  # start of every line of a manifest
_ROOTS = {"roots": Rule(list, item=str)}
_ENTRY = {
    "source": Rule(str),
    "fingerprint": Rule(str),
    "frames": Rule(int, low=0, high=2**40),
    "flows": Rule(int, low=0, high=2**40),
    "size": Rule(list, item=int, length=2, low=1, high=LARGEST_SIDE),
    "bytes": Rule(int, low=0, high=2**60),
    "sha256": Rule(str),
    "truncated": Rule(bool),
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A video's line in the manifest.

    Attributes:
        source: The video, relative to the data set.
        fingerprint: Fingerprint of the video, to notice a change.
        frames: Frames on the timeline.
        flows: Flow fields.
        size: (height, width) of the frames.
        bytes: Size of the packed file.
        sha256: SHA-256 of the packed file.
        truncated: Whether the video is shorter than its header states.
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
        """Return the entry as a line of JSON."""
        return json.dumps(dataclasses.asdict(self)) + "\n"


class CacheFolder:
    """A folder of packed files.

    Args:
        path: The folder; it is made when something is first written.

    Attributes:
        path: The folder.
        place: The folder's path or URL as the user gave it.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path, self.place = _files.expanded(path), os.fspath(path)
        self._lock = threading.Lock()

    def contract(self) -> Contract | None:
        """Return the folder's contract, None if there is none yet.

        Raises:
            SpecError: If `cache.json` cannot be understood.
        """
        file = self.path / CONTRACT_FILE
        if not file.exists():
            return None
        again = "Delete it and extract again."
        text = _schema.read_text(file, _LONGEST, SpecError, again)
        try:
            values = _schema.parse_json(text, file, SpecError)
            return Contract.from_json(values, str(file))
        except SpecError as error:
            raise SpecError(f"{error} {again}") from error

    def agree(self, contract: Contract, roots: Iterable[str] = ()) -> None:
        """Write the contract, or check that it equals the existing one.

        Args:
            contract: The contract of the files to be written.
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
            self._check(self.contract() or contract, contract)
            self.add_roots(roots)
        except OSError as error:
            advice = "or choose another folder"
            raise SpecError(
                _files.refusal(self.place, error, advice)
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
        """Return the folders that the cache's videos came from."""
        file = self.path / ROOTS_FILE
        if not file.exists():
            return []
        try:
            text = _schema.read_text(file, _LONGEST, SpecError)
            values = {"roots": _schema.parse_json(text, file, SpecError)}
            return _schema.check(values, _ROOTS, file, SpecError)["roots"]
        except SpecError:  # only a help; the next `add_roots` replaces it
            return []

    def add_roots(self, roots: Iterable[str]) -> None:
        """Record the folders that names of videos are relative to.

        They distinguish a changed video from one of the same name in
        another folder.
        """
        if set(roots) <= set(self.roots()):
            return
        with self._held():
            present = self.roots()
            new = sorted(set(roots) - set(present))
            text = json.dumps(present + new, indent=2) + "\n"
            self._write(ROOTS_FILE, text)

    def _create(self, name: str, text: str) -> None:
        """Write a file unless it already exists."""
        _files.create_text(self.path / name, text)

    def _write(self, name: str, text: str) -> None:
        _files.write_text(self.path / name, text)

    def packed_path(self, source: str) -> Path:
        """Return the path of a video's packed file.

        Raises:
            SpecError: If its name leads out of the folder.
        """
        return packed_file.packed_path(self.path, source)

    def packed_bytes(self, source: str) -> int | None:
        """Return the size of a video's packed file, None if it is missing."""
        try:
            return self.packed_path(source).stat().st_size
        except (OSError, SpecError):
            return None

    @contextlib.contextmanager
    def packed_here(self, source: str) -> Iterator[Path]:
        """Yield the packed file of a video as a local file."""
        yield self.packed_path(source)

    def entries(self) -> dict[str, Entry]:
        """Return the manifest by source; the last line about a video counts.

        Incomplete lines of killed processes and damaged lines are skipped.
        """
        entries: dict[str, Entry] = {}
        file = self.path / MANIFEST_FILE
        lines = file.read_bytes().split(b"\n") if file.is_file() else []
        for line in lines:
            entry = self._entry(line)
            if entry is not None:
                entries[entry.source] = entry
        return entries

    def _entry(self, line: bytes) -> Entry | None:
        """Return the entry in a line, None where it is damaged.

        An incomplete line of a killed process may be followed by a whole
        entry.
        """
        for start in {0, max(line.rfind(_BEGIN), 0)}:
            try:
                values = _schema.parse_json(line[start:], "", SpecError)
                values = _schema.check(values, _ENTRY, "", SpecError)
                self.packed_path(values["source"])
            except SpecError:
                continue
            return Entry(**{**values, "size": tuple(values["size"])})
        return None

    def add(self, entry: Entry) -> None:
        """Append an entry to the manifest."""
        with self._held(), open(self.path / MANIFEST_FILE, "ab+") as file:
            if file.tell():
                # The last line may have been cut off by a kill.
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(entry.line().encode("utf-8"))

    def tidy(self) -> None:
        """Rewrite the manifest in order, one line for each video."""
        with self._held():
            entries = self.entries()
            lines = [entries[source].line() for source in sorted(entries)]
            self._write(MANIFEST_FILE, "".join(lines))

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Keep threads and processes apart that write the same file."""
        with self._lock, _files.held(self.path):
            yield

    def has(self, source: str, video: str | os.PathLike | None = None) -> bool:
        """Return whether the cache holds a whole packed file of this video.

        Args:
            source: The video's name in the data set.
            video: The file, to notice a change; None where it is not
                available.
        """
        try:
            present = packed_file.open_packed(self.packed_path(source))
        except (VideoError, SpecError):
            return False
        if video is None or not os.path.exists(video):
            return True
        return present.fingerprint == packed_file.fingerprint(video)

    def find(self, video: str | os.PathLike) -> str | None:
        """Return the name that a video has in the cache, None if it has none.

        The end of its path decides, so that a cache also works on machines
        where the data set lies elsewhere.
        """
        parts = Path(os.path.abspath(video)).parts[1:]
        for first in range(len(parts)):
            source = "/".join(parts[first:])
            if self.packed_path(source).exists() and self.has(source, video):
                return source
        return None
