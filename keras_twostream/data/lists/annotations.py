"""Annotations of a data set: its videos and their labels.

`read_annotations` reads every list format in use and records which it read.
Labels count from 0 and `classes` keeps their order.
"""

import collections
import dataclasses
import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream._files import expanded
from keras_twostream._printing import check_names
from keras_twostream.data.lists import list_formats, split_formats
from keras_twostream.data.lists.class_folders import read_folder
from keras_twostream.data.lists.cvat import read_cvat
from keras_twostream.data.lists.items import Item, Listing, Request
from keras_twostream.data.lists.labels import check_labels, numbers_in
from keras_twostream.data.lists.rows import explained, header_of
from keras_twostream.data.lists.rows import lines as rows_of
from keras_twostream.errors import SpecError, check_choice, did_you_mean

LIST_SUFFIXES = (".txt", ".csv", ".tsv", ".json", ".xml")


@dataclasses.dataclass(frozen=True)
class Annotations:
    """The labelled videos of a data set, or of one split of it.

    Attributes:
        items: The videos.
        classes: Class names; an item's label is an index into it. May be
            empty where the format holds no names.
        root: Folder that the items' paths are relative to.
        format: The format that was read.
        passed_over: Files and folders (with a "/" at the end) below `root`
            that were skipped; see `files.in_words`.
    """

    items: tuple[Item, ...]
    classes: tuple[str, ...]
    root: Path
    format: str = ""
    passed_over: tuple[str, ...] = ()

    @property
    def paths(self) -> list[str]:
        """Return each item's path below `root`, with `#t=` for a part."""
        return [item.place(self.root) for item in self.items]

    @property
    def files(self) -> list[str]:
        """Return the file or folder of each item, with `root`."""
        return [item.file(self.root) for item in self.items]

    @property
    def labels(self) -> list[int | tuple[int, ...]]:
        """Return each item's label, -1 where unknown.

        If any item has several labels, all labels are tuples.
        """
        if self.several:
            return [item.labels for item in self.items]
        return [(*item.labels, -1)[0] for item in self.items]

    @property
    def several(self) -> bool:
        """Return whether any video shows several classes at once."""
        return any(len(item.labels) > 1 for item in self.items)

    @property
    def subsets(self) -> list[str]:
        """Return the names of the subsets that items belong to."""
        return sorted({item.subset for item in self.items if item.subset})

    def __len__(self) -> int:
        return len(self.items)

    def pairs(
        self, several: bool | None = None
    ) -> list[tuple[str, int | tuple[int, ...]]]:
        """Return (path, label) of every item.

        Args:
            several: Whether to make every label a tuple; when None, only
                if some item has several labels.
        """
        labels = self.labels
        if several:
            labels = [item.labels for item in self.items]
        return list(zip(self.paths, labels, strict=True))

    def counts(self) -> np.ndarray:
        """Return the number of items of each class, (classes,)."""
        tally = collections.Counter(
            label for item in self.items for label in item.labels
        )
        classes = max(len(self.classes), max(tally, default=-1) + 1)
        return np.array([tally[label] for label in range(classes)])

    def take(self, indices: Iterable[int]) -> "Annotations":
        """Return the items at `indices`, in that order.

        Raises:
            SpecError: If they are no whole numbers, or none of the items'.
        """
        chosen = [_index(index, len(self)) for index in indices]
        items = tuple(self.items[index] for index in chosen)
        return dataclasses.replace(self, items=items)

    def in_order_of(self, classes: Sequence[str]) -> "Annotations":
        """Return the items with labels in the order of a model's classes.

        Args:
            classes: Names of the model's classes. Where a list has numbers
                alone, number 3 is the class "3" if all the names are numbers,
                and the model's class of that index otherwise.

        Raises:
            SpecError: If the list has classes that the model lacks, or numbers
                that may mean either.
        """
        classes = list(classes)
        if not classes or list(self.classes) == classes:
            return self
        if not self.classes:
            return self._numbered_as(classes)
        self.check_labels(len(self.classes), unlabelled=True)
        missing = sorted(set(self.classes) - set(classes))
        if missing:
            known = did_you_mean(missing[0], classes)
            raise SpecError(
                "The model does not know the classes "
                f"{', '.join(missing)[:300]}.{known}"
            )
        twice = [name for name in self.classes if classes.count(name) > 1]
        if twice:
            raise SpecError(
                f"The model has several classes that are called {twice[0]}. "
                "Number the list's classes as the model does."
            )
        place = {name: number for number, name in enumerate(classes)}
        order = {k: place[name] for k, name in enumerate(self.classes)}
        return self._renumbered(order, classes)

    def _numbered_as(self, classes: Sequence[str]) -> "Annotations":
        """Return items of numbers alone with labels in a model's order."""
        numbers = numbers_in(classes)
        used = {x for item in self.items for x in item.labels if x >= 0}
        moved = [
            (index, number)
            for index, number in enumerate(numbers)
            if number not in (None, index)
        ]
        doubtful = used & {x for pair in moved for x in pair}
        if not doubtful:
            return self
        if None in numbers or len(set(numbers)) < len(numbers):
            raise SpecError(_number_or_index(min(doubtful), classes))
        places = {n: index for index, n in enumerate(numbers) if n is not None}
        missing = sorted(used - set(places))
        if missing:
            raise SpecError(
                f"The list has the class {missing[0]}, and the model's classes "
                f"are named {', '.join(classes)}. Number the list as they are "
                "named."
            )
        return self._renumbered(places, classes)

    def _renumbered(
        self, order: Mapping[int, int], classes: Sequence[str]
    ) -> "Annotations":
        items = tuple(
            dataclasses.replace(
                item, labels=tuple(order[x] for x in item.labels if x >= 0)
            )
            for item in self.items
        )
        return dataclasses.replace(self, items=items, classes=tuple(classes))

    def check_labels(self, classes: int, unlabelled: bool = False) -> None:
        """Refuse items whose label is not the number of a class.

        Raises:
            SpecError: If there is such an item; the message names the first.
        """
        shown = [item.labels for item in self.items]
        check_labels(self.paths, shown, classes)
        if not unlabelled:
            for path, labels in zip(self.paths, shown, strict=True):
                if not labels:
                    raise SpecError(
                        f"{path} has no label. Give it one, or leave it out."
                    )


def _index(index: Any, count: int) -> int:
    if isinstance(index, bool | np.bool_):
        raise SpecError(
            "`indices` are the numbers of items, and these are a mask. Pass "
            "numpy.flatnonzero(mask)."
        )
    try:
        number = operator.index(index)
    except TypeError:
        number = count
    if not -count <= number < count:
        raise SpecError(
            f"`indices` must be whole numbers from 0 to {count - 1}, the "
            f"numbers of items. Received: {index!r}"
        )
    return number


def _number_or_index(number: int, classes: Sequence[str]) -> str:
    return (
        f"The list has the class {number}, and some of the model's classes are "
        f"named by numbers: {', '.join(classes)[:300]}. It may mean the class "
        f'"{number}" or the one at that index. Write names in the list, as '
        'with JSON\'s "classes".'
    )


def as_pairs(
    items: Any, call: str, classes: Sequence[str] = ()
) -> list[tuple[str, Any]]:
    """Return the (path, label) pairs of a data set given by the user.

    Args:
        items: An `Annotations`, or such pairs.
        call: A correct call, for errors, such as `train(model, items, ...)`.
        classes: Names of the model's classes, where it has some: the labels
            of an `Annotations` are numbers in their order.

    Raises:
        SpecError: If it is anything else, or empty, or has classes that the
            model lacks.
    """
    if isinstance(items, Annotations):
        pairs = items.in_order_of(classes).pairs()
    else:
        if isinstance(items, str | os.PathLike):
            raise SpecError(
                f"`items` is a path in {call}. Read it first: "
                f"read_annotations({os.fspath(items)!r})."
            )
        if hasattr(items, "itertuples"):
            raise SpecError(
                f"`items` is a table of pandas in {call}. Pass its columns of "
                "paths and of class numbers: list(zip(table.path, table.label))"
                "; or write it with table.to_csv(file, index=False) and pass "
                "read_annotations(file), which also takes names."
            )
        try:
            pairs = [_pair(item, call) for item in items]
        except TypeError as error:
            raise SpecError(
                f"`items` must be an Annotations, or (path, label) pairs, in "
                f"{call}. Received: {type(items).__name__}."
            ) from error
    if not pairs:
        raise SpecError("`items` must hold at least one (path, label) pair.")
    return pairs


def _pair(item: Any, call: str) -> tuple[str, Any]:
    wrong = f"`items` must hold (path, label) pairs in {call}."
    if isinstance(item, str | os.PathLike):
        raise SpecError(
            f"{wrong} Received the path {os.fspath(item)!r} alone: add its "
            "label, -1 where it is not known."
        )
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise SpecError(f"{wrong} Received: {str(item)[:200]}")
    path, label = item
    if not isinstance(path, str | os.PathLike):
        swapped = isinstance(label, str | os.PathLike)
        hint = " Path and label are swapped." if swapped else ""
        raise SpecError(f"{wrong} Received: {str(item)[:200]}.{hint}")
    return os.fspath(path), label


def read_annotations(
    path: str | os.PathLike,
    format: str | None = None,
    *,
    split: int | str | None = None,
    subset: str | None = None,
    root: str | os.PathLike | None = None,
    label: str | None = None,
) -> Annotations:
    """Read the list of a data set.

    | format | `path` | what it is |
    |---|---|---|
    | `folder` | folder | one per class, of videos, packed files, or frames |
    | `ucf101` | folder | ucfTrainTestlist: classInd, trainlist01, ... |
    | `hmdb51` | folder | testTrainMulti_7030_splits: one file per class |
    | `kinetics` | .csv | label, youtube_id, time_start, time_end, split |
    | `videos` | .txt, .csv | "path label ..." (mmaction2, SlowFast) |
    | `rawframes` | .txt | "folder [start] frames label ..." (TSN, mmaction2) |
    | `gluoncv` | .txt | "path frames label" (only when asked for) |
    | `cvat` | .xml | CVAT's tracks and tags: parts of videos |
    | `json` | .json | ours: {"classes": [...], "items": [{...}]} |
    | `csv` | .csv | ours: a header with path, label[, split, start, end] |

    Args:
        path: The list, or the folder. A list of ucfTrainTestlist may be given
            alone, if classInd.txt lies beside it.
        format: A name above; detected from the content when None.
        split: Number of the official split (ucf101, hmdb51), 1 when None.
        subset: "train" or "test" for ucf101 and hmdb51, a value of the
            split column for kinetics, csv and json; all items when None.
        root: Folder that the videos are in; beside the list when None.
        label: Name of the column of labels, in a CSV with several.

    Returns:
        `Annotations`.

    Raises:
        SpecError: If the list cannot be read in that format.

    Example:
        >>> read_annotations("ucfTrainTestlist", split=1, subset="train",
        ...                  root="UCF-101")
    """
    path = expanded(path)
    if not path.exists():
        raise SpecError(f"There is no annotation list {path}. Check the path.")
    part = split_formats.official_part(path)
    if format is None and label is None and part is not None:
        path, split, subset = _whole(path, part, split, subset)
    if format is None:
        format = "csv" if label else detect_format(path)
    if label and format != "csv":
        raise SpecError(
            "`label` names a column of a CSV. Received: "
            f"label={label!r}, format={format!r}"
        )
    check_choice("format", format, FORMATS)
    root = None if root is None else expanded(root)
    with explained(str(path)):
        listing = FORMATS[format](Request(path, split, subset, root, label))
        check_names(listing.classes)
    if not listing.items:
        raise SpecError(
            f"{path} holds no items (format={format!r}, split={split!r}, "
            f"subset={subset!r})."
        )
    return Annotations(
        tuple(listing.items),
        tuple(listing.classes),
        listing.root,
        format,
        tuple(listing.passed_over),
    )


def _whole(
    path: Path,
    part: tuple[int, str],
    split: int | str | None,
    subset: str | None,
) -> tuple[Path, int, str]:
    """Return the folder of an official list, and what of it the list is."""
    number, name = part
    if str(split or number) != str(number) or (subset or name) != name:
        raise SpecError(
            f"{path} is the {name} part of split {number}. Leave `split` and "
            f"`subset` out, or give the folder {path.parent}. Received: "
            f"split={split}, subset={subset!r}"
        )
    return path.parent, number, name


def detect_format(path: Path) -> str:
    """Return the format of a list, detected from its name and first lines.

    Raises:
        SpecError: If no format fits, or two do.
    """
    if path.is_dir():
        return split_formats.official_format(os.listdir(path)) or "folder"
    suffix = path.suffix.lower()
    if suffix in (".json", ".xml"):
        return {".json": "json", ".xml": "cvat"}[suffix]
    rows = [line for _, line in rows_of(path)]
    first = rows[0] if rows else ""
    if split_formats.is_one_class(path, rows):
        raise SpecError(
            f"{path} is one class of HMDB-51's official lists, and its numbers "
            "say what is for training. Give the folder that it lies in, or "
            "format='videos' (`--format`) if they are classes."
        )
    if "youtube_id" in header_of(first):
        return "kinetics"
    if {"path", "label"} <= set(list_formats.columns_of(first)):
        return "csv"
    if list_formats.looks_like_rawframes(rows):
        return "rawframes"
    if list_formats.looks_like_videos(rows):
        if list_formats.counts_or_labels(rows):
            raise SpecError(_counts_or_labels(path, first))
        return "videos"
    raise SpecError(_unknown(path, first))


def _counts_or_labels(path: Path, first: str) -> str:
    return (
        f"{path} has the same two or three numbers in every row, such as "
        f"{first!r}: frames and label, start, end and label, or labels alone? "
        "Pass format='gluoncv' for 'path frames label', or format='videos' "
        "where every video shows several classes (--format on the command "
        "line). Write parts as a CSV of path, start, end, label, in seconds."
    )


def _unknown(path: Path, first: str) -> str:
    columns = list_formats.COLUMNS
    return (
        f"Cannot tell the format of {path}: its first line is {first[:200]!r}. "
        f"A table needs a header with a column for the path "
        f"({', '.join(columns['path'])}) and one for the label "
        f"({', '.join(columns['label'])}). Or pass `format`, one of "
        f"{', '.join(FORMATS)}."
    )


FORMATS: dict[str, Callable[[Request], Listing]] = {
    "folder": read_folder,
    "ucf101": split_formats.read_ucf101,
    "hmdb51": split_formats.read_hmdb51,
    "kinetics": split_formats.read_kinetics,
    "videos": list_formats.read_videos,
    "rawframes": list_formats.read_rawframes,
    "gluoncv": list_formats.read_gluoncv,
    "cvat": read_cvat,
    "json": list_formats.read_json,
    "csv": list_formats.read_csv,
}
