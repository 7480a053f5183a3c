"""A chair, a stool or a box: every clip has one, sat on or not."""

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.actors.body import Body, Colour
from keras_twostream.actors.shapes import Fill, View, capsule, shade


def seat_fills(
    body: Body, view: View, kind: str, colour: Colour, aside: np.ndarray
) -> list[Fill]:
    """Return fills for a seat behind a figure or `aside` (T, 2) pixels off."""
    size = body.lengths
    top = size["shank"] + 0.035 - size["thigh_r"]
    middle = -size["thigh"] + 0.01
    near, far = middle + 0.14, middle - 0.15

    def block(x, y, z):
        corners = [(a, b, c) for a in x for b in y for c in z]
        points = np.array(corners)[:, None]
        flat = view.project(np.broadcast_to(points, (8, len(aside), 3)))
        return _hull(flat + aside)

    sides = (-0.14, 0.14)
    dark = shade(colour, -45)
    fills: list[Fill] = []
    if kind == "box":
        fills.append((block((far, near), sides, (0.0, top)), dark))
    else:
        for x in (far + 0.02, near - 0.02):
            for y in (-0.12, 0.12):
                ends = np.array([(x, y, 0.0), (x, y, top)])[:, None]
                ends = np.broadcast_to(ends, (2, len(aside), 3))
                foot, head = view.project(ends) + aside
                wide = 0.014 * view.scale
                fills.append((capsule(foot, head, wide, wide), dark))
    if kind == "chair":
        back = block((far - 0.02, far + 0.01), sides, (top, top + 0.36))
        fills.append((back, shade(colour, -20)))
    fills.append((block((far, near), sides, (top - 0.04, top)), colour))
    return fills


def _hull(points: np.ndarray) -> np.ndarray:
    """Return the (T, N, 2) outline that (8, T, 2) corners have at time 0."""
    outline = cv2.convexHull(
        points[:, 0].astype(np.float32), returnPoints=False
    )
    return np.swapaxes(points[outline.ravel()], 0, 1)
