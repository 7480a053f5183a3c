"""The model and the videos of `keras-twostream train`."""

import collections
import dataclasses
import importlib.metadata
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np

from keras_twostream import __version__, hub, inspection, training
from keras_twostream.cli import _console
from keras_twostream.cli._files import model_name
from keras_twostream.data import Annotations, read_annotations
from keras_twostream.data.lists.files import in_words
from keras_twostream.data.source import Part
from keras_twostream.registry import list_models, model_entry
from keras_twostream.spec import STREAMS

WHICH_TO_TRAIN = (
    "Choose the one to train on with --subset, or with --split where the "
    "list has numbered splits."
)
WHICH_TO_VALIDATE = (
    "Give --val a list of the one to validate on, or, with --subset or "
    '--split, the word "test".'
)
HEADS = "heads.json"  # in a run's folder: class names of several heads
PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "opencv-python")


@dataclasses.dataclass(frozen=True)
class Lists:
    """The videos of a run.

    Attributes:
        train: Videos to train on.
        validation: Videos to validate on; may be empty.
        classes: Class names, by number; of all heads, where there are several.
        heads: Class names of each head, where there are several.
    """

    train: list[tuple[str, Any]]
    validation: list[tuple[str, Any]]
    classes: tuple[str, ...]
    heads: Mapping[str, tuple[str, ...]] = dataclasses.field(
        default_factory=dict
    )

    @property
    def multi_label(self) -> bool:
        """Check if some video shows several classes at once."""
        return any(isinstance(label, tuple) for _, label in self.train)


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

    Raises:
        click.UsageError: If the list holds several subsets and none is
            chosen, less than two classes, or labels that are not known.
    """
    options: dict[str, Any] = {"format": list_format, "root": root}
    if heads:
        columns = [name.strip() for name in heads.split(",")]
        lists = labels_of_heads(columns, data, subset=subset, **options)
        if val is None:
            return _held_out_of_heads(lists, val_share, recordings, seed)
        other = labels_of_heads(columns, val, lists.heads, **options)
        return dataclasses.replace(lists, validation=other.train)
    subset = subset or (None if split is None else "train")
    found = read_annotations(data, split=split, subset=subset, **options)
    refuse_mixture(found, data, WHICH_TO_TRAIN)
    classes = class_names(found)
    if val is not None:
        chosen: dict[str, Any] = {"split": split, "subset": "test"}
        inside = val == "test" and subset is not None
        place, chosen = (data, chosen) if inside else (val, {})
        held = read_annotations(place, **chosen, **options)
        refuse_mixture(held, place, WHICH_TO_VALIDATE)
        held = held.in_order_of(found.classes)
    else:
        groups = [recording(path, recordings) for path in found.paths]
        inner, outer = training.hold_out(found.labels, val_share, seed, groups)
        found, held = found.take(inner), found.take(outer)
    several = found.several or held.several
    if len(classes) < 2 and not several:
        raise click.UsageError(_one_class(data, classes))
    for part in (found, held):
        part.check_labels(len(classes), unlabelled=several)
    _say_passed_over(found, data)
    return Lists(found.pairs(several), held.pairs(several), classes)


def refuse_mixture(found: Annotations, place: str, advice: str) -> None:
    """Refuse a list of several subsets, of which one is wanted."""
    if len(found.subsets) > 1:
        names = ", ".join(found.subsets)
        raise click.UsageError(
            f"{place} holds several subsets: {names}. {advice}"
        )


def _say_passed_over(found: Annotations, place: str) -> None:
    if found.passed_over:
        _console.say(
            f"Passed over in {place}: {in_words(found.passed_over)}. "
            f"`keras-twostream doctor {place}` names them.",
            err=True,
        )


def _one_class(data: str, classes: tuple[str, ...]) -> str:
    if not Path(data).is_dir():
        return f"{data} has one class, {classes[0]}; training needs two."
    return (
        f"{data} holds one class, {classes[0]}; training needs two. Expected "
        f"{data}/<class>/<video>: give the folder right above the classes."
    )


def recording(path: str, pattern: str) -> str:
    """Return the recording of a video: the pattern's first group in its name.

    A video that the pattern does not match is a recording of its own.
    """
    file = Path(Part.of(path).path)
    match = re.search(pattern, file.stem)
    if match is None or match[1] is None:
        return str(file)
    return str(file.parent / match[1])


def class_names(found: Annotations) -> tuple[str, ...]:
    """Return the list's class names, or numbers where it has none.

    Raises:
        click.UsageError: If most of the numbers have no video.
    """
    if found.classes:
        return found.classes
    counts = found.counts()
    unused = [number for number, count in enumerate(counts) if not count]
    if len(unused) > len(counts) / 2:
        raise click.UsageError(
            f"The labels are numbers up to {len(counts) - 1}, and no video "
            f"has {len(unused)} of them. Number the classes from 0, or write "
            "their names."
        )
    if unused:
        _console.say(
            f"No video is of class {', '.join(map(str, unused))}: classes "
            "are numbered from 0.",
            err=True,
        )
    return tuple(map(str, range(len(counts))))


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
        click.UsageError: If a column has several labels in a cell, or names
            fewer than two classes.
    """
    names: dict[str, tuple[str, ...]] = {}
    rows: dict[str, dict[str, int]] = collections.defaultdict(dict)
    for column in columns:
        found = read_annotations(place, label=column, **options)
        if heads:
            found = found.in_order_of(heads[column])
        names[column] = class_names(found)
        if found.several or len(names[column]) < 2:
            raise click.UsageError(
                f"The column {column} of {place} must have one label in each "
                "cell, and two classes or more, to be a head's."
            )
        for path, item in zip(found.paths, found.items, strict=True):
            if item.labels:
                rows[path][column] = item.labels[0]
    pairs = list(rows.items())
    classes = tuple(x for own in names.values() for x in own)
    return Lists(pairs, [], classes, names)


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
    inner, outer = training.hold_out(numbers, share, seed, groups)
    return dataclasses.replace(
        lists,
        train=[lists.train[i] for i in inner],
        validation=[lists.train[i] for i in outer],
    )


def build_model(
    name: str,
    weights: str | None,
    classes: tuple[str, ...],
    recipe: training.Recipe,
    options: Mapping[str, Any],
    spec: Mapping[str, Any],
    heads: Mapping[str, Sequence[str]] | None = None,
) -> keras.Model:
    """Build the model to train; flags win over the recipe's options.

    Args:
        name: A name that `keras_twostream.load` takes, or a run's folder.
        weights: "none" for random ones, a tag, or None for the default.
        classes: Class names.
        recipe: The recipe, for its options and its clip.
        options: Options of the builder from flags.
        spec: Fields of the ClipSpec from flags.
        heads: Class names of each head, where there are several.
    """
    name = model_name(name)
    options = {**_known(name, recipe.options), **options}
    spec = {**recipe.spec, **spec}
    if spec:
        options["clip_spec"] = {**options.get("clip_spec", {}), **spec}
    if weights is not None:
        options["weights"] = None if weights == "none" else weights
    if heads:
        options["heads"] = {head: len(x) for head, x in heads.items()}
        return hub.load(name, **options)
    return hub.load(name, classes=list(classes), **options)


def _known(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe's options that this builder has."""
    architecture = name.partition(".")[0]
    if ":" in name:
        architecture = hub.weight_of(name).architecture
    if architecture not in list_models():
        return {}
    known = model_entry(architecture).options
    return {key: value for key, value in options.items() if key in known}


def load_anything(place: str, **options: Any) -> keras.Model:
    """Return a model from a run folder, a model folder, or by name.

    Args:
        place: The folder or the name.
        **options: Options of the builder, such as `clip_length=25`.
    """
    return hub.load(model_name(place), **options)


def start_streams(model: keras.Model, init: Mapping[str, str]) -> None:
    """Copy the streams of other models into this one.

    Args:
        model: The model to train.
        init: Mapping from stream to a run folder or a name; the prefix "rgb:"
            takes the other stream, by cross-modality initialisation.
    """
    for stream, place in init.items():
        other, colon, rest = place.partition(":")
        crossed = bool(colon) and other in STREAMS
        source = load_anything(rest if crossed else place)
        copied = training.copy_stream(
            source, model, stream, other if crossed else None
        )
        _console.say(f"{stream}: {len(copied)} layers from {place}", err=True)


def versions() -> dict[str, str]:
    """Return versions of the libraries that affect a run's numbers."""
    found = {
        "keras_twostream": __version__,
        "python": platform.python_version(),
        "backend": keras.backend.backend(),
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def describe(model: keras.Model) -> dict[str, Any]:
    """Return identity and clip of a model, for `config.toml`."""
    card = inspection.card(model)
    return {
        "architecture": card.get("architecture"),
        "options": _without_none(card.get("options", {})),
        "classes": card.get("classes") or [],
        "clip": _without_none(inspection.clip_spec(model).to_json()),
    }


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
