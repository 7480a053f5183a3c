"""Refusals and plan of `train`, before the backend is imported."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import click

from keras_twostream.cli import _console, _networks, _train_resume
from keras_twostream.cli._files import check_writable, model_name
from keras_twostream.cli._options import refuse_flags_of_clips
from keras_twostream.spec import STREAMS, check_stream_names
from keras_twostream.training._lists import Lists, read_lists
from keras_twostream.training._recipes import (
    Recipe,
    list_recipes,
    load_recipe,
)

DETECTOR_RECIPE = "action_tubes"
# Parameters of `train` that a detector's training reads or explains.
_OF_TUBES = frozenset(
    "task config data list_format root split subset recipe out val epochs "
    "batch_size streams option spec changes inputs distill "
    "checkpoint_seconds license_ data_terms verbose as_json seed device "
    "debug".split()
)
_OF_LISTS = (
    "val",
    "val_share",
    "recordings",
    "split",
    "subset",
    "root",
    "list_format",
    "heads",
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Videos and stages of a run.

    Attributes:
        lists: The videos.
        stages: The number and the recipe of each stage that is to run.
    """

    lists: Lists
    stages: list[tuple[int, Recipe]]


def plan(flags: Mapping[str, Any]) -> Plan:
    """Return the plan of a run that names clips.

    Raises:
        click.UsageError: If flags contradict each other or what there is.
        TwoStreamError: If the list or the recipe is wrong.
    """
    check_writable(flags["out"])
    _check_names(flags)
    stages = _stages(flags)
    lists = read_lists(
        flags["data"],
        seed=flags["seed"] or 0,
        **{name: flags[name] for name in _OF_LISTS},
    )
    for note in lists.notes:
        _console.say(note, err=True)
    if not lists.validation:
        _train_resume.refuse_complete(flags["out"], flags["epochs"])
    _check_validation(flags, lists)
    return Plan(lists, stages)


def plan_of_tubes(flags: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a detector's run.

    Raises:
        click.UsageError: If a flag is not for detectors.
        TwoStreamError: If the recipe is wrong.
    """
    if flags["distill"]:
        raise click.UsageError("--distill is of networks that see clips.")
    refuse_flags_of_clips(_OF_TUBES, "--task tubes")
    if flags["epochs"]:
        raise click.UsageError(
            "A detector's network trains for a number of steps, not epochs: "
            "--set steps=2000."
        )
    other = [name for name in flags["inputs"] if name != "frames"]
    if other:
        raise click.UsageError(
            f"--task tubes takes --input frames=N only. Received: {other[0]}"
        )
    check_writable(flags["out"])
    _check_streams(flags)
    _networks.check_options("action_tubes", flags["option"])
    recipe = load_recipe(flags["recipe"] or DETECTOR_RECIPE)
    return recipe.replace(**flags["changes"])


def _check_names(flags: Mapping[str, Any]) -> None:
    """Refuse models, streams and options that are not there."""
    _networks.check_options(model_name(flags["model"]), flags["option"])
    if flags["distill"]:
        model_name(flags["distill"])
    _check_streams(flags)
    for stream, place in flags["init"].items():
        check_stream_names((stream,))
        other, _, rest = place.partition(":")
        model_name(rest if other in STREAMS else place)


def _check_streams(flags: Mapping[str, Any]) -> None:
    if flags["streams"]:
        check_stream_names(streams_of(flags["streams"]))


def streams_of(text: str) -> tuple[str, ...]:
    """Return the streams that `--streams` names."""
    return tuple(name.strip() for name in text.split(","))


def _check_validation(flags: Mapping[str, Any], lists: Lists) -> None:
    """Refuse --patience without validation; report that nothing is held out.

    Raises:
        click.UsageError: If --patience was given.
    """
    if lists.validation:
        return
    if flags["patience"]:
        raise click.UsageError(
            "--patience waits for a better validation, and there are no "
            "videos to validate on. Give --val, or a --val-share above 0 and "
            "classes of several recordings."
        )
    if flags["val_share"]:
        _console.say(
            "No videos are held out: every class has one video, or one "
            "recording (see --recordings). The last weights are kept.",
            err=True,
        )


def _stages(flags: Mapping[str, Any]) -> list[tuple[int, Recipe]]:
    stages = list(enumerate(_recipe(flags).staged(), 1))
    wanted = flags["stage"]
    if not wanted:
        return stages
    if wanted > len(stages):
        raise click.UsageError(
            f"The recipe's last stage is {len(stages)}. Received: --stage "
            f"{wanted}"
        )
    return [stages[wanted - 1]]


def _recipe(flags: Mapping[str, Any]) -> Recipe:
    recipe = load_recipe(flags["recipe"] or _default_recipe(flags))
    changes = dict(flags["changes"])
    # Epochs belong to the run, not to the recipe: its schedule may count in
    # them.
    if flags["batch_size"]:
        changes["batch_size"] = flags["batch_size"]
    inputs = {f"input.{name}": x for name, x in flags["inputs"].items()}
    return recipe.with_entries({**changes, **inputs})


def _default_recipe(flags: Mapping[str, Any]) -> str:
    """Return the paper's recipe for random weights, else one for small data."""
    architecture = flags["model"].partition(".")[0]
    if flags["distill"]:
        return "distillation"
    if flags["weights"] == "none" and architecture in list_recipes():
        return architecture
    return "finetune"
