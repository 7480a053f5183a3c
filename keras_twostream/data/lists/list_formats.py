"""Plain lists: mmaction2, TSN, SlowFast, and our own JSON and CSV.

Fields are split from the right, since paths may hold spaces.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_twostream.data.lists.files import VIDEO_SUFFIXES
from keras_twostream.data.lists.items import (
    Item,
    Listing,
    Request,
    check_smallest,
)
from keras_twostream.errors import SpecError

_VIDEO_LINE = re.compile(r"(?P<path>.*\S\.\w+)(?P<labels>([\s,]+-?\d+)*)\s*$")
_FRAMES_LINE = re.compile(r"(?P<path>.*?\S)(?P<numbers>\s+\d+(\s+-?\d+)+)\s*$")


def text_of(path: Path) -> str:
    """A text file in UTF-8, or in UTF-16 that says so at its start.

    Raises:
        SpecError: If it is a video, or in another encoding.
    """
    if path.suffix.lower() in VIDEO_SUFFIXES:
        raise SpecError(
            f"{path} is a video. Give a list of videos, or a folder with one "
            "folder of videos per class."
        )
    content = path.read_bytes()
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    try:
        return content.decode(
            "utf-16" if content.startswith(marks) else "utf-8-sig"
        )
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{path} is not text in UTF-8 ({error}). Save it as UTF-8."
        ) from error


def lines(path: Path) -> list[str]:
    """The lines of a text file that are not blank, whatever ends them."""
    text = text_of(path)
    return [line.strip() for line in text.splitlines() if line.strip()]


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file with a header."""
    file = io.StringIO(text_of(path), newline="")
    return list(csv.DictReader(file, skipinitialspace=True))


def looks_like_videos(rows: list[str]) -> bool:
    """Whether the first lines are "path.ext label"."""
    return bool(rows) and all(_VIDEO_LINE.match(row) for row in rows[:20])


def looks_like_rawframes(rows: list[str]) -> bool:
    """Whether the first lines are "folder frames label"."""
    frames = [_FRAMES_LINE.match(row) for row in rows[:20]]
    has_suffix = any(match and _suffix(match["path"]) for match in frames)
    return bool(rows) and all(frames) and not has_suffix


def read_videos(request: Request) -> Listing:
    """mmaction2 and SlowFast: "path label", several labels for several
    classes, -1 or none where the label is not known."""
    path = request.path
    items = []
    for row in lines(path):
        match = _VIDEO_LINE.match(row)
        if match is None:
            raise _bad_line(path, row, "path.ext label")
        labels = map(int, re.findall(r"-?\d+", match["labels"]))
        items.append(Item(match["path"], _known(labels, path)))
    return items, [], request.videos


def read_rawframes(request: Request) -> Listing:
    """TSN and mmaction2: "folder frames label ..." or "folder start frames
    label ..."; for flow, the frames are the flow fields."""
    rows = [_frames_line(request.path, row) for row in lines(request.path)]
    before = _numbers_before_labels(request.path, rows)
    items = [
        Item(folder, _known(map(int, numbers[before:]), request.path))
        for folder, *numbers in rows
    ]
    return items, [], request.videos


def _frames_line(path: Path, row: str) -> tuple[str, ...]:
    match = _FRAMES_LINE.match(row)
    if match is None:
        raise _bad_line(path, row, "folder frames label")
    return (match["path"], *match["numbers"].split())


def _numbers_before_labels(path: Path, rows: list[tuple[str, ...]]) -> int:
    """1, the frames, or 2 where a start stands before them.

    The whole list decides: only where every row has a number to spare, and
    that is 0 or 1, is it the start.
    """
    if any(len(row) < 4 for row in rows):
        return 1
    first = {row[1] for row in rows}
    if len({row[0] for row in rows}) == len(set(rows)):
        if first <= {"0", "1"}:
            return 2
        if "0" not in first and any(len(row) > 4 for row in rows):
            return 1
    raise SpecError(
        f"{path} names parts of folders, as 'folder start frames label', "
        "which are not read: cut them into folders of their own. If its rows "
        "are 'folder frames label label', write the labels as JSON, see "
        "read_annotations."
    )


def read_json(request: Request) -> Listing:
    """Ours: {"classes": [names], "items": [{"path", "label"[, "split"]}]};
    a label is a class name, a number from 0, or a list of them."""
    path = request.path
    try:
        content = json.loads(text_of(path))
        rows = content["items"]
        stated = content.get("classes")
        paths = [row["path"] for row in rows]
        labels = [_as_list(row.get("label")) for row in rows]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SpecError(
            f"{path} must hold {{'classes': [...], 'items': [{{'path': ..., "
            f"'label': ...}}]}}. Received: {type(error).__name__}: {error}"
        ) from error
    splits = [row.get("split") for row in rows]
    return _ours(request, paths, labels, splits, stated)


def read_csv(request: Request) -> Listing:
    """Ours: a header with path and label, maybe split; several labels are
    separated by "|"."""
    path = request.path
    rows = table(path)
    if rows and not {"path", "label"} <= set(rows[0]):
        raise SpecError(
            f"{path} needs the columns path and label. "
            f"Received: {', '.join(map(str, rows[0]))}"
        )
    labels = [
        [_number_or_name(label) for label in (row["label"] or "").split("|")]
        for row in rows
    ]
    paths = [row["path"] for row in rows]
    splits = [row.get("split") for row in rows]
    return _ours(request, paths, labels, splits)


def _ours(
    request: Request,
    paths: list[str],
    labels: list[list[int | str]],
    splits: list[str | None],
    stated: list[str] | None = None,
) -> Listing:
    used = {label for row in labels for label in row if isinstance(label, str)}
    names = list(stated or sorted(used - {""}))
    items = []
    for path, row, split in zip(paths, labels, splits, strict=True):
        if request.subset and split != request.subset:
            continue
        known = [label for label in row if label not in ("", -1)]
        numbers = [_number(label, names, request.path) for label in known]
        numbers = _known(numbers, request.path)
        items.append(Item(path, numbers, subset=split or None))
    return items, names, request.videos


def _number(label: int | str, names: list[str], path: Path) -> int:
    if isinstance(label, int):
        return label
    if label not in names:
        raise SpecError(
            f"{path} uses the label {label!r}, which its classes lack: "
            f"{', '.join(names)}."
        )
    return names.index(label)


def _known(labels: Iterable[int], path: Path) -> tuple[int, ...]:
    """The labels but for -1, which says that one is not known."""
    labels = tuple(labels)
    check_smallest(min(labels, default=-1), path)
    return tuple(label for label in labels if label >= 0)


def _as_list(label: Any) -> list:
    if label is None:
        return []
    return label if isinstance(label, list) else [label]


def _number_or_name(text: str) -> int | str:
    text = text.strip()
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def _suffix(path: str) -> bool:
    return bool(re.search(r"\.[A-Za-z]\w{1,3}$", path))


def _bad_line(path: Path, row: str, wanted: str) -> SpecError:
    return SpecError(f"{path}: expected '{wanted}'. Received: {row!r}")
