"""The identity of a run, so that it resumes only with the same inputs."""

import dataclasses
import hashlib
import json
import os
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream.data.cache.packed_file import fingerprint
from keras_twostream.data.source import Part
from keras_twostream.errors import WeightsError
from keras_twostream.spec import ClipSpec
from keras_twostream.training._recipes import Recipe

LENGTH = "epochs"  # a run may be made longer or shorter
_UNKNOWN = ""
# Fields of a recipe that may change within a run.
_FREE = ("name", "source", "notes", "patience")


def identity(
    items: Sequence[tuple[str, Any]],
    validation: Sequence[tuple[str, Any]],
    recipe: Recipe,
    spec: ClipSpec,
    **settings: Any,
) -> dict[str, Any]:
    """Return everything that a run's numbers depend on, as JSON values by name.

    Videos are identified by their place below the folder of all, so that this
    folder may move, and by the size and the ends of their files: a folder of
    videos may have been given the name of another.
    """
    fields = dataclasses.asdict(recipe)
    facts = {
        **settings,
        **{f"recipe.{k}": v for k, v in fields.items() if k not in _FREE},
        **{f"clip.{k}": v for k, v in spec.to_json().items()},
        # These come last: another seed or share explains other videos.
        "training videos": _digest(items),
        "validation videos": _digest(validation),
        "content of the training videos": _content(items),
        "content of the validation videos": _content(validation),
    }
    # What cannot be compared is left out, not told apart.
    facts = {name: x for name, x in facts.items() if x != _UNKNOWN}
    return json.loads(json.dumps(facts, default=_plain))


def difference(saved: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Return the first name whose values differ; empty if there is none.

    A name that one side lacks is ignored: another version wrote it. So is the
    run's length.
    """
    shared = (name for name in own if name in saved and name != LENGTH)
    return next((name for name in shared if saved[name] != own[name]), "")


def refuse_other(
    saved: Mapping[str, Any], own: Mapping[str, Any], what: str
) -> None:
    """Refuse to go on with what another run has left.

    Args:
        saved: The identity that it left.
        own: That of this run.
        what: Words for what was left.

    Raises:
        WeightsError: If they differ.
    """
    name = difference(saved, own)
    if name:
        before, now = map(reprlib.repr, (saved[name], own[name]))
        raise WeightsError(
            f"{what} is of a run with other {name}: "
            f"{before} then, {now} now. Resume with the videos and "
            "settings of that run, or start a new run folder."
        )


def _digest(items: Sequence[tuple[str, Any]]) -> str:
    labels = [np.asarray(label).tolist() for _, label in items]
    places = _places([path for path, _ in items])
    return _in_short(list(zip(places, labels, strict=True)))


def _content(items: Sequence[tuple[str, Any]]) -> str:
    """Return a digest of the files; `_UNKNOWN` if one is not on this disk."""
    try:
        return _in_short([_mark(path) for path, _ in items])
    except OSError:  # an address, or a video that is left in a cache alone
        return _UNKNOWN


def _mark(path: str | os.PathLike) -> str:
    """Return what tells a video, or a folder of frames, from another."""
    place = Part.of(os.fspath(path)).path
    place = os.path.abspath(place)
    if not os.path.isdir(place):
        return fingerprint(place)
    names = sorted(os.listdir(place))
    files = (os.path.join(place, name) for name in names)
    first = next(filter(os.path.isfile, files), None)
    return f"{len(names)}-{first and fingerprint(first)}"


def _in_short(rows: Sequence[Any]) -> str:
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return f"{len(rows)} videos, digest {digest[:16]}"


def _places(paths: Sequence[str | os.PathLike]) -> list[str]:
    """Return paths below the innermost folder that holds all of them."""
    try:
        whole = os.path.commonpath([os.path.dirname(path) for path in paths])
    except ValueError:  # none, on several drives, or some of them relative
        return [Path(path).name for path in paths]
    return [Path(path).relative_to(whole).as_posix() for path in paths]


def _plain(value: Any) -> Any:
    """Convert NumPy's values to Python's, and a function to its name."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return getattr(value, "__qualname__", type(value).__name__)
