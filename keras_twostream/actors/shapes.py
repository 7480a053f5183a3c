"""Shapes in the picture, from body coordinates."""

from dataclasses import dataclass

import numpy as np

from keras_twostream.actors.body import Colour

# Pixels or radians: the same at all times, or (T,).
Size = float | np.ndarray
# (T, N, 2) polygons in pixels, and their colour.
Fill = tuple[np.ndarray, Colour]
# The nearness of a part, (T,), and its fills.
Part = tuple[np.ndarray, list[Fill]]

_ARC = np.linspace(np.pi / 2, 3 * np.pi / 2, 7)
_ROUND = np.linspace(0, 2 * np.pi, 20, endpoint=False)


@dataclass(frozen=True)
class View:
    """A projection from body coordinates to pixels.

    Attributes:
        facing: 0 faces right, pi/2 the camera, pi left.
        pitch: Angle at which the camera looks down.
        scale: Pixels per body height.
        origin: (T, 2) pixel position of the floor under the body.
        light: -1 or 1, the side that light comes from.
    """

    facing: float
    pitch: float
    scale: float
    origin: np.ndarray
    light: int

    def nearness(self, points: np.ndarray) -> np.ndarray:
        """Return the distance towards the camera, in body heights."""
        return points[..., 0] * np.sin(self.facing) - points[..., 1] * np.cos(
            self.facing
        )

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project (..., T, 3) in body heights to (..., T, 2) in pixels."""
        across = points[..., 0] * np.cos(self.facing)
        across = across + points[..., 1] * np.sin(self.facing)
        near = self.nearness(points)
        up = points[..., 2] * np.cos(self.pitch) - near * np.sin(self.pitch)
        return self.origin + self.scale * np.stack([across, -up], axis=-1)


def capsule(
    start: np.ndarray, end: np.ndarray, wide: Size, narrow: Size
) -> np.ndarray:
    """Return a rounded limb from `start` to `end` (T, 2) as (T, 14, 2)."""
    along = end - start
    angle = np.arctan2(along[:, 1], along[:, 0])[:, None]
    first, second = angle + _ARC, angle + _ARC + np.pi
    tail = np.stack([np.cos(first), np.sin(first)], -1) * wide
    tip = np.stack([np.cos(second), np.sin(second)], -1) * narrow
    return np.concatenate([start[:, None] + tail, end[:, None] + tip], axis=1)


def ellipse(
    centre: np.ndarray, across: Size, tall: Size, turn: Size = 0.0
) -> np.ndarray:
    """Return an ellipse at `centre` (T, 2) as (T, 20, 2)."""
    x, y = across * np.cos(_ROUND), tall * np.sin(_ROUND)
    shape = np.stack(
        [
            x * np.cos(turn) - y * np.sin(turn),
            x * np.sin(turn) + y * np.cos(turn),
        ],
        axis=-1,
    )
    return centre[:, None] + shape


def shade(colour: Colour, amount: int) -> Colour:
    """Return `colour` made lighter, or darker where `amount` is negative."""
    return tuple(int(min(255, max(0, value + amount))) for value in colour)
