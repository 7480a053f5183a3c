"""Which videos a data set holds, and what they show.

`read_annotations` reads every list format in use and says which one it took.
Labels count from 0 and `classes` keeps their order.
"""

import collections
import dataclasses
import os
from pathlib import Path

import numpy as np

from keras_twostream.data.cache.packed import is_packed
from keras_twostream.data.lists import list_formats, split_formats
from keras_twostream.data.lists.files import (
    VIDEO_SUFFIXES,
    folders_in,
    is_video,
    walk,
)
from keras_twostream.data.lists.items import Item, Listing, Request
from keras_twostream.errors import SpecError, did_you_mean

LIST_SUFFIXES = (".txt", ".csv", ".json")
SUBSET_FOLDERS = frozenset({"train", "test", "val", "valid", "validation"})


@dataclasses.dataclass(frozen=True)
class Annotations:
    """The videos of a data set, or of one split of it.

    Attributes:
        items: The videos.
        classes: Class names; an item's label is a place in it. May be empty
            where the format holds no names.
        root: Folder that the items' relative paths start from.
        format: The format that was read.
    """

    items: tuple[Item, ...]
    classes: tuple[str, ...]
    root: Path
    format: str = ""

    @property
    def paths(self) -> list[str]:
        """The path of each item, with `root`."""
        return [str(self.root / item.path) for item in self.items]

    @property
    def labels(self) -> list[int | tuple[int, ...]]:
        """The label of each item, -1 where it is not known; tuples where
        any item has several."""
        if any(len(item.labels) > 1 for item in self.items):
            return [item.labels for item in self.items]
        return [(*item.labels, -1)[0] for item in self.items]

    def __len__(self) -> int:
        return len(self.items)

    def counts(self) -> np.ndarray:
        """(classes,) items of each class."""
        tally = collections.Counter(
            label for item in self.items for label in item.labels
        )
        classes = max(len(self.classes), max(tally, default=-1) + 1)
        return np.array([tally[label] for label in range(classes)])

    def take(self, indices) -> "Annotations":
        """The items at `indices`, in that order."""
        items = tuple(self.items[int(index)] for index in indices)
        return dataclasses.replace(self, items=items)


def read_annotations(
    path: str | os.PathLike,
    format: str | None = None,
    *,
    split: int | str | None = None,
    subset: str | None = None,
    root: str | os.PathLike | None = None,
) -> Annotations:
    """Reads the list of a data set.

    | format | `path` | what it is |
    |---|---|---|
    | `folder` | folder | one folder per class, videos or packed files inside |
    | `ucf101` | folder | ucfTrainTestlist: classInd, trainlist01, ... |
    | `hmdb51` | folder | testTrainMulti_7030_splits: one file per class |
    | `kinetics` | .csv | label, youtube_id, time_start, time_end, split |
    | `videos` | .txt, .csv | "path label ..." (mmaction2, SlowFast) |
    | `rawframes` | .txt | "folder [start] frames label ..." (TSN, mmaction2) |
    | `json` | .json | ours: {"classes": [...], "items": [{...}]} |
    | `csv` | .csv | ours: a header with path, label[, split] |

    Args:
        path: The list, or the folder.
        format: A name above; found out when None.
        split: Number of the official split (ucf101, hmdb51), 1 when None.
        subset: "train" or "test" of ucf101 and hmdb51, the value of the
            split column of kinetics, csv and json; all items when None.
        root: Folder that the videos are in; beside the list when None.

    Returns:
        `Annotations`.

    Raises:
        SpecError: If the list cannot be read in that format.

    Example:
        >>> read_annotations("ucfTrainTestlist", split=1, subset="train",
        ...                  root="UCF-101")
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise SpecError(f"There is no annotation list {path}. Check the path.")
    format = detect_format(path) if format is None else format
    if format not in FORMATS:
        raise SpecError(
            f"`format` must be one of {', '.join(FORMATS)}. Received: "
            f"format={format!r}.{did_you_mean(format, FORMATS)}"
        )
    root = None if root is None else Path(root).expanduser()
    items, classes, root = FORMATS[format](Request(path, split, subset, root))
    if not items:
        raise SpecError(
            f"{path} holds no items (format={format!r}, split={split!r}, "
            f"subset={subset!r})."
        )
    return Annotations(tuple(items), tuple(classes), root, format)


def detect_format(path: Path) -> str:
    """The format of a list, by its name and first lines.

    Raises:
        SpecError: If nothing fits.
    """
    if path.is_dir():
        return _detect_folder(path)
    suffix = path.suffix.lower()
    if suffix == ".json":
        return "json"
    lines = list_formats.lines(path)
    first = lines[0] if lines else ""
    if suffix == ".csv" and "," in first:
        header = [name.strip() for name in first.lower().split(",")]
        if "youtube_id" in header:
            return "kinetics"
        if "path" in header:
            return "csv"
    if list_formats.looks_like_rawframes(lines):
        return "rawframes"
    if list_formats.looks_like_videos(lines):
        return "videos"
    raise SpecError(
        f"Cannot tell the format of {path}: its first line is {first!r}. "
        f"Pass `format`, one of {', '.join(FORMATS)}."
    )


def _detect_folder(path: Path) -> str:
    return split_formats.official_format(os.listdir(path)) or "folder"


def read_folder(request: Request) -> Listing:
    """One folder per class; with a subset, in that folder beneath."""
    root = request.path / (request.subset or "")
    if not root.is_dir():
        raise SpecError(f"There is no folder {root}.")
    found = {folder.name: _data_in(folder) for folder in folders_in(root)}
    classes = [name for name, data in found.items() if data]
    if not classes:
        higher = " Its videos lie in it directly: give the folder above it."
        raise SpecError(
            f"{root} holds no videos in class folders: expected "
            f"{root}/<class>/<video>, with a suffix among "
            f"{', '.join(sorted(VIDEO_SUFFIXES))}."
            f"{higher if _data_in(root) else ''}"
        )
    if {name.lower() for name in classes} <= SUBSET_FOLDERS:
        raise SpecError(
            f"{root} holds videos in the folders {', '.join(classes)}, which "
            "look like subsets rather than classes. Pass subset= with one "
            "of them."
        )
    items = [
        Item(str(path.relative_to(root)), (label,))
        for label, name in enumerate(classes)
        for path in found[name]
    ]
    return items, classes, root


def _data_in(folder: Path) -> list[Path]:
    return sorted(
        place / name
        for place, _, names in walk(folder)
        for name in names
        if is_video(name) or is_packed(name)
    )


FORMATS = {
    "folder": read_folder,
    "ucf101": split_formats.read_ucf101,
    "hmdb51": split_formats.read_hmdb51,
    "kinetics": split_formats.read_kinetics,
    "videos": list_formats.read_videos,
    "rawframes": list_formats.read_rawframes,
    "json": list_formats.read_json,
    "csv": list_formats.read_csv,
}
