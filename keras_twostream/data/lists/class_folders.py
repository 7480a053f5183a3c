"""A data set as folders: one folder per class.

A class's folder holds videos or packed files or, where no class has any, a
folder of frames for each video.
"""

import collections
import mimetypes
import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from keras_twostream.data.cache.packed_file import PACKED_SUFFIX, is_packed
from keras_twostream.data.layouts.layout import is_tree
from keras_twostream.data.lists.files import (
    VIDEO_SUFFIXES,
    folders_in,
    frame_folders_in,
    in_words,
    is_hidden,
    is_passed_over,
    videos_in,
    walk,
)
from keras_twostream.data.lists.items import Item, Listing, Request
from keras_twostream.errors import SpecError

_SUBSETS = frozenset(
    "train training trainset train_set trainval test testing testset test_set "
    "val valid validate validation valset val_set dev eval evaluation "
    "holdout".split()
)


def subset_folders(names: Iterable[str]) -> list[str]:
    """Return the names of folders that look like subsets.

    These are "train" and the like, and "train_256" beside "val_256".
    """
    alike = collections.defaultdict(set)  # by what is left without the word
    for name in (names := list(names)):
        for word in re.findall("[a-z]+", name.lower()):
            if word in _SUBSETS:
                alike[name.lower().replace(word, "", 1)].add(name)
    several = {x for group in alike.values() if len(group) > 1 for x in group}
    return [x for x in names if x.lower() in _SUBSETS or x in several]


def read_folder(request: Request) -> Listing:
    """Read one folder per class, in the subset's folder if one is given."""
    root = request.path / (request.subset or "")
    if not root.is_dir():
        raise SpecError(f"There is no folder {root}.")
    folders, passed_over = folders_in(root), _others_in(root, [])
    data = {x.name: videos_in(x, packed=True) for x in folders}
    if not any(data.values()):
        data = {
            x.name: [y for y in folders_in(x) if frame_folders_in(y) == [y]]
            for x in folders
        }
        _check_trees(root, data)
    for folder in folders:
        passed_over += _others_in(root, data[folder.name], folder)
    classes = [name for name, files in data.items() if files]
    if not classes:
        raise SpecError(_no_classes(root, passed_over))
    _check_subsets(root, classes)
    _check_packed(root, {x for name in classes for x in data[name]})
    items = [
        Item(str(path.relative_to(root)), (label,))
        for label, name in enumerate(classes)
        for path in data[name]
    ]
    return Listing(items, classes, root, passed_over)


def _check_trees(root: Path, data: Mapping[str, Sequence[Path]]) -> None:
    """Refuse trees of frames and flow as classes, or as videos."""
    videos = {path.name for folders in data.values() for path in folders}
    for names in (videos, {name for name, folders in data.items() if folders}):
        if names and all(map(is_tree, names)):
            raise SpecError(
                f"{root} holds frames in folders called "
                f"{', '.join(sorted(names))}, which look like trees of one "
                "kind of picture rather than classes or videos. Give a list "
                "of each video's folder: a CSV with path,label."
            )


def _others_in(
    root: Path, data: Sequence[Path], folder: Path | None = None
) -> list[str]:
    """Return the skipped files directly in a root, or in all of a folder."""
    if folder is None:
        names = sorted(x.name for x in root.iterdir() if x.is_file())
        names = [name for name in names if not is_hidden(name)]
    else:
        taken = set(data)
        names = [
            str((place / name).relative_to(root))
            for place, _, inside in walk(folder)
            if place not in taken
            for name in inside
        ]
        lists = bool(names) and all(not is_passed_over(x) for x in names)
        if not data and not lists:
            return [f"{folder.relative_to(root)}/"]
    return [name for name in names if is_passed_over(name)]


def _no_classes(root: Path, passed_over: Sequence[str]) -> str:
    higher = " Its videos lie in it directly: give the folder above it."
    other = f" It holds {in_words(passed_over)}." if passed_over else ""
    frames = (
        f" Frames are read from {root}/<class>/<video>/00001.jpg and so on, or "
        "from the folders that a list names: a CSV with path,label."
    )
    return (
        f"{root} holds no videos in class folders: expected "
        f"{root}/<class>/<video>, with a suffix among "
        f"{', '.join(sorted(VIDEO_SUFFIXES))}.{other}"
        f"{higher if videos_in(root, packed=True) else ''}"
        f"{frames if _has_pictures(root) else ''}"
    )


def _has_pictures(root: Path) -> bool:
    kinds = (
        mimetypes.guess_type(x)[0] for *_, names in walk(root) for x in names
    )
    return any(kind and kind.startswith("image/") for kind in kinds)


def _check_subsets(root: Path, classes: Sequence[str]) -> None:
    """Refuse subset folders as classes; warn if only some look like subsets."""
    subsets = subset_folders(classes)
    if len(subsets) == len(classes):
        raise SpecError(
            f"{root} holds videos in the folders {', '.join(classes)}, which "
            "look like subsets rather than classes. Give one of these "
            "folders, or its name as subset=."
        )
    if len(subsets) > 1:
        warnings.warn(
            f"{root} holds videos in the folders {', '.join(classes)}, of "
            f"which {', '.join(subsets)} look like subsets rather than "
            "classes. All are read as classes; if that is wrong, pass "
            "subset= with one of them.",
            stacklevel=4,
        )


def _check_packed(root: Path, data: Collection[Path]) -> None:
    """Refuse videos beside their packed files: each would count twice."""
    videos = (path for path in data if not is_packed(path))
    twice = [
        video
        for video in videos
        if video.with_name(video.name + PACKED_SUFFIX) in data
    ]
    if twice:
        raise SpecError(
            f"{root} holds {len(twice)} of its videos twice, as they are and "
            f"packed, such as {min(twice)} and {min(twice).name}"
            f"{PACKED_SUFFIX}. Move the packed files, which end in "
            f"{PACKED_SUFFIX}, to a folder of their own."
        )
