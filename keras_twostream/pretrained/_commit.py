"""Atomic replacement of a published folder, by the rename of its config.

New tensors wait under a hidden name made of their hash. The config that
holds this hash takes its name last: until then the folder is the old model,
from then on the new one, even while its tensors still wait for their public
name. A process that is killed at any instant leaves one of the two, whole.
"""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream import _files, _schema
from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import (
    _folder,
    _safetensors,
    _verify,
)

_WAITING = re.compile(r"\.[0-9a-f]{64}\.safetensors")
_NEXT = ".next.safetensors"


def tensors_path(folder: Path, filename: str, sha256: str) -> Path:
    """Return the path of the tensors of a folder's config."""
    waiting = folder / _waiting_name(sha256)
    return waiting if sha256 and waiting.is_file() else folder / filename


def replace_model(
    folder: Path, arrays: Mapping[str, np.ndarray], described: Mapping[str, Any]
) -> dict[str, Any]:
    """Write tensors and config, which fit only each other.

    Returns:
        The whole config.

    Raises:
        WeightsError: If a field of the config is wrong.
        OSError: If the disk refuses; the old model stays.
    """
    with in_order(folder):
        facts = _write_waiting(folder, arrays)
        config = {**described, **facts}
        place = folder / _folder.CONFIG
        _files.write_text(place, _folder.config_text(place, config))
    return config


@contextlib.contextmanager
def in_order(folder: Path) -> Iterator[None]:
    """Lock a folder for a block of changes, and leave no hidden files.

    Remains of a killed process are completed or removed first.
    """
    with _files.held(folder):
        _tidy(folder)
        try:
            yield
        finally:
            _tidy(folder)


def _write_waiting(
    folder: Path, arrays: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    with _files.replacing(folder / _NEXT) as (part,):
        _safetensors.write(arrays, part, {"format": "keras_twostream"})
    written = folder / _NEXT
    facts: dict[str, Any] = {
        "filename": _folder.TENSORS,
        "sha256": _verify.sha256_of(written),
        "size": written.stat().st_size,
    }
    _files.rename(written, folder / _waiting_name(facts["sha256"]))
    return facts


def _tidy(folder: Path) -> None:
    """Give the config's tensors their public name, and remove the rest."""
    sha256 = _hash_in_config(folder)
    waiting = folder / _waiting_name(sha256)
    if sha256 and waiting.is_file():
        _files.rename(waiting, folder / _folder.TENSORS)
    for path in folder.iterdir():
        if path.name == _NEXT or _WAITING.fullmatch(path.name):
            path.unlink(missing_ok=True)
    for name in (_NEXT, _folder.TENSORS, _folder.CONFIG, _folder.CARD):
        _files.remove_leftovers(folder / name)


def _hash_in_config(folder: Path) -> str:
    try:
        text = _schema.read_text(folder / _folder.CONFIG, _folder.MAX_BYTES)
        config = json.loads(text)
    except (WeightsError, ValueError, RecursionError):
        return ""
    sha256 = config.get("sha256") if isinstance(config, dict) else None
    return sha256 if isinstance(sha256, str) else ""


def _waiting_name(sha256: str) -> str:
    return f".{sha256}.safetensors"
