"""Plain lists: mmaction2, TSN, SlowFast, GluonCV, and our own JSON and CSV.

Fields are split from the right, since paths may hold spaces.
"""

import functools
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_twostream._schema import Rule, check
from keras_twostream.data.lists.files import is_video
from keras_twostream.data.lists.items import Item, Listing, Request
from keras_twostream.data.lists.labels import known
from keras_twostream.data.lists.rows import (
    explained,
    header_of,
    lines,
    parse_rows,
    table,
    text_of,
)
from keras_twostream.errors import SpecError

# The names of a table's columns, in lower case; the first is ours.
COLUMNS = {
    "path": (
        *("path", "video", "file", "filename", "filepath", "file_name"),
        *("file_path", "video_path", "video_name", "clip"),
    ),
    "label": (
        *("label", "labels", "class", "class_name", "classname", "action"),
        *("activity", "category", "target"),
    ),
    "split": ("split", "subset", "set", "partition"),
    "start": (
        *("start", "start_time", "time_start", "start_seconds", "begin"),
        *("start_second", "start_sec", "start_s"),
    ),
    "end": (
        *("end", "end_time", "time_end", "end_seconds", "stop"),
        *("end_second", "end_sec", "end_s"),
    ),
}
# Names of a part's limits that are not read, letters alone: "start_frame",
# "tEnd", "begin (ms)"; and of both limits in one value.
_LIMIT = re.compile(
    r"(t|frame|time|clip|video|action|event|segment|shot)?"
    r"(start|begin|end|stop|from|to|onset|first(?=frame)|last(?=frame))"
    r"(t|f|frames?|time|timestamp|s|secs?|seconds?|ms|index|idx|number)?"
)
_BOTH_LIMITS = re.compile(r"(time)?(segment|interval|timestamp|range|window)s?")
_POSITIVE = re.compile(r"[\d.:,]*[1-9][\d.:,]*\s*[a-z]*", re.I)
_TWO_NUMBERS = re.compile(r"[\[(]*\d[\d.]*\s*[-,;: ]\s*\d[\d.]*[\])]*")
_VIDEO_LINE = re.compile(r"(?P<path>.*\S\.\w+)(?P<labels>([\s,]+-?\d+)*)\s*$")
_FRAMES_LINE = re.compile(r"(?P<path>.*?\S)(?P<numbers>\s+\d+(\s+-?\d+)+)\s*$")
_NUMBER = re.compile(r"-?\d+")
_FRACTION = re.compile(r"[-+]?\d+\.\d+")  # as spreadsheets write numbers
_JSON = {
    "items": Rule(list),
    "classes": Rule(list, item=str, none=True, required=False),
}
_SEEN = 20  # lines of a list from which its format is detected


# === Telling formats apart ===


def columns_of(line: str) -> dict[str, str]:
    """Return the header's names of known columns, by our names."""
    return known_among(header_of(line))


def known_among(present: Collection[str]) -> dict[str, str]:
    """Return the names that are known among some, by our names."""
    return {
        column: next(name for name in names if name in present)
        for column, names in COLUMNS.items()
        if any(name in present for name in names)
    }


def looks_like_videos(rows: Sequence[str]) -> bool:
    """Return whether the first lines are "path.ext label"."""
    return bool(rows) and all(_VIDEO_LINE.match(row) for row in rows[:_SEEN])


def counts_or_labels(rows: Sequence[str]) -> bool:
    """Return whether "path.ext 4 0" may mean frames and a label.

    Every row has two numbers, as in GluonCV's lists, or three, as with a start,
    an end and a label; or every video shows as many classes.
    """
    matches = [_VIDEO_LINE.match(row) for row in rows]
    counts = {len(_NUMBER.findall(x["labels"])) if x else 0 for x in matches}
    return counts in ({2}, {3})


def looks_like_rawframes(rows: Sequence[str]) -> bool:
    """Return whether the first lines are "folder frames label"."""
    frames = [_FRAMES_LINE.match(row) for row in rows[:_SEEN]]
    has_suffix = any(match and _suffix(match["path"]) for match in frames)
    return bool(rows) and all(frames) and not has_suffix


def refuse_limits(row: Mapping[str, Any], columns: Mapping[str, str]) -> None:
    """Refuse a row whose part of a video is given in a way that is not read.

    Args:
        row: Values by the names of columns, in lower case.
        columns: Names that are read, by ours.

    Raises:
        SpecError: If another name is that of a start or an end.
    """
    if row.get(columns.get("end", "")) not in (None, ""):
        return
    read = set(columns.values())
    for name, value in row.items():
        limit = None if name in read else _limits_of(name)
        if limit is not None and limit.fullmatch(str(value)):
            raise SpecError(
                f"has {name} {value}, which is not read: the whole video would "
                "be. Write the part in seconds, as start and end; or remove "
                f"{name} where the file is cut already."
            )


@functools.lru_cache(maxsize=256)  # a table's rows have the same columns
def _limits_of(name: str) -> re.Pattern[str] | None:
    """Return the pattern of limits in a column; None if it cannot hold any."""
    name = re.sub(r"[^a-z]", "", name)
    if _BOTH_LIMITS.fullmatch(name):
        return _TWO_NUMBERS
    return _POSITIVE if _LIMIT.fullmatch(name) else None


# === Readers ===


def read_videos(request: Request) -> Listing:
    """Read "path label", with several labels for several classes.

    -1 or no number at all means that the label is not known (mmaction2,
    SlowFast).
    """

    def item(row: str) -> Item:
        match = _matched(_VIDEO_LINE, row, "path.ext label")
        _, *last = match["path"].rsplit(maxsplit=1)
        _refuse_fractions([x for x in last if not is_video(x)])
        return Item(match["path"], known(_numbers(match["labels"])))

    return _of_lines(request, item)


def read_gluoncv(request: Request) -> Listing:
    """Read "path frames label"; the number of frames is not needed."""

    def item(row: str) -> Item:
        match = _matched(_VIDEO_LINE, row, "path.ext frames label")
        _, label = _numbers(match["labels"])
        return Item(match["path"], known([label]))

    return _of_lines(request, item)


def _of_lines(request: Request, item: Callable[[str], Item]) -> Listing:
    items = parse_rows(request.path, lines(request.path), item)
    return Listing(items, (), request.videos)


def read_rawframes(request: Request) -> Listing:
    """Read "folder frames label ..." or "folder start frames label ...".

    For flow, the frames are the flow fields (TSN, mmaction2).
    """

    def fields(row: str) -> tuple[str, list[int]]:
        match = _matched(_FRAMES_LINE, row, "folder frames label")
        return match["path"], _numbers(match["numbers"])

    path, numbered = request.path, lines(request.path)
    rows = parse_rows(path, numbered, fields)
    before = _numbers_before_labels(path, rows)
    items = parse_rows(
        path,
        [(n, row) for (n, _), row in zip(numbered, rows, strict=True)],
        lambda row: Item(row[0], known(row[1][before:])),
    )
    return Listing(items, (), request.videos)


def _numbers_before_labels(
    path: Path, rows: Sequence[tuple[str, list[int]]]
) -> int:
    """Return 1 for the frames alone, or 2 for a start and the frames.

    The whole list decides: the first number is a start only if every row has
    an extra number and that number is 0 or 1.
    """
    if any(len(numbers) < 3 for _, numbers in rows):
        return 1
    first = {numbers[0] for _, numbers in rows}
    different = {(folder, *numbers) for folder, numbers in rows}
    if len({folder for folder, _ in rows}) == len(different):
        if first <= {0, 1}:
            return 2
        if 0 not in first and any(len(numbers) > 3 for _, numbers in rows):
            return 1
    raise SpecError(
        f"{path} names parts of folders, as 'folder start frames label', "
        "which are not read: cut them into folders of their own. If its rows "
        "are 'folder frames label label', write the labels as JSON, see "
        "read_annotations."
    )


def read_json(request: Request) -> Listing:
    """Read our JSON, {"classes": [...], "items": [{"path", "label", ...}]}.

    A label is a class name, a number from 0, or a list of them. An item may
    also have "split", "start" and "end", and names them as a table may.
    """
    path = request.path
    with explained(
        f"{path} must hold {{'classes': [...], 'items': [{{'path': ..., "
        "'label': ...}]}, and"
    ):
        content = json.loads(text_of(path), object_pairs_hook=_unique)
        if not isinstance(content, Mapping):
            raise SpecError(f"holds {type(content).__name__}")
        if {"images", "annotations"} <= set(content):
            raise SpecError(
                "it is a list of boxes. Detectors take those: `train --task "
                "tubes`, `evaluate --detections`, detection.read_boxes."
            )
        kept = {name: content[name] for name in _JSON if name in content}
        content = check(kept, _JSON, path, SpecError)
        rows = [_json_row(n, row) for n, row in enumerate(content["items"], 1)]
    classes = [name.strip() for name in content.get("classes") or ()]
    if not classes:
        rows = _numbers_or_names(rows, digits=_has_numbers(rows))
    return _ours(request, rows, "item", classes)


def _has_numbers(rows: Sequence[tuple[int, dict[str, Any]]]) -> bool:
    """Return whether a class is a number, and not a text of digits."""
    labels = (label for _, row in rows for label in row["labels"])
    return any(isinstance(label, int) and label != -1 for label in labels)


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, whose names must differ."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SpecError(f"has {twice!r} twice in one object. Remove one.")
    return dict(pairs)


def _json_row(number: int, row: Any) -> tuple[int, dict[str, Any]]:
    with explained(f"item {number}"):
        row = _unique([(name.lower(), value) for name, value in row.items()])
        columns = known_among(row)
        refuse_limits(row, columns)
        values = {
            column: row[columns[column]] if column in columns else None
            for column in COLUMNS
        }
        if "path" not in columns:
            raise SpecError(
                f"needs a path: one of {', '.join(COLUMNS['path'])}."
            )
        values["split"] = _subset(values["split"])
        label = values.pop("label")
        labels = label if isinstance(label, list) else [label]
        labels = [x.strip() if isinstance(x, str) else x for x in labels]
        wrong = [
            one
            for one in labels
            if isinstance(one, bool) or not isinstance(one, int | str | None)
        ]
        if wrong:
            raise SpecError(f"has the label {wrong[0]!r}, no name or number.")
        values["labels"] = [one for one in labels if one not in (None, "")]
        return number, values


def _subset(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise SpecError(
            f"has the split {value!r}. Write the name of one subset, such as "
            '"train".'
        )
    return None if value is None else str(value)


def read_csv(request: Request) -> Listing:
    """Read our CSV: a header with path, label[, split, start, end].

    Several labels are separated by "|". Start and end are seconds.
    """
    path = request.path
    numbered = lines(path)
    columns = columns_of(numbered[0][1]) if numbered else {}
    if request.label is not None:
        columns["label"] = _column(request, numbered)
    for column in ("path", "label"):
        if column not in columns:
            raise SpecError(
                f"{path} needs a column for the {column}: one of "
                f"{', '.join(COLUMNS[column])}. Received: "
                f"{numbered[0][1] if numbered else 'an empty file'}"
            )
    rows = parse_rows(
        path,
        [(n, (n, row)) for n, row in table(path, columns.values())],
        lambda row: (row[0], _csv_row(row[1], columns)),
    )
    return _ours(request, _numbers_or_names(rows), "line")


def _column(request: Request, numbered: Sequence[tuple[int, str]]) -> str:
    """Return the name of the column of labels that was asked for."""
    present = header_of(numbered[0][1]) if numbered else ()
    name = str(request.label).lower()
    if name not in present:
        raise SpecError(
            f"{request.path} has no column {request.label!r}. Its columns: "
            f"{', '.join(present)}."
        )
    return name


def _csv_row(row: dict[str, str], columns: dict[str, str]) -> dict[str, Any]:
    refuse_limits(row, columns)
    values: dict[str, Any] = {
        column: row[name] or None for column, name in columns.items()
    }
    labels = (values.pop("label") or "").split("|")
    values["labels"] = [x.strip() for x in labels if x.strip()]
    return values


def _numbers_or_names(
    rows: list[tuple[int, dict[str, Any]]], digits: bool = True
) -> list[tuple[int, dict[str, Any]]]:
    """Convert labels to numbers if all are numbers; "-1" is always one.

    Args:
        rows: Numbered rows.
        digits: Whether a text of digits may be a number.
    """
    texts = {str(label) for _, row in rows for label in row["labels"]}
    numbers = digits and all(
        # Longer ones are no numbers of classes, and Python reads none of 4300.
        re.fullmatch(r"-?\d{1,400}", text)
        for text in texts
    )
    for _, row in rows:
        row["labels"] = [
            int(label) if numbers or label == "-1" else label
            for label in row["labels"]
        ]
    return rows


def _ours(
    request: Request,
    rows: Sequence[tuple[int, dict[str, Any]]],
    unit: str,
    stated: Sequence[str] = (),
) -> Listing:
    used = [label for _, row in rows for label in row["labels"]]
    names = {label for label in used if isinstance(label, str)}
    if not stated:
        _refuse_mixed(request.path, rows, unit)
    classes = list(stated or sorted(names))
    if len(set(classes)) < len(classes):
        raise SpecError(f"{request.path} names a class twice. Remove one.")

    def item(row: dict[str, Any]) -> Item | None:
        if request.subset and row.get("split") != request.subset:
            return None
        if not stated:
            _refuse_fractions(row["labels"])
        numbers = [_number(label, classes) for label in row["labels"]]
        start, end = _seconds(row)
        subset = row.get("split") or None
        return Item(_path(row["path"]), known(numbers), subset, start, end)

    items = parse_rows(request.path, rows, item, unit)
    return Listing([x for x in items if x is not None], classes, request.videos)


def _refuse_mixed(
    path: Path,
    rows: Sequence[tuple[int, dict[str, Any]]],
    unit: str,
) -> None:
    """Refuse a mix of class numbers and names."""
    first: dict[bool, tuple[int, Any]] = {}
    for number, row in rows:
        for label in row["labels"]:
            if label != -1:
                is_number = bool(re.fullmatch(r"\d+", str(label)))
                first.setdefault(is_number, (number, label))
    if len(first) == 2:
        (line, label), (other, name) = first[True], first[False]
        raise SpecError(
            f"{path} mixes numbers and names of classes: {label!r} in {unit} "
            f"{line}, {name!r} in {unit} {other}. Write names alone, or "
            'numbers alone; JSON may relate them by "classes".'
        )


def _number(label: int | str, names: Sequence[str]) -> int:
    if isinstance(label, int):
        return label
    if label not in names:
        raise SpecError(
            f"uses the label {label!r}, which its classes lack: "
            f"{', '.join(names)[:300]}."
        )
    return list(names).index(label)


def _refuse_fractions(labels: Sequence[Any]) -> None:
    """Refuse numbers with a point where numbers of classes are due."""
    for label in labels:
        if _FRACTION.fullmatch(str(label)):
            raise SpecError(
                f"has the label {label}: numbers of classes are whole. Write "
                "3 for 3.0."
            )


def _seconds(row: Mapping[str, Any]) -> tuple[float, float | None]:
    """Return the start and end of a row in seconds, or (0, None)."""
    start, end = row.get("start"), row.get("end")
    if start is None and end is None:
        return 0.0, None
    if end is None:
        raise SpecError("has a start and no end. Give both, in seconds.")
    first, last = float(start or 0.0), float(end)
    if not 0 <= first < last < 1e9:
        raise SpecError(
            f"starts at {start} and ends at {end}: seconds from the video's "
            "beginning, start before end."
        )
    return first, last


def _path(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise SpecError(f"needs the path of a video. Received: {value!r}")
    return value


def _numbers(text: str) -> list[int]:
    return [int(number) for number in _NUMBER.findall(text)]


def _matched(pattern: re.Pattern[str], row: str, wanted: str) -> re.Match[str]:
    match = pattern.match(row)
    if match is None:
        raise SpecError(f"expected '{wanted}'. Received: {row[:200]!r}")
    return match


def _suffix(path: str) -> bool:
    return bool(re.search(r"\.[A-Za-z]\w{1,3}$", path))
