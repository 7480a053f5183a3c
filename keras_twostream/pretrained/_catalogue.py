"""The catalogue of published weights, with those that plugins add.

The built-in rows are folders `weights/<architecture>.<tag>/` with a
`weight.toml`, or with a published folder's `config.json` when the tensors lie
beside it. They are read from the checkout, or from the copy in the wheel.
No Keras here.
"""

import dataclasses
import fnmatch
import functools
import importlib.metadata
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_twostream import _schema, registry
from keras_twostream._arrays import whole
from keras_twostream.errors import (
    RegistrationError,
    UnknownNameError,
    WeightsError,
    check_choice,
    did_you_mean,
)
from keras_twostream.pretrained import _folder
from keras_twostream.pretrained._spec import (
    ORIGINS,
    TASKS,
    WeightFile,
    WeightSpec,
)
from keras_twostream.pretrained._table import WeightTable

WEIGHT_GROUP = "keras_twostream.weights"
ROW = "weight.toml"

_MAX_ROW_BYTES = 256 * 1024
_PACKAGE = Path(__file__).parents[1]
_TEXT = _schema.Rule(str, required=False)
_PLACE = {
    "url": _TEXT,
    "sha256": _TEXT,
    "sha1": _TEXT,
    "git_blob": _TEXT,
    "sha256_prefix": _TEXT,
    "size": _schema.Rule(int, required=False),
}
_RULES: dict[str, _schema.Rule] = {
    "name": _schema.Rule(str),
    "license": _schema.Rule(str),
    "data_terms": _schema.Rule(str),
    "origin": _schema.Rule(str, choices=ORIGINS),
    "repo_id": _TEXT,
    "revision": _TEXT,
    "filename": _TEXT,
    **_PLACE,
    "files": _schema.Rule(list, item=dict, required=False),
    "layout": _TEXT,
    "options": _schema.Rule(dict, required=False),
    "classes": _schema.Rule(list, item=str, required=False),
    "head_classes": _schema.Rule(dict, required=False),
    "head_trained": _schema.Rule(bool, required=False),
    "clip_spec": _schema.Rule(dict, required=False),
    "adaptation": _schema.Rule(dict, required=False),
    "metrics": _schema.Rule(list, item=dict, required=False),
    "paper": _TEXT,
    "base": _TEXT,
    "default": _schema.Rule(bool, required=False),
    "address_inferred": _schema.Rule(bool, required=False),
    "note": _TEXT,
}
_FILE_RULES = {
    "filename": _schema.Rule(str),
    **_PLACE,
    "stream": _TEXT,
}

_registered: dict[str, WeightSpec] = {}


# === Asking ===


def list_weights(
    pattern: str = "*",
    *,
    task: str | None = None,
    data: str | None = None,
    streams: Sequence[str] | None = None,
    head_trained: bool | None = None,
    license: str | None = None,
) -> WeightTable:
    """List published weights, the default of each architecture first.

    Nothing is downloaded, and Keras is not imported. A plugin that cannot be
    read, or a row of it whose name is taken, is left out here and reported by
    `load` when it is asked for.

    Args:
        pattern: An architecture, or a shell-style pattern for the whole
            name, such as "*.imagenet*".
        task: "recognition" or "detection".
        data: A data set they were trained on, as "kinetics400" or "UCF-101";
            capitals and punctuation do not matter.
        streams: Streams that the weights must cover.
        head_trained: Whether the head is trained, ready to name actions.
        license: Pattern of the licence, as "apache-2.0" or "bsd*".

    Returns:
        A list of WeightSpecs that reads as a table in a notebook; `provider`
        says which package each came from.

    Raises:
        UnknownNameError: If the task has no such name.

    Example:

    ```python
    for spec in keras_twostream.list_weights("spatiotemporal_resnet"):
        print(spec.name, spec.origin, spec.license, spec.note)

    keras_twostream.list_weights(data="kinetics400", head_trained=True)
    ```
    """
    if task is not None:
        check_choice("task", task, TASKS, UnknownNameError)
    rows = [
        spec
        for spec in _all().values()
        if (pattern == spec.architecture or fnmatch.fnmatch(spec.name, pattern))
        and task in (None, spec.task)
        and _plain(data or "") in _plain(spec.data)
        and set(streams or ()) <= set(spec.streams)
        and head_trained in (None, spec.head_trained)
        and fnmatch.fnmatch(spec.license, license or "*")
    ]
    rows.sort(key=lambda s: (s.architecture, not s.default, s.name))
    return WeightTable(rows)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def weight_spec(name: str) -> WeightSpec:
    """Return the published weight of this name.

    Args:
        name: "architecture.tag".

    Raises:
        UnknownNameError: If there is none, with the closest names.
        RegistrationError: If two weights have the name.
    """
    offered, _, clashes = _from_plugins()
    specs = _with_registered(offered)
    if name in clashes:
        raise RegistrationError(clashes[name])
    if name in specs:
        return specs[name]
    architecture = name.partition(".")[0]
    registry.model_entry(architecture)
    siblings = [s.name for s in list_weights(architecture)]
    none = "" if siblings else f" {architecture} has no published weights."
    raise UnknownNameError(
        f"There is no weight named {name!r}.{none}"
        f"{did_you_mean(name, siblings or specs)}{broken_plugins()}"
    )


# === Adding ===


def register_weights(*specs: WeightSpec) -> None:
    """Make weights loadable by name in this program.

    A package does it for everyone who installs it, through the entry-point
    group `keras_twostream.weights` (see `examples/plugin`).

    Args:
        specs: For instance `dataclasses.replace(weight_spec(name),
            name="spatiotemporal_resnet.mine", repo_id="me/mine", ...)`.

    Raises:
        RegistrationError: If a name is taken by another weight.
    """
    present = _all()
    for spec in specs:
        _refuse_duplicate(present, spec)
        present[spec.name] = spec
    _registered.update({spec.name: spec for spec in specs})


def read_row(path: Path) -> WeightSpec:
    """Read the WeightSpec in a TOML file.

    Raises:
        WeightsError: If the file is no TOML or a field is wrong.
    """
    text = _schema.read_text(path, _MAX_ROW_BYTES)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is not valid TOML: {error}.") from error
    values = _schema.check(values, _RULES, path)
    files = [
        _schema.check(row, _FILE_RULES, path) for row in values.pop("files", ())
    ]
    for field in ("classes", "metrics"):
        if field in values:
            values[field] = tuple(values[field])
    if not (values.get("repo_id") or values.get("url") or files):
        values["folder"] = str(path.parent)
    with whole(path, WeightsError, "Correct it."):
        return WeightSpec(
            **values, files=tuple(WeightFile(**file) for file in files)
        )


def read_rows(folder: Path) -> list[WeightSpec]:
    """Read the weights of a catalogue folder, one subfolder each.

    Raises:
        WeightsError: If a row is wrong.
    """
    rows = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (path / ROW).is_file():
            rows.append(read_row(path / ROW))
        elif (path / _folder.CONFIG).is_file():
            config = _folder.read_config(path / _folder.CONFIG)
            rows.append(
                _folder.spec_of_config(config, path.name, folder=str(path))
            )
    return rows


def catalogue_folder() -> Path:
    """Return the folder of the built-in rows, one subfolder each.

    `weights/` in a checkout; in a wheel its copy, without the weights that
    may only be used for research.
    """
    checkout = _PACKAGE.parent
    if (checkout / "pyproject.toml").is_file():
        return checkout / "weights"
    return _PACKAGE / "_weights"


# === Plugins ===


def broken_plugins() -> str:
    """Return a sentence on each plugin that could not be read, or ""."""
    return "".join(f"\n{problem}" for problem in _from_plugins()[1])


def _all() -> dict[str, WeightSpec]:
    return _with_registered(_from_plugins()[0])


def _with_registered(
    offered: Mapping[str, WeightSpec],
) -> dict[str, WeightSpec]:
    return {**_built_in(), **offered, **_registered}


@functools.cache
def _built_in() -> Mapping[str, WeightSpec]:
    rows = read_rows(catalogue_folder())
    return {row.name: row for row in rows}


def _from_plugins() -> tuple[dict[str, WeightSpec], list[str], dict[str, str]]:
    """Return the rows of plugins, the errors of plugins, and those of names.

    A name that a plugin may not take is reported to those who ask for it, and
    none of the plugins has it.
    """
    specs: dict[str, WeightSpec] = {}
    problems: list[str] = []
    clashes: dict[str, str] = {}
    for point in importlib.metadata.entry_points(group=WEIGHT_GROUP):
        rows = _rows_of(point)
        if isinstance(rows, str):
            problems.append(rows)
            continue
        for row in rows:
            try:
                _refuse_duplicate(_built_in(), row)
                _refuse_duplicate(specs, row)
            except RegistrationError as error:
                clashes.setdefault(row.name, str(error))
            specs[row.name] = row
    fine = {name: row for name, row in specs.items() if name not in clashes}
    return fine, problems, clashes


@functools.cache
def _rows_of(
    point: importlib.metadata.EntryPoint,
) -> tuple[WeightSpec, ...] | str:
    provider = point.dist.name if point.dist else point.module
    try:
        rows = tuple(_rows(point.load()))
    except Exception as error:
        return (
            f"The plugin {point.name} ({point.value}), which offers weights, "
            f"failed: {error!r}. Repair or uninstall the package {provider}."
        )
    return tuple(dataclasses.replace(row, provider=provider) for row in rows)


def _rows(offered: Any) -> Iterator[WeightSpec]:
    """Return the rows of an entry point: specs, a function or a folder."""
    if callable(offered):
        offered = offered()
    if isinstance(offered, str | Path):
        yield from read_rows(Path(offered))
        return
    rows: Iterable[Any] = (
        [offered] if isinstance(offered, WeightSpec) else offered
    )
    for row in rows:
        if not isinstance(row, WeightSpec):
            raise RegistrationError(
                "A weights plugin yields WeightSpecs or a folder of TOML. "
                f"Received: {row!r}"
            )
        yield row


def _refuse_duplicate(
    specs: Mapping[str, WeightSpec], spec: WeightSpec
) -> None:
    other = specs.get(spec.name)
    if other is not None and other != spec:
        raise RegistrationError(
            f"A weight named {spec.name!r} is registered by {other.provider} "
            f"already. Rename the one of {spec.provider}."
        )
