"""The official lists of UCF-101, HMDB-51 and Kinetics, with their quirks."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from keras_twostream.data.lists.files import videos_in
from keras_twostream.data.lists.items import Item, Listing, Request
from keras_twostream.data.lists.list_formats import lines, table
from keras_twostream.errors import SpecError

SPLITS = (1, 2, 3)
_UCF_LIST = r"(train|test)list0{split}\.txt"
_HMDB_LIST = r"[^.].*_test_split{split}\.txt"
_HMDB_CODES = {"train": "1", "test": "2"}
_KINETICS_NAMES = (
    "{label}/{id}_{start:06d}_{end:06d}",
    "{id}_{start:06d}_{end:06d}",
    "{label}/{id}",
    "{id}",
)


def official_format(names: Iterable[str]) -> str | None:
    """The format of a folder of official splits, by its files' names."""
    names = set(names)
    if "classInd.txt" in names:
        return "ucf101"
    return "hmdb51" if _any_is(_HMDB_LIST, "[123]", names) else None


def splits_in(path: Path) -> list[int]:
    """Numbers of the official splits that a folder holds; none in a file."""
    names = os.listdir(path) if path.is_dir() else []
    return [
        split
        for split in SPLITS
        if any(_any_is(each, split, names) for each in (_UCF_LIST, _HMDB_LIST))
    ]


def _any_is(pattern: str, split: int | str, names: Iterable[str]) -> bool:
    pattern = pattern.format(split=split)
    return any(re.fullmatch(pattern, name) for name in names)


def read_ucf101(request: Request) -> Listing:
    """ucfTrainTestlist: `Class/v_Class_g01_c01.avi [label from 1]`.

    Classes come from the folder in the path: test lists hold no labels, and
    file names spell HandstandPushups in another way.
    """
    path, split = request.path, _split_number(request.split)
    rows = [line.split(maxsplit=1) for line in lines(path / "classInd.txt")]
    rows.sort(key=lambda row: int(row[0]))
    classes = [name for _, name in rows]
    items = []
    for name in _subsets(request.subset):
        for line in _existing(path / f"{name}list{split:02d}.txt"):
            video = line.rsplit(" ", 1)[0] if line[-1].isdigit() else line
            folder = video.split("/")[0]
            label = _class_number(folder, classes, path)
            items.append(Item(video, (label,), subset=name))
    return items, classes, request.videos


def read_hmdb51(request: Request) -> Listing:
    """testTrainMulti_7030_splits: `<class>_test_split1.txt`, one per class,
    lines `video.avi code`; 1 is training, 2 testing, 0 neither."""
    path, split = request.path, _split_number(request.split)
    suffix = f"_test_split{split}.txt"
    # By class, not by file: climb comes before climb_stairs.
    files = {
        file.name.removesuffix(suffix): file
        for file in path.glob(f"[!.]*{suffix}")
    }
    if not files:
        raise SpecError(f"{path} has no list *{suffix}.")
    classes = sorted(files)
    wanted = {_HMDB_CODES[name]: name for name in _subsets(request.subset)}
    items = []
    for label, folder in enumerate(classes):
        for line in lines(files[folder]):
            video, code = line.rsplit(maxsplit=1)
            if code in wanted:
                name = f"{folder}/{video}"
                items.append(Item(name, (label,), subset=wanted[code]))
    return items, classes, request.videos


def read_kinetics(request: Request) -> Listing:
    """label, youtube_id, time_start, time_end, split; classes by alphabet.

    Downloaders name the files in several ways: the one that is there is
    taken.
    """
    rows = table(request.path)
    classes = sorted({row["label"] for row in rows if row.get("label")})
    stems = _files_by_stem(request.videos)
    items = []
    for row in rows:
        if request.subset and row.get("split") != request.subset:
            continue
        label = row.get("label") or ""
        known = (classes.index(label),) if label else ()
        name, subset = _kinetics_file(row, label, stems), row.get("split")
        items.append(Item(name, known, subset=subset or None))
    return items, classes, request.videos


def _files_by_stem(root: Path) -> dict[str, str]:
    names = [path.relative_to(root) for path in videos_in(root)]
    return {str(name.with_suffix("")): str(name) for name in names}


def _kinetics_file(
    row: dict[str, str], label: str, stems: dict[str, str]
) -> str:
    """The row's file in `stems`, or what it is usually called."""
    start = int(float(row.get("time_start") or 0))
    end = int(float(row.get("time_end") or 0))
    candidates = [
        pattern.format(label=folder, id=row["youtube_id"], start=start, end=end)
        for folder in (label, label.replace(" ", "_"))
        for pattern in _KINETICS_NAMES
    ]
    for stem in candidates:
        if stem in stems:
            return stems[stem]
    return f"{candidates[0]}.mp4"


def _class_number(name: str, classes: list[str], path: Path) -> int:
    try:
        return classes.index(name)
    except ValueError:
        raise SpecError(
            f"{path} lists videos of {name!r}, which classInd.txt lacks."
        ) from None


def _split_number(split: int | str | None) -> int:
    split = 1 if split is None else int(split)
    if split not in SPLITS:
        raise SpecError(f"`split` must be 1, 2 or 3. Received: split={split}")
    return split


def _subsets(subset: str | None) -> tuple[str, ...]:
    if subset is None:
        return ("train", "test")
    if subset not in _HMDB_CODES:
        raise SpecError(
            "`subset` must be 'train', 'test' or None for both. "
            f"Received: subset={subset!r}"
        )
    return (subset,)


def _existing(path: Path) -> list[str]:
    if not path.exists():
        raise SpecError(f"There is no split file {path}.")
    return lines(path)
