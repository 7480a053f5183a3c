"""Small files of a run, written whole or not at all."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream import _atomic


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Writes a file so that a killed process leaves the old one or the new."""
    with _atomic.writing(Path(path)) as file:
        file.write(data)


def write_json(path: str | os.PathLike, values: Any) -> None:
    """Writes JSON, indented."""
    write_bytes(path, (json.dumps(values, indent=2) + "\n").encode())


def write_arrays(
    path: str | os.PathLike, arrays: Mapping[str, np.ndarray]
) -> None:
    """Writes an npz."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def write_array(path: str | os.PathLike, array: np.ndarray) -> None:
    """Writes an npy."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def write_table(
    path: str | os.PathLike, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Writes a CSV with the columns of all rows, in order of appearance."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def write_toml(path: str | os.PathLike, values: Mapping[str, Any]) -> None:
    """Writes TOML; None is left out."""
    write_bytes(path, to_toml(values).encode())


def to_toml(values: Mapping[str, Any]) -> str:
    """TOML of nested tables of numbers, strings, booleans and lists."""
    lines = []
    _table(lines, "", values)
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(lines: list[str], prefix: str, values: Mapping[str, Any]) -> None:
    tables = {k: v for k, v in values.items() if isinstance(v, Mapping)}
    for key, value in values.items():
        if key not in tables and value is not None:
            lines.append(f"{_key(key)} = {_value(value)}")
    for key, table in tables.items():
        name = f"{prefix}{_key(key)}"
        lines.extend(["", f"[{name}]"])
        _table(lines, f"{name}.", table)


def _key(key: str) -> str:
    plain = key.replace("_", "").replace("-", "")
    return key if plain.isalnum() and key.isascii() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
