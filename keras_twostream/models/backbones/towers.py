"""Towers that run step by step, to be joined at any layer."""

import dataclasses
from collections.abc import Callable
from typing import Any

from keras_twostream.errors import UnknownNameError, did_you_mean
from keras_twostream.layers import FoldTime, MaxPooling3D, UnfoldTime
from keras_twostream.models.backbones import cnn_m, vgg

TOWERS = {"vgg16": vgg.steps, "cnn_m": cnn_m.steps}
SMALLEST = {"vgg16": vgg.SMALLEST, "cnn_m": cnn_m.SMALLEST}
# Feichtenhofer et al. 2016 pool 2 x 2 x 5, with a stride of 2 in time.
POOLED_STEPS = 5


@dataclasses.dataclass
class Tower:
    """A tower that runs step by step.

    Attributes:
        stream: "rgb" or "flow".
        x: Frames after the steps so far, folded: (B * length, ...).
        length: Time steps of x.
        steps: The steps still to run.
        in_3d: Whether pool5 pools through time.
    """

    stream: str
    x: Any
    length: int
    steps: dict[str, Callable]
    in_3d: bool

    def run(self, until: str | None = None) -> None:
        """Run all steps through `until`, or to the end."""
        if until is not None and until not in self.steps:
            return
        for name in list(self.steps):
            if name == "pool5" and self.in_3d:
                self._pool_time()
            self.x = self.steps.pop(name)(self.x)
            if name == until:
                return

    def unfolded(self, name: str) -> Any:
        """Return x with its time axis, (B, length, ...)."""
        return UnfoldTime(self.length, name=name)(self.x)

    def _pool_time(self) -> None:
        # The maximum of a 2 x 2 x 5 box is that over time, then over space.
        name = f"{self.stream}_pool5"
        pooled = MaxPooling3D(
            (min(POOLED_STEPS, self.length), 1, 1),
            strides=(2, 1, 1),
            name=f"{name}_time",
        )(self.unfolded(f"{name}_unfold"))
        self.length = pooled.shape[1]
        self.x = FoldTime(name=f"{name}_fold")(pooled)


def matching_steps(name: str, *towers: Tower) -> list[str]:
    """The step of this name in each tower, or the one in its place.

    "conv5" is the last convolution of the fifth block; CNN-M has conv5 where
    VGG has conv5_3, and full6 where it has fc6.

    Raises:
        UnknownNameError: If a tower has no such place, or none has a layer
            of this very name.
    """
    steps = [step for tower in towers for step in tower.steps]
    places = [_in_place(name, tower) for tower in towers]
    matches = [place for place in places if place is not None]
    known = name in {*steps, *map(_place, steps)}
    if len(matches) < len(towers) or not known:
        raise UnknownNameError(
            "`fuse_at` must name layers that both towers have. Received: "
            f"{name!r}.{did_you_mean(name, set(steps))}"
        )
    return matches


def _in_place(name: str, tower: Tower) -> str | None:
    if name in tower.steps:
        return name
    matches = [step for step in tower.steps if _place(step) == _place(name)]
    return matches[-1] if matches else None


def _place(step: str) -> str:
    return step.split("_")[0].replace("full", "fc")
