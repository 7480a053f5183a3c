"""Recipes: the training settings of a paper, as data.

A recipe is a TOML file; the papers' own are `recipes/<architecture>.toml`.
Nothing in it is code, so it can be printed, compared and published.
"""

import dataclasses
import functools
import math
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_twostream._arrays import whole
from keras_twostream._files import expanded
from keras_twostream.errors import (
    SpecError,
    UnknownNameError,
    check_choice,
    check_count,
    check_fields,
    check_number,
    did_you_mean,
)

OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("constant", "steps", "cosine", "one_cycle", "plateau")
TABLES = (
    "schedule",
    "multipliers",
    "loss_weights",
    "options",
    "spec",
    "input",
    "distill",
)
# Entries of the tables that do not depend on the model.
ENTRIES = {
    "distill": ("features", "scores", "temperature", "replayed"),
    "schedule": ("name", "at", "factor", "warmup", "end", "patience"),
    "input": (
        "augment",
        "bound",
        "colour",
        "even_classes",
        "flow_values",
        "foreground",
        "mirror",
        "sampler",
        "short",
    ),
}


def _check_share(name: str, value: Any) -> None:
    check_number(name, value, high=1.0, ends=True)
    if value == 1:
        raise SpecError(f"`{name}` must be below 1. Received: {name}={value!r}")


COUNT, POSITIVE, SHARE = check_count, check_number, _check_share
WHOLE = functools.partial(check_count, least=0)
NOT_NEGATIVE = functools.partial(check_number, ends=True)
NUMBERS: dict[str, Callable[..., None]] = {
    "epochs": COUNT,
    "batch_size": COUNT,
    "accumulate": COUNT,
    "steps": COUNT,
    "least_steps": WHOLE,
    "patience": COUNT,
    "learning_rate": POSITIVE,
    "clip_norm": POSITIVE,
    "momentum": SHARE,
    "weight_decay": NOT_NEGATIVE,
    "label_smoothing": SHARE,
    "margin": POSITIVE,
    "push": NOT_NEGATIVE,
    "boundaries_every": WHOLE,
    "retrain": WHOLE,
}
FEW_STEPS = 6  # least steps of an epoch when there are few videos
OPTIONAL = ("steps", "patience", "clip_norm")
SCHEDULE_NUMBERS: dict[str, Callable[..., None]] = {
    "factor": POSITIVE,
    "warmup": SHARE,
    "end": NOT_NEGATIVE,
    "patience": COUNT,
}
FLAGS = ("nesterov", "partial_batch_norm")

_FOLDER = Path(__file__).parent / "recipes"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Settings to train one architecture.

    Attributes:
        name: The recipe's name.
        source: Source of the numbers: paper and section, or code.
        notes: Facts that the fields cannot express.
        epochs: Passes over the training list when steps are not given.
        batch_size: Clips in a batch.
        accumulate: Batches whose gradients are averaged for one step of the
            optimiser, where the paper's batch does not fit the memory.
        steps: Optimiser steps of the run, to which `schedule["at"]` refers,
            or None when it refers to epochs.
        least_steps: Least number of optimiser steps in a run: with few videos
            it takes more epochs, and smaller batches.
        optimizer: "sgd", "adam" or "adamw".
        momentum: Momentum of sgd.
        nesterov: Whether sgd uses Nesterov momentum.
        learning_rate: The largest one.
        schedule: A dict with "name" (constant, steps, cosine, one_cycle or
            plateau); "at" and "factor" of steps; "warmup", the share of the
            run that climbs to the learning rate; "end", the last rate as a
            share of it; "factor" and "patience" of plateau, the epochs
            without a better validation after which the rate falls.
        weight_decay: L2 added to the gradient for sgd, as in Caffe;
            decoupled for adamw. Biases and normalisation are left out.
        clip_norm: Largest norm of all gradients together, or None.
        multipliers: Dict from a regular expression on a variable's path to the
            factor on its learning rate; the first match counts.
        frozen: Regular expressions, or a single one, of names of layers that do
            not train.
        frozen_below: Regular expression; the layers below the first layer that
            matches do not train either. No match freezes nothing.
        retrain: Layers that train, counted back from the classifier: 1 is the
            classifier alone (Karpathy et al. 2014, section 5); 0 for all.
        partial_batch_norm: Freeze all batch normalisation but each stream's
            first (Wang et al. 2016, section 3.2).
        patience: Epochs without a better validation before training stops,
            or None for never.
        label_smoothing: Share of the target given to all classes.
        margin: Distance that other classes should keep in the contrastive loss
            of Actions ~ Transformations.
        push: Weight of the other classes in that loss.
        boundaries_every: Epochs between two searches for the videos' boundaries
            (the paper's EM); 0 takes the best ones at every step.
        loss_weights: Dict from output name to weight, for several heads.
        options: Options of the builder, such as dropout.
        spec: Fields of the ClipSpec that training changes.
        input: Options of `data.video_dataset`: augment, mirror, colour,
            sampler, flow_values, short, bound, even_classes. Of a detector:
            mirror, and
            foreground, the share of regions that overlap a true box.
        distill: Weights of the losses by which a student follows its teacher:
            "features", of the mean squared difference before the classifier,
            and "scores", of the divergence of class probabilities at a
            "temperature"; "replayed" is the share of clips that are played
            backwards, mirrored or both, whose only label is the teacher's
            answer. For runs with a teacher alone.
        stages: Changes of each further stage of training against the stage
            before: tables of fields, or of "table.entry".
    """

    name: str
    source: str = ""
    notes: str = ""
    epochs: int = 30
    batch_size: int = 16
    accumulate: int = 1
    steps: int | None = None
    least_steps: int = 0
    optimizer: str = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    learning_rate: float = 1e-2
    schedule: Mapping[str, Any] = dataclasses.field(
        default_factory=lambda: {"name": "cosine"}
    )
    weight_decay: float = 0.0
    clip_norm: float | None = None
    multipliers: Mapping[str, float] = dataclasses.field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    frozen_below: str | None = None
    retrain: int = 0
    partial_batch_norm: bool = False
    patience: int | None = None
    label_smoothing: float = 0.0
    margin: float = 0.5
    push: float = 1.0
    boundaries_every: int = 0
    loss_weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    spec: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    input: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    distill: Mapping[str, float] = dataclasses.field(default_factory=dict)
    stages: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        frozen = self.frozen
        frozen = (frozen,) if isinstance(frozen, str) else tuple(frozen)
        object.__setattr__(self, "frozen", frozen)
        object.__setattr__(self, "stages", tuple(self.stages))
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        for name in TABLES:
            _check_table(name, getattr(self, name))
        _check_schedule(self.schedule)
        _check_numbers(self)
        _check_flags(self)
        _check_patterns(self)
        self.staged()

    def passes(self, steps: int) -> int:
        """Return the passes over a training list that the recipe takes.

        Args:
            steps: Batches in one pass.
        """
        if self.steps is None:
            least = math.ceil(self.least_steps * self.accumulate / steps)
            return max(self.epochs, least)
        return math.ceil(self.steps * self.accumulate / steps)

    def fitted_batch(self, videos: int) -> int:
        """Return the batch size for so many videos.

        The recipe's own, unless it asks for a least number of steps: then
        an epoch of few videos has `FEW_STEPS` at least, of 8 clips or more.
        """
        if not self.least_steps:
            return self.batch_size
        return min(self.batch_size, max(8, videos // FEW_STEPS))

    def staged(self) -> "list[Recipe]":
        """Return the recipe of each stage, in order; one if it has no stages.

        Raises:
            SpecError: If a stage changes a field or entry that no recipe has.
        """
        stages = [dataclasses.replace(self, stages=())] if self.stages else []
        for number, changes in enumerate(self.stages, 2):
            if not isinstance(changes, Mapping) or "stages" in changes:
                raise SpecError(
                    f"Stage {number} of a recipe must be a table of the "
                    f"fields that change. Received: {changes!r}"
                )
            stages.append(stages[-1].with_entries(_flat(changes)))
        return stages or [self]

    def replace(self, **changes: Any) -> "Recipe":
        """Return a copy with some fields changed, checked again.

        Raises:
            SpecError: If a field is unknown or has a wrong value.
        """
        _check_fields(changes)
        return dataclasses.replace(self, **changes)

    def with_entries(self, changes: Mapping[str, Any]) -> "Recipe":
        """Return a copy with changed fields or single entries of its tables.

        Args:
            changes: Mapping from a field ("epochs") or an entry
                ("schedule.end") to its value; later ones win.

        Raises:
            SpecError: If a field is unknown, has no entries, or gets a
                wrong value.
        """
        values = self.to_dict()
        for name, value in changes.items():
            field, dot, entry = name.partition(".")
            if dot:
                value = {**_table(values, field, name), entry: value}
            values[field] = value
        return recipe_from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are set, as TOML-compatible values."""
        values = dataclasses.asdict(self)
        values["frozen"] = list(self.frozen)
        values["stages"] = [dict(stage) for stage in self.stages]
        if self.steps is not None:
            del values["epochs"]  # not used
        return {
            key: value
            for key, value in values.items()
            if value not in (None, "", {}, [])
        }


def _flat(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Split tables into entries, so that a stage changes only what it names."""
    entries: dict[str, Any] = {}
    for name, value in changes.items():
        if name in TABLES and isinstance(value, Mapping) and name != "schedule":
            entries |= {f"{name}.{entry}": x for entry, x in value.items()}
        else:
            entries[name] = value
    return entries


def list_recipes() -> list[str]:
    """Return the sorted names of the recipes that come with the library."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_recipe(recipe: "str | os.PathLike | Recipe") -> Recipe:
    """Return a recipe by name, from a TOML file, or as it is.

    Args:
        recipe: A name of `list_recipes()`, the path of a file that ends in
            .toml, or a `Recipe`.

    Returns:
        The recipe.

    Raises:
        UnknownNameError: If there is no such recipe.
        SpecError: If the file has a field or value that no recipe has.
    """
    if isinstance(recipe, Recipe):
        return recipe
    path = expanded(recipe)
    if path.suffix != ".toml":
        path = _FOLDER / f"{recipe}.toml"
    if not path.is_file():
        raise UnknownNameError(
            f"There is no recipe {os.fspath(recipe)!r}. Give a name or a "
            f".toml file.{did_you_mean(path.stem, list_recipes())}"
        )
    return _from_file(path)


def _from_file(path: Path) -> Recipe:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise SpecError(f"{path} is not a TOML file: {error}") from error
    with whole(path, SpecError, "See the recipes of the package."):
        return recipe_from_dict({"name": path.stem, **values})


def recipe_from_dict(values: Mapping[str, Any]) -> Recipe:
    """Return a recipe from the fields of a TOML table.

    Raises:
        SpecError: If a field is unknown or has a wrong value.
    """
    _check_fields(values)
    return Recipe(**values)


def _check_fields(names: Iterable[str]) -> None:
    known = [field.name for field in dataclasses.fields(Recipe)]
    check_fields("A recipe", names, known)


def _table(values: Mapping[str, Any], field: str, name: str) -> Any:
    """Return the table that holds `name`, a "field.entry" of a recipe."""
    _check_fields([field])
    table = values.get(field, {})
    if field not in TABLES or not isinstance(table, Mapping):
        raise SpecError(
            f"A recipe's `{field}` has no entries, so {name!r} cannot be "
            f"set. Set {field}=..., or an entry of {', '.join(TABLES)}."
        )
    return table


def _check_table(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise SpecError(
            f"A recipe's `{name}` is a table of names and values; one of "
            f"them is set as {name}.NAME. Received: {name}={value!r}"
        )
    for entry in value:
        known = ENTRIES.get(name, value)
        if entry not in known:
            raise SpecError(
                f"A recipe's `{name}` has no entry {entry!r}."
                f"{did_you_mean(entry, known)}"
            )


def _check_schedule(schedule: Mapping[str, Any]) -> None:
    check_choice("schedule.name", schedule.get("name"), SCHEDULES)
    at = schedule.get("at")
    if schedule["name"] == "steps" and not isinstance(at, list | tuple):
        raise SpecError(
            "The schedule 'steps' needs `at`, a list of the epochs or steps "
            "at which the rate falls: schedule.at=[10, 20]. Received: "
            f"at={at!r}"
        )
    for place in at or ():
        check_number("schedule.at", place)
    for name, rule in SCHEDULE_NUMBERS.items():
        if name in schedule:
            rule(f"schedule.{name}", schedule[name])


def _check_numbers(recipe: Recipe) -> None:
    numbers = {name: getattr(recipe, name) for name in NUMBERS}
    for name, value in numbers.items():
        if value is not None or name not in OPTIONAL:
            NUMBERS[name](name, value)
    if recipe.optimizer == "adam" and recipe.weight_decay:
        raise SpecError(
            "The optimiser adam has no weight decay; adamw has. Received: "
            f"weight_decay={recipe.weight_decay!r}"
        )
    if "foreground" in recipe.input:
        _check_share("foreground", recipe.input["foreground"])
    if "replayed" in recipe.distill:
        _check_share("distill.replayed", recipe.distill["replayed"])
    if "temperature" in recipe.distill:
        check_number("distill.temperature", recipe.distill["temperature"])
    for table in ("multipliers", "loss_weights", "distill"):
        for entry, value in getattr(recipe, table).items():
            check_number(f"{table}.{entry}", value, ends=True)


def _check_flags(recipe: Recipe) -> None:
    flags = {name: getattr(recipe, name) for name in FLAGS}
    for name in ("mirror", "even_classes"):
        if name in recipe.input:
            flags[f"input.{name}"] = recipe.input[name]
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise SpecError(
                f"A recipe's `{name}` must be true or false. "
                f"Received: {name}={value!r}"
            )


def _check_patterns(recipe: Recipe) -> None:
    below = (recipe.frozen_below,) if recipe.frozen_below else ()
    for pattern in (*recipe.frozen, *below, *recipe.multipliers):
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise SpecError(
                f"A recipe's pattern {pattern!r} is no regular expression: "
                f"{error}."
            ) from error
