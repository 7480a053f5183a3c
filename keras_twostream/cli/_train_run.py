"""One run of `keras-twostream train`."""

import shlex
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np

from keras_twostream import hub, inspection, training
from keras_twostream.cli import _train_setup as setup
from keras_twostream.cli._settings import parse_value
from keras_twostream.training import RunSettings

# Parameters whose flag has another name.
FLAGS = {
    "changes": "set",
    "inputs": "input",
    "list_format": "format",
    "license_": "license",
}


def run(flags: dict[str, Any], command: list[str]) -> None:
    """Reads, builds, trains and saves; says so on standard error.

    Args:
        flags: The command's parameters by name.
        command: The command line, for the record.
    """
    out: Path = flags["out"]
    if (out / "model" / "config.json").exists():
        raise click.UsageError(
            f"The run in {out} is complete: its model is in {out / 'model'}. "
            "Choose another --out."
        )
    seed = flags["seed"] or 0
    keras.utils.set_random_seed(seed)
    training.set_precision(flags["precision"])
    lists = setup.read_lists(
        flags["data"],
        seed=seed,
        **{
            name: flags[name]
            for name in ("val", "val_share", "split", "root", "list_format")
        },
    )
    recipe = _recipe(flags)
    model = _model(flags, recipe, lists)
    _write_config(out, flags, command, recipe, model)
    click.echo(
        f"{model.name}: {model.count_params():,} parameters, "
        f"{len(lists.classes)} classes, {len(lists.train)} videos to train "
        f"on, {len(lists.validation)} to validate",
        err=True,
    )
    metrics = training.train(
        model,
        lists.train,
        recipe,
        out,
        validation=lists.validation,
        settings=_settings(flags, lists, seed),
    )
    _save(model, out, flags, metrics)


def _recipe(flags: dict[str, Any]) -> training.Recipe:
    recipe = training.load_recipe(flags["recipe"] or _default_recipe(flags))
    changes = dict(flags["changes"])
    for name in list(changes):
        table, dot, field = name.partition(".")
        if dot:
            inner = {**getattr(recipe, table), field: changes.pop(name)}
            changes[table] = {**changes.get(table, {}), **inner}
    for name in ("epochs", "batch_size"):
        if flags[name]:
            changes[name] = flags[name]
    changes["input"] = {**recipe.input, **flags["inputs"]}
    return training.recipe_from_dict({**recipe.to_dict(), **changes})


def _default_recipe(flags: dict[str, Any]) -> str:
    """The paper's recipe from random weights, else one for small data."""
    if flags["weights"] == "none":
        return flags["model"].partition(".")[0]
    return "finetune"


def _model(
    flags: dict[str, Any], recipe: training.Recipe, lists: setup.Lists
) -> keras.Model:
    options = dict(flags["option"])
    if flags["streams"]:
        options["streams"] = tuple(flags["streams"].split(","))
    model = setup.build_model(
        flags["model"],
        flags["weights"],
        lists.classes,
        recipe,
        options,
        flags["spec"],
    )
    setup.start_streams(model, flags["init"])
    return model


def _settings(
    flags: dict[str, Any], lists: setup.Lists, seed: int
) -> RunSettings:
    return RunSettings(
        seed=seed,
        patience=flags["patience"],
        keep=flags["keep"],
        checkpoint_seconds=flags["checkpoint_seconds"],
        workers=flags["workers"],
        cache=flags["cache"],
        jit_compile=parse_value(flags["jit"]),
        multi_label=lists.multi_label,
        class_weight=_class_weight(lists) if flags["balance"] else None,
    )


def _class_weight(lists: setup.Lists) -> dict[int, float]:
    """Inverse frequency, so that the mean weight of a clip is one."""
    labels = np.array([label for _, label in lists.train])
    counts = np.bincount(labels, minlength=len(lists.classes))
    mean = len(labels) / np.count_nonzero(counts)
    return {i: mean / n for i, n in enumerate(counts.tolist()) if n}


def _write_config(out, flags, command, recipe, model) -> None:
    """`config.toml`: it can be given to `--config` to repeat the run."""
    settings = {
        FLAGS.get(name, name): str(value) if isinstance(value, Path) else value
        for name, value in flags.items()
        if value not in (None, {}, ()) and name != "out"
    }
    training.write_toml(
        out / "config.toml",
        {
            "command": shlex.join(command),
            "train": settings,
            "recipe": recipe.to_dict(),
            "model": setup.describe(model),
            "versions": setup.versions(),
        },
    )


def _save(
    model: keras.Model,
    out: Path,
    flags: dict[str, Any],
    metrics: dict[str, Any],
) -> None:
    inspection.update_card(model, head_trained=True)
    best = metrics["best"]["best"]
    rows = []
    accuracy = metrics["monitor"] == "val_accuracy"
    if best is not None and accuracy and flags["keep"] == "best":
        rows = [
            {
                "name": "accuracy",
                "value": best,
                "dataset": Path(flags["data"]).name,
                "split": str(flags["split"] or "validation"),
                "protocol": "one centred clip per video",
            }
        ]
    hub.save_pretrained(
        training.fused_copy(model),
        out / "model",
        license=flags["license_"],
        data_terms=flags["data_terms"],
        metrics=rows,
    )
    click.echo(f"The model is in {out / 'model'}.", err=True)
