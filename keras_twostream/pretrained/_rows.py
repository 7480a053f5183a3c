"""Writers of catalogue rows as TOML, with their model cards."""

import dataclasses
from pathlib import Path
from typing import Any

from keras_twostream import _files, registry
from keras_twostream.pretrained import _catalogue, _folder
from keras_twostream.pretrained._cards import card_text, is_generated
from keras_twostream.pretrained._spec import WeightSpec

_NOT_WRITTEN = ("folder", "provider")


def row_text(spec: WeightSpec) -> str:
    """Return a WeightSpec as TOML that `read_row` reads, without defaults."""
    values = {}
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if field.name in _NOT_WRITTEN or value == _default(field):
            continue
        if field.name in ("files", "metrics"):
            value = [_filled(row) for row in value]
        values[field.name] = value
    return _files.to_toml(values)


def write_row(spec: WeightSpec, catalogue: Path) -> Path:
    """Write a row, and its model card unless a hand-written one exists.

    Returns:
        The row's folder.
    """
    folder = catalogue / spec.name
    _files.write_text(folder / _catalogue.ROW, row_text(spec))
    card = folder / _folder.CARD
    if not card.exists() or is_generated(card.read_text("utf-8")):
        _files.write_text(card, card_text(card_facts(spec), spec.name))
    return folder


def card_facts(spec: WeightSpec) -> dict[str, Any]:
    """Return the facts of a catalogue row for its model card."""
    paper = registry.model_entry(spec.architecture).paper
    facts = dataclasses.asdict(spec)
    return {**facts, "architecture": spec.architecture, "paper": paper}


def _default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _filled(value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    return {key: item for key, item in value.items() if item not in ("", 0)}
