"""One video of a data set, a request for many, and its answer."""

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from keras_twostream.data.source import Part

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Item:
    """A video, or a part of one, and its labels.

    Attributes:
        path: File, or folder of frames, relative to the annotations' root;
            or an address, or a path from the home folder, "~/a.mp4".
        labels: Class numbers from 0; usually one, empty when unknown.
        subset: The part of the data set, "train" or "test", where the list
            has several.
        start: First second of the part.
        end: Last second of the part, None for the whole video.
    """

    path: str
    labels: tuple[int, ...]
    subset: str | None = None
    start: float = 0.0
    end: float | None = None

    def place(self, root: Path) -> str:
        """Return the path with its root, and with its seconds for a part."""
        return str(Part(self.file(root), self.start, self.end))

    def file(self, root: Path) -> str:
        """Return the path with its root, which an address does not have."""
        if _ADDRESS.match(self.path):
            return self.path
        return str(root / os.path.expanduser(self.path))


@dataclasses.dataclass(frozen=True)
class Request:
    """A request to a reader of annotations.

    Attributes:
        path: The list, or the folder.
        split: Number of the official split.
        subset: "train", "test", or a value of a split column; None for all.
        root: Folder that the videos are in.
        label: Name of the column of labels, in a table with several.
    """

    path: Path
    split: int | str | None
    subset: str | None
    root: Path | None
    label: str | None = None

    @property
    def videos(self) -> Path:
        """Return `root`, or the list's own folder."""
        return self.path.parent if self.root is None else self.root


class Listing(NamedTuple):
    """The answer of a reader of annotations.

    Attributes:
        items: The videos.
        classes: Class names; empty where the list has none.
        root: Folder that the items' paths are relative to.
        passed_over: Skipped files and folders (with a "/" at the end),
            relative to the root.
    """

    items: Sequence[Item]
    classes: Sequence[str]
    root: Path
    passed_over: Sequence[str] = ()
