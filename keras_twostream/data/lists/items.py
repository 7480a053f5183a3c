"""One video of a data set, and a request for many."""

import dataclasses
import os
from pathlib import Path

from keras_twostream.errors import SpecError


@dataclasses.dataclass(frozen=True)
class Item:
    """A video and what it shows.

    Attributes:
        path: File, or folder of frames, relative to the annotations' root.
        labels: Class numbers from 0; usually one, none when unknown.
        subset: The part of the data set, "train" or "test", where the list
            has several.
    """

    path: str
    labels: tuple[int, ...]
    subset: str | None = None


@dataclasses.dataclass(frozen=True)
class Request:
    """What a reader of annotations is asked for.

    Attributes:
        path: The list, or the folder.
        split: Number of the official split.
        subset: "train", "test", or what a split column says; None for all.
        root: Folder that the videos are in.
    """

    path: Path
    split: int | str | None
    subset: str | None
    root: Path | None

    @property
    def videos(self) -> Path:
        """`root`, or the folder that the list stands in."""
        return self.path.parent if self.root is None else self.root


def check_smallest(label: int, place: str | os.PathLike) -> None:
    """Refuses the smallest of some labels when it can be of no video.

    Args:
        label: The label.
        place: The list, or the video, that has it.

    Raises:
        SpecError: If it is below -1.
    """
    if label < -1:
        raise SpecError(
            f"{place} has the label {label}: classes are numbered from 0, and "
            "-1 stands for one that is not known. Correct the list."
        )


# What every reader returns: items, class names, root.
Listing = tuple[list[Item], list[str], Path]
