"""What a run is of, so that it only goes on with the same."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream.spec import ClipSpec
from keras_twostream.training._recipes import Recipe

# Fields of a recipe that may change within a run.
_FREE = ("name", "source", "notes", "patience")


def identity(
    items: Sequence[tuple[str, Any]],
    validation: Sequence[tuple[str, Any]],
    recipe: Recipe,
    spec: ClipSpec,
    **settings: Any,
) -> dict[str, Any]:
    """All that a run's numbers depend on, by name, as JSON gives it back.

    Videos count by file name, so that their folder may move.

    Args:
        items: (path, label) pairs to train on.
        validation: Those to validate on.
        recipe: How to train.
        spec: The model's clip.
        **settings: More of it.
    """
    fields = dataclasses.asdict(recipe)
    found = {
        **settings,
        **{f"recipe.{k}": v for k, v in fields.items() if k not in _FREE},
        **{f"clip.{k}": v for k, v in spec.to_json().items()},
        # Last: another seed or share explains other videos.
        "training videos": _digest(items),
        "validation videos": _digest(validation),
    }
    return json.loads(json.dumps(found, default=_plain))


def difference(saved: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """The first name whose values differ; empty if there is none.

    A name that one side lacks says nothing: another version wrote it.
    """
    shared = (name for name in own if name in saved)
    return next((name for name in shared if saved[name] != own[name]), "")


def _digest(items: Sequence[tuple[str, Any]]) -> str:
    rows = [
        [Path(path).name, np.asarray(label).tolist()] for path, label in items
    ]
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return f"{len(rows)} videos, digest {digest[:16]}"


def _plain(value: Any) -> Any:
    """NumPy's values as Python's; a function as its name."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return getattr(value, "__qualname__", type(value).__name__)
