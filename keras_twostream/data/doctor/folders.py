"""Examination of frames and flow that other tools wrote."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.data.doctor.report import Report
from keras_twostream.data.layouts import Layout, measure, read_layout
from keras_twostream.data.layouts.measuring import likely_bound
from keras_twostream.data.layouts.sources import read_picture, zero_level
from keras_twostream.errors import VideoError

MEASURED = 5  # videos whose flow is recomputed for comparison


def examine_folders(
    path: Path, folders: Sequence[Path], bound: float
) -> Report:
    """Count frames and flow, and find what is missing or misread."""
    layouts, unread = _videos(folders)
    names = sorted({layout.name for layout in layouts})
    report = Report(path, ", ".join(names))
    report.problem("Folders that cannot be read.", "See each.", unread)
    report.facts["videos"] = len(layouts)
    report.facts["frames"] = sum(len(item.files["rgb"]) for item in layouts)
    report.facts["flows"] = sum(item.fields for item in layouts)
    report.facts["first_index"] = sorted({item.first for item in layouts})
    if len(names) > 1:
        report.problem(
            f"Several layouts side by side: {', '.join(names)}.",
            "Give each a folder of its own.",
        )
    _missing(report, layouts)
    _unreadable(report, layouts)
    _counts(report, layouts)
    _values(report, layouts, bound)
    return report


def _videos(folders: Sequence[Path]) -> tuple[list[Layout], list[str]]:
    """Return one layout per video, and the errors of other folders.

    A video's files may be in three trees.
    """
    distinct: dict[frozenset, Layout] = {}
    unread = []
    for folder in folders:
        try:
            layout = read_layout(folder)
        except VideoError as error:
            unread.append(str(error))
            continue
        homes = frozenset(
            os.path.dirname(next(iter(files.values())))
            for files in layout.files.values()
            if files
        )
        distinct.setdefault(homes, layout)
    return list(distinct.values()), unread


def _missing(report: Report, layouts: list[Layout]) -> None:
    gaps = []
    for layout in layouts:
        for role in ("rgb", "x", "y"):
            missing = layout.missing(role)
            if missing:
                shown = ", ".join(map(str, missing[:5]))
                gaps.append(f"{layout.path}: {role} {shown}")
    advice = "Extract those videos again; a gap shifts all that follows."
    report.problem("Gaps in the numbers of the files.", advice, gaps)
    report.problem(
        "Fields of which only x or only y is there.",
        "Extract those videos again.",
        [
            layout.path
            for layout in layouts
            if layout.files["x"].keys() != layout.files["y"].keys()
        ],
    )


def _unreadable(report: Report, layouts: list[Layout]) -> None:
    empty, broken = [], []
    for layout in layouts:
        for files in layout.files.values():
            paths = [files[index] for index in sorted(files)]
            hollow = [path for path in paths if not os.path.getsize(path)]
            empty += hollow
            ends = set(paths[:1] + paths[-1:]) - set(hollow)
            broken += [path for path in sorted(ends) if not _opens(path)]
    advice = "Extract those videos again; the disk may have been full."
    report.problem("Files of zero size.", advice, empty)
    report.problem("Images that cannot be decoded.", advice, broken)


def _counts(report: Report, layouts: list[Layout]) -> None:
    both = [item for item in layouts if item.files["rgb"] and item.fields]
    wrong = [
        f"{item.path}: {len(item.files['rgb'])} frames, {item.fields} fields"
        for item in both
        if item.fields != len(item.files["rgb"]) - 1 + item.shift
    ]
    report.problem(
        "Frames and flow fields do not fit: N frames have N-1 fields (as "
        "many fields as frames with dense_flow, which drops the first frame).",
        "Extract those videos again. denseflow loses the last batch of long "
        "videos, and a step greater than 1 gives fewer fields.",
        wrong,
    )
    report.remark(
        "Folders with frames and no flow.",
        "Compute it: `keras-twostream extract` on the videos.",
        [
            item.path
            for item in layouts
            if not item.fields and len(both) and item.files["rgb"]
        ],
    )


def _values(report: Report, layouts: list[Layout], bound: float) -> None:
    fields = [item for item in layouts if item.fields]
    if not fields:
        return
    first = next(iter(fields[0].files["x"].values()))
    if _opens(first):
        report.facts["zero_level"] = zero_level(first, fields[0].name)
    pairing = "ends" if fields[0].shift else "starts"
    report.facts["pairing"] = f"field k {pairing} at frame k"
    chosen = np.linspace(0, len(fields) - 1, min(MEASURED, len(fields)))
    some = [fields[int(place)] for place in chosen]
    measured = [(layout, measure(layout)) for layout in some]
    known = [
        (layout, measurement) for layout, measurement in measured if measurement
    ]
    if not known:
        return
    likely = likely_bound(
        [measurement.bound for _, measurement in known], bound
    )
    report.facts["bound"] = likely
    if likely != bound:
        report.problem(
            f"The flow looks as if its extreme levels meant {likely:g} px, not "
            f"{bound:g}: computed anew, it is {likely / bound:.2g} times "
            "larger.",
            "denseflow's own default bound is 32. Read it with "
            f"video_dataset(..., bound={likely:g}), or train --input "
            f"bound={likely:g} and evaluate --bound {likely:g}; weights see "
            "wrong speeds otherwise.",
        )
    report.problem(
        "Frames and flow are paired otherwise than this tool does: fields "
        "fit the frames better one place further.",
        "The first frame was removed, or indices were renumbered. Extract "
        "again.",
        [
            item.path
            for item, measurement in known
            if measurement.shift != item.shift
        ],
    )


def _opens(path: str) -> bool:
    try:
        return read_picture(path, cv2.IMREAD_COLOR) is not None
    except VideoError:
        return False
