"""Examination of annotation lists and official splits."""

import collections
import os
import re
from pathlib import Path

from keras_twostream.data.cache import open_packed
from keras_twostream.data.cache.packed_file import is_packed
from keras_twostream.data.cutting.clip_sources import is_extracted
from keras_twostream.data.doctor.report import Report
from keras_twostream.data.doctor.videos import look_at
from keras_twostream.data.layouts import read_layout
from keras_twostream.data.lists.annotations import (
    Annotations,
    detect_format,
    read_annotations,
)
from keras_twostream.data.lists.split_formats import SPLITS
from keras_twostream.errors import SpecError, TwoStreamError

_GROUP = re.compile(r"_(g\d+)_c\d+")


def holds_splits(path: Path) -> bool:
    """Return whether a folder holds the split files of UCF-101 or HMDB-51."""
    return detect_format(path) in ("ucf101", "hmdb51")


def examine_list(
    path: Path, root: str | os.PathLike[str] | None, deep: bool = False
) -> Report:
    """Compare a list with the files it names, and open them."""
    annotations = read_annotations(path, root=root)
    report = Report(path, f"list ({annotations.format})")
    _describe(report, annotations)
    _check_files(report, annotations)
    _open_files(report, annotations, deep)
    _check_labels(report, annotations)
    return report


def _open_files(report: Report, annotations: Annotations, deep: bool) -> None:
    present = [
        Path(x) for x in dict.fromkeys(annotations.files) if _has_bytes(x)
    ]
    extracted = [path for path in present if is_extracted(str(path))]
    videos = [path for path in present if path not in set(extracted)]
    if videos:
        look_at(report, videos, deep)
    for path in extracted:
        try:
            open_packed(path) if is_packed(path) else read_layout(path)
        except TwoStreamError as error:
            advice = "Extract it again, or remove it from the list."
            report.problem(str(error), advice, (path,))


def _has_bytes(path: str) -> bool:
    return os.path.exists(path) and (
        os.path.isdir(path) or os.path.getsize(path) > 0
    )


def examine_splits(path: Path, root: str | os.PathLike | None) -> Report:
    """Compare the training and test sets of every official split."""
    name = detect_format(path)
    report = Report(path, f"official splits ({name})")
    for split in SPLITS:
        try:
            train, test = (
                read_annotations(path, split=split, subset=subset, root=root)
                for subset in ("train", "test")
            )
        except (SpecError, OSError) as error:
            report.problem(
                f"Split {split} cannot be read: {error}",
                "Unpack the official archive again.",
            )
            continue
        report.facts[f"split_{split}"] = {
            "train": len(train),
            "test": len(test),
        }
        _compare(report, split, train, test)
        if root is not None:
            for part in (train, test):
                _check_files(report, part, f" in split {split}")
    return report


def _describe(report: Report, annotations: Annotations) -> None:
    report.facts["items"] = len(annotations)
    report.facts["root"] = str(annotations.root)
    report.facts["classes"] = dict(_counts(annotations))


def _counts(annotations: Annotations) -> list[tuple[str, int]]:
    """Return name and number of items of each class."""
    counts = annotations.counts().tolist()
    names = annotations.classes or map(str, range(len(counts)))
    return list(zip(names, counts, strict=False))


def _check_files(
    report: Report, annotations: Annotations, where: str = ""
) -> None:
    missing = [path for path in annotations.files if not os.path.exists(path)]
    report.problem(
        f"{len(missing)} of {len(annotations)} items{where} are not below "
        f"{annotations.root}.",
        "Pass --root with the folder that the paths start from, or remove "
        "the lines.",
        missing,
    )
    report.problem(
        f"Items{where} whose files are empty.",
        "Copy or download them again.",
        [
            path
            for path in annotations.files
            if os.path.isfile(path) and not os.path.getsize(path)
        ],
    )


def _check_labels(report: Report, annotations: Annotations) -> None:
    tally = collections.Counter(annotations.paths)
    report.problem(
        "Items that the list names several times.",
        "Keep one line of each; several labels go on one line.",
        [path for path, count in tally.items() if count > 1],
    )
    report.remark(
        "Items without a label.",
        "They can be predicted, not trained on.",
        [item.path for item in annotations.items if not item.labels],
    )
    last = len(annotations.classes) - 1
    report.problem(
        f"Items whose label is none of the {last + 1} classes, 0 to {last}.",
        "Add the classes that the list lacks, or correct the labels; "
        "subtract 1 where a list counts from 1.",
        [
            f"{item.path}: {label}"
            for item in annotations.items
            for label in item.labels
            if annotations.classes and label > last
        ],
    )
    report.problem(
        "Classes that no item has.",
        "Labels count from 0 and leave nothing out; subtract 1 where a list "
        "counts from 1.",
        [name for name, count in _counts(annotations) if not count],
    )


def _compare(report: Report, split: int, train, test) -> None:
    both = {item.path for item in train.items} & {i.path for i in test.items}
    report.problem(
        f"Videos of split {split} in training and in test.",
        "Get the official files again.",
        sorted(both),
    )
    shared = _groups(train) & _groups(test)
    report.problem(
        f"Groups of split {split} in training and in test: clips of a group "
        "are cut from one video.",
        "Split by group, never by clip.",
        sorted(" ".join(pair) for pair in shared),
    )
    lacking = {
        name
        for name, count in zip(train.classes, train.counts(), strict=False)
        if not count
    }
    report.problem(
        f"Classes without a training video in split {split}.",
        "Get the official files again.",
        sorted(lacking),
    )


def _groups(annotations: Annotations) -> set[tuple[str, str]]:
    matches = [_GROUP.search(item.path) for item in annotations.items]
    return {
        (os.path.dirname(item.path), match[1])
        for item, match in zip(annotations.items, matches, strict=True)
        if match
    }
