"""The folder of a published model: tensors, config, model card.

    model.safetensors   every variable under its key "layer.variable"
    config.json         architecture, options, classes, ClipSpec, sha256, ...
    README.md           the model card

The same folder is a `local:` weight, a Hub repository, and what ships in the
wheel. Its config is the whole truth: no code is ever taken from it.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream import _schema
from keras_twostream._printing import is_printable, printable
from keras_twostream.errors import WeightsError
from keras_twostream.pretrained._spec import ORIGINS, WeightSpec

FORMAT = 1
TENSORS = "model.safetensors"
CONFIG = "config.json"
CARD = "README.md"

MAX_BYTES = 4 * 1024 * 1024
# Fields of transformers, timm, diffusers, Keras and KerasHub.
_FOREIGN = {
    "_class_name",
    "architectures",
    "class_name",
    "model_type",
    "num_features",
    "pretrained_cfg",
    "registered_name",
    "transformers_version",
}
_FIELDS: dict[str, _schema.Rule] = {
    "format": _schema.Rule(int),
    "library": _schema.Rule(str),
    "library_version": _schema.Rule(str),
    "architecture": _schema.Rule(str),
    "options": _schema.Rule(dict),
    "classes": _schema.Rule(list, item=str, none=True, required=False),
    "head_classes": _schema.Rule(dict, required=False),
    "head_trained": _schema.Rule(bool),
    "multi_label": _schema.Rule(bool, required=False),
    "clip_spec": _schema.Rule(dict),
    "filename": _schema.Rule(str),
    "sha256": _schema.Rule(str),
    "size": _schema.Rule(int),
    "license": _schema.Rule(str),
    "data_terms": _schema.Rule(str),
    "origin": _schema.Rule(str, choices=ORIGINS),
    "base": _schema.Rule(str, required=False),
    "paper": _schema.Rule(str, required=False),
    "note": _schema.Rule(str, required=False),
    "metrics": _schema.Rule(list, item=dict, required=False),
    "datasets": _schema.Rule(list, item=str, required=False),
}


def read_config(path: Path) -> dict[str, Any]:
    """Read a published folder's config, checked field by field.

    Raises:
        WeightsError: If it is missing, is no JSON, has a field of a wrong
            type, or was written in a newer format.
    """
    text = _schema.read_text(path, MAX_BYTES)
    values = _schema.parse_json(text, path)
    _refuse_foreign(values, path)
    _refuse_newer(values, path)
    values = _schema.check(values, _FIELDS, path)
    _refuse_controls(values, path)
    return values


def config_text(path: Path, values: Mapping[str, Any]) -> str:
    """Return the text of a config that `read_config` accepts.

    Raises:
        WeightsError: If a field is unknown, missing or of a wrong type, or
            holds what JSON has not, such as NaN.
    """
    _schema.check(values, _FIELDS, path)
    _refuse_controls(values, path)
    try:
        text = json.dumps(
            values,
            indent=2,
            ensure_ascii=False,
            allow_nan=False,
            default=_of_numpy,
        )
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"{path} cannot hold these facts: {error}. Give texts, finite "
            "numbers and lists of them."
        ) from error
    return text + "\n"


def _of_numpy(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{value!r} is no value of JSON")


def spec_of_config(
    config: Mapping[str, Any], name: str, **source: Any
) -> WeightSpec:
    """Return the WeightSpec that a folder's config describes.

    Args:
        config: Result of `read_config`.
        name: "architecture.tag".
        source: Place of the folder: `folder`, or `repo_id` and `revision`.

    Raises:
        WeightsError: If a field has a wrong value; the place is named.
    """
    known = {field.name for field in dataclasses.fields(WeightSpec)}
    values = {key: config[key] for key in config if key in known}
    for field in ("classes", "metrics"):
        if values.get(field) is not None:
            values[field] = tuple(values[field])
    try:
        return WeightSpec(**{**values, **source, "name": name})
    except WeightsError as error:
        place = source.get("folder") or source.get("repo_id", name)
        raise WeightsError(f"{CONFIG} of {place}: {error}") from error


def _refuse_controls(values: Mapping[str, Any], path: Path) -> None:
    """Refuse text that would steer the terminal that shows it."""
    for field, value in values.items():
        texts = value if isinstance(value, list) else [value]
        for text in texts:
            if isinstance(text, str) and not is_printable(text):
                raise WeightsError(
                    f"`{field}` in {path} must not hold control characters. "
                    f"Received: '{printable(text)[:80]}'"
                )


def _refuse_foreign(values: Any, path: Path) -> None:
    foreign = sorted(_FOREIGN & set(values)) if isinstance(values, dict) else []
    if foreign and "format" not in values:
        raise WeightsError(
            f"{path} is the config of another library: it has the fields "
            f"{', '.join(foreign)}. Only folders and repositories that "
            "keras_twostream wrote load by address; weights of others are "
            "loaded by names of keras_twostream.list_weights()."
        )


def _refuse_newer(values: Any, path: Path) -> None:
    written = values.get("format") if isinstance(values, dict) else None
    if isinstance(written, int) and written > FORMAT:
        raise WeightsError(
            f"{path} is in format {written}; this keras_twostream reads up "
            f"to format {FORMAT}. Update it: pip install -U keras-twostream."
        )
