"""Writing catalogue rows as TOML, with their model cards."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from keras_twostream import registry
from keras_twostream.pretrained import _catalogue, _folder
from keras_twostream.pretrained._cards import card_text
from keras_twostream.pretrained._spec import WeightSpec

_NOT_WRITTEN = ("folder", "provider")


def row_text(spec: WeightSpec) -> str:
    """A WeightSpec as TOML that `read_row` reads; defaults are left out."""
    values, tables, files = [], [], []
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if field.name in _NOT_WRITTEN or value == _default(field):
            continue
        if field.name in ("files", "metrics"):
            files += [_table(f"[[{field.name}]]", _filled(v)) for v in value]
        elif isinstance(value, dict):
            tables.append(_table(f"[{field.name}]", value))
        else:
            values.append(f"{field.name} = {_value(value)}")
    return "\n".join([*values, *tables, *files]) + "\n"


def write_row(spec: WeightSpec, catalogue: Path) -> Path:
    """Write a row and, if there is none, its model card.

    Returns:
        The row's folder.
    """
    folder = catalogue / spec.name
    folder.mkdir(parents=True, exist_ok=True)
    row = folder / _catalogue.ROW
    row.write_text(row_text(spec), encoding="utf-8")
    card = folder / _folder.CARD
    if not card.exists():
        text = card_text(card_facts(spec), spec.name)
        card.write_text(text, encoding="utf-8")
    return folder


def card_facts(spec: WeightSpec) -> dict[str, Any]:
    """What a model card says of a catalogue row."""
    paper = registry.model_entry(spec.architecture).paper
    facts = dataclasses.asdict(spec)
    return {**facts, "architecture": spec.architecture, "paper": paper}


def _default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _filled(value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value):
        value = dataclasses.asdict(value)
    return {key: item for key, item in value.items() if item not in ("", 0)}


def _table(title: str, values: dict[str, Any]) -> str:
    lines = [f"{key} = {_value(item)}" for key, item in values.items()]
    return "\n".join(["", title, *lines])


def _value(value: Any) -> str:
    """A TOML value: strings as in JSON, long lists one item a line."""
    if isinstance(value, dict):
        inside = ", ".join(f"{k} = {_value(v)}" for k, v in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list | tuple):
        items = [_value(item) for item in value]
        line = f"[{', '.join(items)}]"
        if len(line) <= 70:
            return line
        return "[\n" + "".join(f"    {item},\n" for item in items) + "]"
    return json.dumps(value, ensure_ascii=False)
