"""The videos of a run: read, checked, and held out by whole recordings."""

import collections
import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream._files import expanded
from keras_twostream.data import Annotations, read_annotations
from keras_twostream.data.cache.packed_file import PACKED_SUFFIX
from keras_twostream.data.lists.files import in_words
from keras_twostream.data.source import Part
from keras_twostream.errors import SpecError
from keras_twostream.training._hold_out import hold_out

WHICH_TO_TRAIN = (
    "Choose the one to train on with --subset, or with --split where the "
    "list has numbered splits."
)
WHICH_TO_VALIDATE = (
    "Give --val a list of the one to validate on, or, with --subset or "
    '--split, the word "test".'
)


@dataclasses.dataclass(frozen=True)
class Lists:
    """The videos of a run.

    Attributes:
        train: Videos to train on.
        validation: Videos to validate on; may be empty.
        classes: Class names, by number; of all heads, where there are several.
        heads: Class names of each head, where there are several.
        notes: Sentences about what the user may not expect of the list.
    """

    train: list[tuple[str, Any]]
    validation: list[tuple[str, Any]]
    classes: tuple[str, ...]
    heads: Mapping[str, tuple[str, ...]] = dataclasses.field(
        default_factory=dict
    )
    notes: tuple[str, ...] = ()

    @property
    def multi_label(self) -> bool:
        """Check if some video shows several classes at once."""
        return any(isinstance(label, tuple) for _, label in self.train)

    def class_weight(self) -> dict[int, float]:
        """Return inverse frequencies, so that a clip's mean weight is one.

        Raises:
            SpecError: If a video has several labels.
        """
        if self.heads:
            raise SpecError(
                "Class weights are those of one head. Leave --balance out."
            )
        if self.multi_label:
            raise SpecError(
                "Class weights weigh each video by its class, and these show "
                "several classes at once. Leave --balance out."
            )
        labels = np.array([label for _, label in self.train])
        counts = np.bincount(labels, minlength=len(self.classes))
        mean = len(labels) / np.count_nonzero(counts)
        return {i: mean / n for i, n in enumerate(counts.tolist()) if n}


def read_lists(
    data: str,
    *,
    val: str | None,
    val_share: float,
    recordings: str,
    split: int | None,
    subset: str | None,
    root: str | None,
    list_format: str | None,
    seed: int,
    heads: str | None = None,
) -> Lists:
    """Return the training and the validation list.

    Validation is `val` if given, or else a share of every class of the training
    list, in whole recordings. The test part of a list is used only on request:
    it must not choose the best epoch.

    Args:
        data: A list or a folder of videos.
        val: The same for validation; "test" is the test part of `data`, where
            `split` or `subset` chooses its training part.
        val_share: Share of each class to hold out, without `val`.
        recordings: Pattern for `recording`.
        split: Number of an official split.
        subset: Part of a list that has several.
        root: Folder that the lists' paths are relative to.
        list_format: The format, where it is not to be recognised.
        seed: Seed of the draw of what is held out.
        heads: Columns of labels, separated by commas, one for each head.

    Raises:
        SpecError: If the list holds several subsets and none is chosen, less
            than two classes, or labels that are not known.
    """
    options: dict[str, Any] = {"format": list_format, "root": root}
    subset = subset or (None if split is None else "train")
    if heads:
        columns = _columns(heads, data)
        lists = labels_of_heads(columns, data, subset=subset, **options)
        if val is None:
            return _held_out_of_heads(lists, val_share, recordings, seed)
        if val == "test" and subset is not None:
            val, options = data, {**options, "subset": "test"}
        other = labels_of_heads(columns, val, lists.heads, **options)
        return dataclasses.replace(lists, validation=other.train)
    annotations = read_annotations(data, split=split, subset=subset, **options)
    refuse_mixture(annotations, data, WHICH_TO_TRAIN)
    refuse_contradictions(annotations, data)
    classes = class_names(annotations)
    notes = _notes(annotations, data)
    if val is not None:
        chosen: dict[str, Any] = {"split": split, "subset": "test"}
        inside = val == "test" and subset is not None
        place, chosen = (data, chosen) if inside else (val, {})
        outside = read_annotations(place, **chosen, **options)
        refuse_mixture(outside, place, WHICH_TO_VALIDATE)
        refuse_contradictions(outside, place)
        outside = outside.in_order_of(classes)
    else:
        groups = [recording(path, recordings) for path in annotations.paths]
        inner, outer = hold_out(annotations.labels, val_share, seed, groups)
        annotations, outside = annotations.take(inner), annotations.take(outer)
    several = annotations.several or outside.several
    if len(classes) < 2 and not several:
        raise SpecError(_one_class(data, classes))
    for part in (annotations, outside):
        part.check_labels(len(classes), unlabelled=several)
    train, validation = annotations.pairs(several), outside.pairs(several)
    return Lists(train, validation, classes, notes=notes)


def refuse_mixture(annotations: Annotations, place: str, advice: str) -> None:
    """Refuse a list of several subsets, of which one is wanted.

    Raises:
        SpecError: If there are several; it ends with the advice.
    """
    if len(annotations.subsets) > 1:
        names = ", ".join(annotations.subsets)
        raise SpecError(f"{place} holds several subsets: {names}. {advice}")


def refuse_contradictions(annotations: Annotations, place: str) -> None:
    """Refuse a list of one label each that gives a video two.

    Raises:
        SpecError: If a video, or a part of one, is there with two labels.
    """
    if annotations.several:
        return
    names = dict(enumerate(annotations.classes))
    seen: dict[str, tuple[int, ...]] = {}
    for path, item in zip(annotations.paths, annotations.items, strict=True):
        first = seen.setdefault(os.path.normpath(path), item.labels)
        if item.labels != first:
            one, other = (
                names.get(x[0], x[0]) if x else "none"
                for x in (first, item.labels)
            )
            raise SpecError(
                f"{place} has {path} twice, with the labels {one} and {other}. "
                "Remove one; where the video shows both classes, write both "
                "labels in one row: a|b in a CSV, a list in JSON. Parts of it "
                "need their start and end."
            )


def recording(path: str, pattern: str) -> str:
    """Return the recording of a video: the pattern's first group in its name.

    A video that the pattern does not match is a recording of its own; its
    packed file is the same recording.
    """
    file = Path(Part.of(path).path.removesuffix(PACKED_SUFFIX))
    match = re.search(pattern, file.stem)
    if match is None or match[1] is None:
        return str(file)
    return str(file.parent / match[1])


def class_names(annotations: Annotations) -> tuple[str, ...]:
    """Return the list's class names, or numbers where it has none.

    Raises:
        SpecError: If most of the numbers have no video.
    """
    if annotations.classes:
        return annotations.classes
    count, unused = len(annotations.counts()), _unused(annotations)
    if len(unused) > count / 2:
        raise SpecError(
            f"The labels are numbers up to {count - 1}, and no video has "
            f"{len(unused)} of them. Number the classes from 0, or write "
            "their names."
        )
    return tuple(map(str, range(count)))


def _unused(annotations: Annotations) -> list[int]:
    """Return the numbers below the largest that no video has."""
    return np.flatnonzero(annotations.counts() == 0).tolist()


def _notes(annotations: Annotations, place: str) -> tuple[str, ...]:
    notes = []
    if not annotations.classes and _unused(annotations):
        numbers = ", ".join(map(str, _unused(annotations)))
        notes.append(
            f"No video is of class {numbers}: classes are numbered from 0."
        )
    if annotations.passed_over:
        notes.append(
            f"Passed over in {place}: {in_words(annotations.passed_over)}. "
            f"`keras-twostream doctor {place}` names them."
        )
    return tuple(notes)


def _one_class(data: str, classes: tuple[str, ...]) -> str:
    if not expanded(data).is_dir():
        return f"{data} has one class, {classes[0]}; training needs two."
    return (
        f"{data} holds one class, {classes[0]}; training needs two. Expected "
        f"{data}/<class>/<video>: give the folder right above the classes."
    )


# === Several heads ===


def _columns(heads: str, data: str) -> list[str]:
    """Return the names of the columns.

    Raises:
        SpecError: If they are not several, or the list is no table.
    """
    columns = [name.strip() for name in heads.split(",")]
    if len(set(columns) - {""}) < max(2, len(columns)):
        raise SpecError(
            "`heads` names two columns of labels or more, each once. For one, "
            f"leave it out and call the column `label`. Received: {heads}"
        )
    if expanded(data).is_dir():
        raise SpecError(
            f"{data} is a folder, and heads are columns of a CSV. Give a CSV "
            f"with the columns path, {', '.join(columns)}."
        )
    return columns


def labels_of_heads(
    columns: Sequence[str],
    place: str,
    heads: Mapping[str, tuple[str, ...]] | None = None,
    **options: Any,
) -> Lists:
    """Return the videos of a CSV with a dict of labels for each of them.

    Args:
        columns: Columns of labels, the names of the heads.
        place: The list.
        heads: Class names of each head, in its order; the list's when None.
        **options: Arguments of `read_annotations`.

    Raises:
        SpecError: If a column has several labels in a cell, or names fewer
            than two classes.
    """
    names: dict[str, tuple[str, ...]] = {}
    rows: dict[str, dict[str, int]] = collections.defaultdict(dict)
    notes: dict[str, None] = {}
    for column in columns:
        annotations = read_annotations(place, label=column, **options)
        advice = WHICH_TO_VALIDATE if heads else WHICH_TO_TRAIN
        refuse_mixture(annotations, place, advice)
        refuse_contradictions(annotations, f"The column {column} of {place}")
        if heads:
            names[column] = heads[column]
            annotations = annotations.in_order_of(heads[column])
        else:
            names[column] = class_names(annotations)
        annotations.check_labels(len(names[column]), unlabelled=True)
        notes |= dict.fromkeys(_notes(annotations, place))
        if annotations.several or len(names[column]) < 2:
            raise SpecError(
                f"The column {column} of {place} must have one label in each "
                "cell, and two classes or more, to be a head's."
            )
        for path, item in zip(
            annotations.paths, annotations.items, strict=True
        ):
            if item.labels:
                rows[path][column] = item.labels[0]
    pairs = list(rows.items())
    classes = tuple(x for own in names.values() for x in own)
    return Lists(pairs, [], classes, names, tuple(notes))


def _held_out_of_heads(
    lists: Lists, share: float, recordings: str, seed: int
) -> Lists:
    """Hold out a share of the classes of each video's first head."""
    classes = [
        [list(lists.heads).index(head), label]
        for head, label in (next(iter(x.items())) for _, x in lists.train)
    ]
    numbers = np.unique(classes, axis=0, return_inverse=True)[1].ravel()
    groups = [recording(path, recordings) for path, _ in lists.train]
    inner, outer = hold_out(numbers, share, seed, groups)
    return dataclasses.replace(
        lists,
        train=[lists.train[i] for i in inner],
        validation=[lists.train[i] for i in outer],
    )
