"""Proportions and looks of people, from one pool per split."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, ...]  # red, green, blue, 0..255

POOLS = {"train": (0, 1500), "test": (1_000_000, 1_000_500)}


@dataclass(frozen=True)
class Body:
    """Proportions and looks of one person.

    Attributes:
        lengths: Part name to length or radius, in body heights.
        colours: Part name to an (R, G, B) tuple, 0..255.
        hair: "short", "long", "cap" or "bald".
        sleeves: Share of the arm that is covered, 0..1.
        legs: Share of the leg that is covered, 0..1.
        pattern: "plain", "stripes", "band" or "halves" on the shirt.
    """

    lengths: dict[str, float]
    colours: dict[str, Colour]
    hair: str
    sleeves: float
    legs: float
    pattern: str


def draw_body(split: str, rng: np.random.Generator) -> Body:
    """Take a person from the pool of `split`; the pools share nobody."""
    return person(int(rng.integers(*POOLS[split])))


def person(number: int) -> Body:
    """Return the person with this number, always the same."""
    rng = np.random.default_rng([77, number])
    build = rng.uniform(0.85, 1.25)
    leg = rng.uniform(0.235, 0.255)
    lengths = {
        "thigh": leg,
        "shank": leg,
        "foot": rng.uniform(0.12, 0.15),
        "upper": rng.uniform(0.155, 0.18),
        "fore": rng.uniform(0.145, 0.165),
        "torso": rng.uniform(0.275, 0.305),
        "shoulder": 0.095 * rng.uniform(0.9, 1.1) * build**0.5,
        "pelvis": rng.uniform(0.045, 0.06),
        "head": rng.uniform(0.078, 0.09),
        "thigh_r": 0.043 * build,
        "shank_r": 0.031 * build,
        "arm_r": 0.032 * build,
        "chest_r": 0.088 * build,
        "waist_r": 0.072 * build * rng.uniform(0.9, 1.2),
    }
    colours = {
        "skin": _skin(rng),
        "hair": _hair(rng),
        "shirt": _cloth(rng),
        "trousers": _cloth(rng),
        "shoes": _cloth(rng),
        "trim": _cloth(rng),
    }
    return Body(
        lengths,
        colours,
        hair=str(rng.choice(["short", "long", "cap", "bald"], p=HAIR_ODDS)),
        sleeves=float(rng.choice([0.0, 0.5, 1.0])),
        legs=float(rng.choice([0.45, 1.0, 1.0])),
        pattern=str(rng.choice(["plain", "stripes", "band", "halves"])),
    )


HAIR_ODDS = (0.45, 0.3, 0.17, 0.08)


def _skin(rng) -> Colour:
    dark, light = np.array([84, 52, 36]), np.array([244, 208, 180])
    return _rgb(dark + rng.uniform() * (light - dark))


def _hair(rng) -> Colour:
    shades = [(28, 22, 20), (80, 50, 28), (190, 150, 80), (150, 60, 30)]
    shade = np.array(shades[rng.integers(len(shades))])
    return _rgb(shade + rng.normal(0, 8, 3))


def _cloth(rng) -> Colour:
    grey = rng.uniform(20, 235)
    return _rgb(grey + rng.uniform(0, 1.2) * rng.normal(0, 60, 3))


def _rgb(values) -> Colour:
    return tuple(int(v) for v in np.clip(values, 5, 250))
