"""The official lists of UCF-101, HMDB-51 and Kinetics, with their quirks."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from keras_twostream.data.lists.files import videos_in
from keras_twostream.data.lists.items import Item, Listing, Request
from keras_twostream.data.lists.list_formats import (
    known_among,
    refuse_limits,
)
from keras_twostream.data.lists.rows import lines, parse_rows, table
from keras_twostream.errors import SpecError, check_choice

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
    """Return the format of a folder of official splits, from its files."""
    names = set(names)
    if "classInd.txt" in names:
        return "ucf101"
    return "hmdb51" if _any_is(_HMDB_LIST, "[123]", names) else None


def official_part(path: Path) -> tuple[int, str] | None:
    """Return the split and subset that one file of ucfTrainTestlist holds.

    None for another file, and for one without classInd.txt beside it. Read
    alone, its labels would count from 1, or be missing.
    """
    match = re.fullmatch(_UCF_LIST.format(split="([123])"), path.name)
    if match is None or not (path.parent / "classInd.txt").is_file():
        return None
    return int(match[2]), match[1]


def is_one_class(path: Path, rows: Sequence[str]) -> bool:
    """Return whether a list is one class of HMDB-51, whose numbers are codes.

    Its videos are named without their folder.
    """
    coded = [re.fullmatch(r"[^/]+ [012]", row.strip()) for row in rows]
    named = _any_is(_HMDB_LIST, "[123]", [path.name])
    return named and bool(coded) and all(coded)


def splits_in(path: Path) -> list[int]:
    """Return the numbers of the splits in a folder; none for a file."""
    names = os.listdir(path) if path.is_dir() else []
    return [
        split
        for split in SPLITS
        if any(
            _any_is(pattern, split, names)
            for pattern in (_UCF_LIST, _HMDB_LIST)
        )
    ]


def _any_is(pattern: str, split: int | str, names: Iterable[str]) -> bool:
    pattern = pattern.format(split=split)
    return any(re.fullmatch(pattern, name) for name in names)


def read_ucf101(request: Request) -> Listing:
    """Read ucfTrainTestlist: `Class/v_Class_g01_c01.avi [label from 1]`.

    Classes come from the folder in the path: test lists hold no labels, and
    file names spell HandstandPushups differently.
    """
    path, split = request.path, _split_number(request.split)
    classes = _ucf_classes(path / "classInd.txt")
    items: list[Item] = []
    for name in _subsets(request.subset):
        file = path / f"{name}list{split:02d}.txt"

        def item(line: str, subset: str = name) -> Item:
            video = line.rsplit(" ", 1)[0] if line[-1].isdigit() else line
            label = _class_number(video.split("/")[0], classes)
            return Item(video, (label,), subset=subset)

        items += parse_rows(file, _existing(file), item)
    return Listing(items, classes, request.videos)


def _ucf_classes(file: Path) -> list[str]:
    """Return the class names in the order of their numbers, 1 to N."""

    def numbered(line: str) -> tuple[int, str]:
        number, name = line.split(maxsplit=1)
        return int(number), name

    rows = sorted(parse_rows(file, _existing(file), numbered))
    if [number for number, _ in rows] != list(range(1, len(rows) + 1)):
        raise SpecError(
            f"{file} must number its classes from 1, each once. Get the "
            "official files again."
        )
    return [name for _, name in rows]


def read_hmdb51(request: Request) -> Listing:
    """Read testTrainMulti_7030_splits: one `<class>_test_split1.txt` each.

    Their lines are `video.avi code`; 1 is training, 2 testing, 0 neither.
    """
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
    items: list[Item] = []
    for label, folder in enumerate(classes):
        rows = parse_rows(files[folder], lines(files[folder]), _hmdb_row)
        items += [
            Item(f"{folder}/{video}", (label,), subset=wanted[code])
            for video, code in rows
            if code in wanted
        ]
    return Listing(items, classes, request.videos)


def _hmdb_row(line: str) -> tuple[str, str]:
    video, code = line.rsplit(maxsplit=1)
    if code not in ("0", "1", "2"):
        raise SpecError(f"expected 'video.avi 0|1|2'. Received: {line!r}")
    return video, code


def read_kinetics(request: Request) -> Listing:
    """Read label, youtube_id, time_start, time_end, split.

    Classes are in alphabetical order. Downloaders name the files in several
    ways: the existing one is used.
    """
    path = request.path
    rows = table(path, ("label", "youtube_id"))
    classes = sorted({row["label"] for _, row in rows if row.get("label")})
    numbers = {name: number for number, name in enumerate(classes)}
    stems = _files_by_stem(request.videos)

    columns = known_among(rows[0][1]) if rows else {}

    def item(row: dict[str, str]) -> Item | None:
        refuse_limits(row, columns)
        ours = {column: row[name] for column, name in columns.items()}
        subset, label = ours.get("split") or None, row.get("label") or ""
        if request.subset and subset != request.subset:
            return None
        labels = (numbers[label],) if label else ()
        file = _kinetics_file({**row, **ours}, label, stems)
        return Item(file, labels, subset)

    items = parse_rows(path, rows, item)
    return Listing([x for x in items if x is not None], classes, request.videos)


def _files_by_stem(root: Path) -> dict[str, str]:
    names = [path.relative_to(root) for path in videos_in(root)]
    return {str(name.with_suffix("")): str(name) for name in names}


def _kinetics_file(
    row: dict[str, str], label: str, stems: dict[str, str]
) -> str:
    """Return the row's file in `stems`, or its usual name."""
    if not row["youtube_id"]:
        raise SpecError("has no youtube_id.")
    start = int(float(row.get("start") or 0))
    end = int(float(row.get("end") or 0))
    candidates = [
        pattern.format(label=folder, id=row["youtube_id"], start=start, end=end)
        for folder in (label, label.replace(" ", "_"))
        for pattern in _KINETICS_NAMES
    ]
    for stem in candidates:
        if stem in stems:
            return stems[stem]
    return f"{candidates[0]}.mp4"


def _class_number(name: str, classes: Sequence[str]) -> int:
    if name not in classes:
        raise SpecError(f"is a video of {name!r}, which classInd.txt lacks.")
    return list(classes).index(name)


def _split_number(split: int | str | None) -> int:
    number = 1 if split is None else split
    if str(number) not in map(str, SPLITS):
        raise SpecError(f"`split` must be 1, 2 or 3. Received: split={split}")
    return int(number)


def _subsets(subset: str | None) -> tuple[str, ...]:
    if subset is None:
        return ("train", "test")
    check_choice("subset", subset, _HMDB_CODES, otherwise=", or None for both")
    return (subset,)


def _existing(path: Path) -> list[tuple[int, str]]:
    if not path.exists():
        raise SpecError(f"There is no split file {path}.")
    return lines(path)
