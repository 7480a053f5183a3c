"""Actors: labelled videos of drawn people, made on your own machine.

Both streams are needed by construction. Four pairs of classes share every
pose and differ by the direction of time; two share every motion and differ
by the object in the hand. Person, place, camera motion, length and compression
are drawn without regard to the class (`benchmarks/actors_bias.py` measures
it), and the "test" split has people and walls that "train" never shows.

A single frame at a *fixed* place of a clip can tell which half of a
movement comes first; to measure what a single frame tells, take the middle one
or one at random.

`render_company` draws several people at once, each with an action of their
own, and gives their boxes. `render_change` draws one who changes a state, and
gives the frames where the change begins and ends.
"""

from keras_twostream.actors.changes import generate_changes, render_change
from keras_twostream.actors.classes import CHANGES, CLASSES
from keras_twostream.actors.company import (
    COMPANY_CLASSES,
    generate_company,
    render_company,
    write_company,
)
from keras_twostream.actors.rendering import generate, render, write_clip

__all__ = [
    "CHANGES",
    "CLASSES",
    "COMPANY_CLASSES",
    "generate",
    "generate_changes",
    "generate_company",
    "render",
    "render_change",
    "render_company",
    "write_clip",
    "write_company",
]
