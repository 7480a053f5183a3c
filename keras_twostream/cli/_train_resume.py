"""Refusals of a run that its folder contradicts, before anything is loaded."""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

# Parameters whose flag has another name.
FLAGS = {
    "changes": "set",
    "inputs": "input",
    "list_format": "format",
    "license_": "license",
}
# Flags that a run keeps until its end; paths of videos may move.
_KEPT = (
    "distill",  # before the model, which is the teacher's where none is given
    "model",
    "weights",
    "recipe",
    "stage",
    "val_share",
    "recordings",
    "split",
    "subset",
    "batch_size",
    "streams",
    "heads",
    "option",
    "spec",
    "changes",
    "inputs",
    "init",
    "balance",
    "seed",
)


def refuse(flags: Mapping[str, Any]) -> None:
    """Refuse a run that is complete, or was begun with other flags.

    Raises:
        click.UsageError: If nothing is left to do, or the folder's
            config.toml contradicts.
    """
    out: Path = flags["out"]
    if (out / "evaluation" / "metrics.json").exists():
        refuse_complete(out, flags["epochs"])
    for config in _configs(out):
        begun = read_config(config).get("train", {})
        for name in _KEPT:
            _compare(config, begun, name, flags)


def refuse_complete(out: Path, epochs: int | None) -> None:
    """Refuse a run whose model is saved, unless it is to be longer.

    Raises:
        click.UsageError: If nothing is left to do.
    """
    if is_saved(out) and (epochs or 0) <= (had := _epochs(out)):
        raise click.UsageError(
            f"The run in {out} is complete: its model is in {out / 'model'}. "
            f"Choose another --out, or --epochs above its {had}; --model with "
            "this folder starts from it."
        )


def is_saved(out: Path) -> bool:
    """Return whether a run's folder has its model."""
    return (out / "model" / "config.json").exists()


def plain(value: Any) -> Any:
    """Return a flag's value for TOML; None in a table becomes "none"."""
    if isinstance(value, Mapping):
        return {k: "none" if x is None else x for k, x in value.items()}
    return str(value) if isinstance(value, Path) else value


def read_config(path: Path) -> dict[str, Any]:
    """Return a run's config.toml.

    Raises:
        click.UsageError: If it is no TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise click.UsageError(
            f"{path} is damaged: {error}. Choose another --out."
        ) from error


def _configs(out: Path) -> Iterator[Path]:
    """Yield the config of each stage that was begun."""
    for folder in (*sorted(out.glob("stage*")), out):
        if (folder / "checkpoint.npz").exists():
            config = folder / "config.toml"
            if config.is_file():
                yield config


def _compare(
    config: Path, begun: Mapping[str, Any], name: str, flags: Mapping[str, Any]
) -> None:
    flag = FLAGS.get(name, name)
    before, now = begun.get(flag), plain(flags.get(name))
    if _same(before, now):
        return
    shown = flag.replace("_", "-")
    raise click.UsageError(
        f"The run in {config.parent} was begun with {_words(shown, before)}, "
        f"and now there is {_words(shown, now)}. Give what it was begun with "
        f"(see {config}), or choose another --out."
    )


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, str) and isinstance(now, str):
        return before == now or _may_be_moved(before, now)
    before, now = (json.loads(json.dumps(x or None)) for x in (before, now))
    return before == now


def _may_be_moved(before: str, now: str) -> bool:
    """Return whether two texts may be one folder or file in two places."""
    if any("://" in x for x in (before, now)):
        return False
    paths = all(os.sep in x for x in (before, now))
    return paths or Path(before).name == Path(now).name


def _words(flag: str, value: Any) -> str:
    if not value:
        return f"no --{flag}"
    if isinstance(value, Mapping):
        return " ".join(f"--{flag} {k}={x}" for k, x in value.items())
    return f"--{flag} {value}"


def _epochs(out: Path) -> int:
    """Return the epochs that a complete run was to have."""
    try:
        metrics = json.loads((out / "metrics.json").read_text("utf-8"))
        return int(metrics.get("planned") or metrics["epochs"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0
