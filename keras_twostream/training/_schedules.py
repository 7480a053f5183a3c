"""Learning rates over a run, as Keras schedules."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_twostream.errors import SpecError
from keras_twostream.training._recipes import Recipe

ONE_CYCLE_WARMUP = 0.3
ONE_CYCLE_END = 1e-3
FACTOR = 0.1  # on the rate where it falls


@keras.saving.register_keras_serializable(package="keras_twostream")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """A linear climb, then half a cosine down.

    With a long warm-up this is the one-cycle policy (Smith 2018); with none it
    is the papers' plain cosine.

    Args:
        peak: The largest learning rate.
        steps: Optimiser steps of the whole run.
        warmup: Share of the run that climbs, 0 to 1.
        end: The last learning rate, as a share of `peak`.
    """

    def __init__(
        self, peak: float, steps: int, warmup: float = 0.0, end: float = 0.0
    ) -> None:
        super().__init__()
        self.peak, self.steps = float(peak), int(steps)
        self.warmup, self.end = float(warmup), float(end)

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        climb = self.warmup * self.steps
        rising = ops.minimum((step + 1.0) / max(climb, 1.0), 1.0)
        share = (step - climb) / max(self.steps - climb, 1.0)
        half = 0.5 * (1.0 + ops.cos(math.pi * ops.clip(share, 0.0, 1.0)))
        falling = self.end + (1.0 - self.end) * half
        return self.peak * ops.where(step < climb, rising, falling)

    def get_config(self):
        return {
            "peak": self.peak,
            "steps": self.steps,
            "warmup": self.warmup,
            "end": self.end,
        }


@keras.saving.register_keras_serializable(package="keras_twostream")
class Staircase(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that is multiplied by a factor at given steps.

    Args:
        start: The first learning rate.
        at: Steps at which the rate changes, ascending.
        factor: Factor on the rate at each of them.
        warmup: Steps of a linear climb to the first rate.
    """

    def __init__(
        self,
        start: float,
        at: Sequence[int],
        factor: float = FACTOR,
        warmup: int = 0,
    ) -> None:
        super().__init__()
        self.start, self.at = float(start), [int(step) for step in at]
        self.factor, self.warmup = float(factor), int(warmup)

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        climbed = ops.minimum((step + 1.0) / max(self.warmup, 1), 1.0)
        rate = self.start * climbed
        for boundary in self.at:
            rate = ops.where(step >= boundary, rate * self.factor, rate)
        return rate

    def get_config(self):
        return {
            "start": self.start,
            "at": self.at,
            "factor": self.factor,
            "warmup": self.warmup,
        }


def learning_rate(recipe: Recipe, steps: int | None) -> Any:
    """Return the recipe's schedule, stretched over a run.

    Args:
        recipe: The recipe.
        steps: Optimiser steps of the run; the recipe's own when None.

    Returns:
        A number, or a Keras schedule. Of "plateau" it is the first rate,
        which `FallOnPlateau` lowers.

    Raises:
        SpecError: If the length of the run is not known.
    """
    schedule = recipe.schedule
    name = schedule["name"]
    if name in ("constant", "plateau"):
        return recipe.learning_rate
    steps = steps or recipe.steps
    if steps is None:
        raise SpecError(
            f"The schedule {name!r} of recipe {recipe.name!r} needs the "
            "length of the run. Pass steps=epochs * batches in an epoch to "
            "keras_twostream.training.compile."
        )
    if name == "steps":
        # "at" counts the paper's own steps or epochs.
        share = steps / (recipe.steps or recipe.epochs)
        at = [round(place * share) for place in schedule["at"]]
        return Staircase(
            recipe.learning_rate,
            at,
            schedule.get("factor", FACTOR),
            round(schedule.get("warmup", 0.0) * steps),
        )
    one_cycle = name == "one_cycle"
    return WarmupCosine(
        recipe.learning_rate,
        steps,
        schedule.get("warmup", ONE_CYCLE_WARMUP if one_cycle else 0.0),
        schedule.get("end", ONE_CYCLE_END if one_cycle else 0.0),
    )


def rate_at(recipe: Recipe, steps: int, step: int) -> float:
    """Return the learning rate at one step of a run."""
    rate = learning_rate(recipe, steps)
    return float(rate(step) if callable(rate) else rate)
