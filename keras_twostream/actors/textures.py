"""Walls and floors; the held-out split has families of its own."""

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.actors.body import Colour


def draw_texture(
    split: str, height: int, width: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw a random surface from the families of `split`.

    Returns:
        (height, width, 3) uint8.
    """
    families = FAMILIES[split]
    paint = families[rng.integers(len(families))]
    surface = paint(height, width, rng)
    flat = colour(rng)
    strength = rng.uniform(0.35, 1.0)
    surface = cv2.addWeighted(
        surface, strength, np.full_like(surface, flat), 1 - strength, 0
    )
    return cv2.add(surface, _clouds(height, width, rng) // 6)


def _clouds(height, width, rng):
    image = np.zeros((height, width, 3), np.float32)
    for cells in (3, 7, 17, 45):
        grid = rng.uniform(0, 1, (cells, 2 * cells, 3)).astype(np.float32)
        image += cv2.resize(
            grid, (width, height), interpolation=cv2.INTER_LINEAR
        ) * (2.0 / cells**0.5)
    grey = image.mean(axis=-1, keepdims=True)
    image = grey + rng.uniform(0.1, 0.8) * (image - grey)
    return (image * (255 / image.max())).astype(np.uint8)


def _bricks(height, width, rng):
    image = np.full((height, width, 3), colour(rng), np.uint8)
    base, rise = colour(rng), int(rng.integers(height // 18, height // 6))
    run = int(rise * rng.uniform(1.6, 3.0))
    for row, y in enumerate(range(0, height, rise)):
        for x in range(-(row % 2) * run // 2, width, run):
            shade = _near(base, rng, 18)
            cv2.rectangle(
                image, (x + 1, y + 1), (x + run - 2, y + rise - 2), shade, -1
            )
    return image


def _planks(height, width, rng):
    image = np.full((height, width, 3), colour(rng), np.uint8)
    base, x = colour(rng), 0
    other = colour(rng)
    while x < width:
        step = int(rng.uniform(0.03, 0.16) * height) + 1
        shade = _near(base if rng.uniform() < 0.6 else other, rng, 22)
        cv2.rectangle(image, (x, 0), (x + step - 1, height), shade, -1)
        x += step
    return image


def _collage(height, width, rng):
    image = _clouds(height, width, rng)
    for _ in range(int(rng.integers(15, 60))):
        x, y = rng.integers(-20, width), rng.integers(-20, height)
        w, h = rng.uniform(0.05, 0.45, 2) * height
        corner = (int(x + w), int(y + h))
        cv2.rectangle(image, (int(x), int(y)), corner, colour(rng), -1)
    return image


def _shelves(height, width, rng):
    image = np.full((height, width, 3), colour(rng), np.uint8)
    rise = int(height * rng.uniform(0.14, 0.3))
    for y in range(rise, height + rise, rise):
        x = 0
        while x < width:
            w, h = rng.uniform(0.02, 0.08) * height, rng.uniform(0.4, 0.9)
            top = (int(x), int(y - h * rise))
            cv2.rectangle(image, top, (int(x + w), y - 2), colour(rng), -1)
            x += w + 1
    return image


def _leaves(height, width, rng):
    image = _clouds(height, width, rng)
    count = int(rng.integers(80, 260))
    spread = rng.normal(0, 40, (count, 3)) + colour(rng)
    shades = np.clip(spread, 0, 255).astype(int).tolist()
    centres = (rng.uniform(0, 1, (count, 2)) * (width, height)).astype(int)
    axes = (rng.uniform(0.01, 0.09, (count, 2)) * (height, height / 2)).astype(
        int
    )
    turns = rng.uniform(0, 180, count)
    for centre, size, turn, shade in zip(
        centres.tolist(), axes.tolist(), turns, shades, strict=True
    ):
        cv2.ellipse(image, centre, size, turn, 0, 360, shade, -1, cv2.LINE_AA)
    return image


def _tiles(height, width, rng):
    side = rng.uniform(0.06, 0.2) * height
    turn = rng.uniform(0, np.pi)
    y, x = np.mgrid[:height, :width]
    u = np.floor((x * np.cos(turn) + y * np.sin(turn)) / side)
    v = np.floor((y * np.cos(turn) - x * np.sin(turn)) / side)
    colours = np.array([colour(rng), colour(rng)], np.uint8)
    return colours[((u + v) % 2).astype(int)]


def _dots(height, width, rng):
    image = np.full((height, width, 3), colour(rng), np.uint8)
    step, shade = rng.uniform(0.08, 0.2) * height, colour(rng)
    radius = int(step * rng.uniform(0.15, 0.4)) + 1
    for row, y in enumerate(np.arange(0, height + step, step)):
        for x in np.arange((row % 2) * step / 2, width + step, step):
            centre = (int(x), int(y))
            cv2.circle(image, centre, radius, shade, -1, cv2.LINE_AA)
    return image


def _waves(height, width, rng):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    total = np.zeros((height, width), np.float32)
    for _ in range(3):
        kx, ky = rng.normal(0, 0.12, 2) * 120 / height
        total += np.sin(kx * x + ky * y + rng.uniform(0, 6.3))
    share = ((total + 3) / 6)[..., None]
    first, second = np.array(colour(rng)), np.array(colour(rng))
    return (share * first + (1 - share) * second).astype(np.uint8)


FAMILIES = {
    "train": (_clouds, _bricks, _planks, _collage, _shelves, _leaves),
    "test": (_tiles, _dots, _waves),
}


def colour(rng: np.random.Generator) -> Colour:
    """Draw a grey of any brightness, more or less tinted."""
    return _near((rng.uniform(25, 225),) * 3, rng, rng.uniform(5, 40))


def _near(base, rng, spread: float) -> Colour:
    noise = rng.normal(0, spread, 3).tolist()
    mixed = zip(base, noise, strict=True)
    return tuple(int(min(255, max(0, value + move))) for value, move in mixed)
