"""Actors who change a state, and when: before, during, after.

Somebody sits down, stands up, takes something from the floor or puts it back.
The frames before the change show one state of the world, those after it the
other, which is what Actions ~ Transformations (Wang et al. 2016) looks for.
The change lies where that paper searches: it begins between a third and half
of the clip, and ends between half and two thirds.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_twostream import _files
from keras_twostream.actors.classes import CHANGES, CHANGES_REVERSED
from keras_twostream.actors.motions import fidget, picking_up, sitting
from keras_twostream.actors.painting import (
    Figure,
    cast,
    draw_frame,
    filmed,
    in_fixed_point,
)
from keras_twostream.actors.rendering import check_scene, claim, encode_clip
from keras_twostream.actors.scene import SPLITS, Scene
from keras_twostream.errors import (
    UnknownNameError,
    check_count,
    did_you_mean,
)

SIZE = (96, 96)
_SHORTEST = 60  # frames
_LEAST = 0.08  # of the clip that a change takes


def render_change(
    label: str,
    seed: int = 0,
    split: str = "train",
    index: int = 0,
    size: tuple[int, int] = SIZE,
) -> tuple[np.ndarray, tuple[int, int]]:
    """Draw one person who changes a state, and say when.

    Args:
        label: One of `CHANGES`.
        seed: Seed of the whole data set.
        split: "train" or "test"; they share no person and no wall.
        index: Number of the clip in the split.
        size: (height, width) in pixels, both even.

    Returns:
        (T, height, width, 3) uint8 RGB, 60 to 120 frames at 25 a second, and
        two frame numbers: of the change's first frame, and of the first one
        after it. The first lies in [T/3, T/2], the second in [T/2, 2T/3], and
        there is at least 0.08 T between them.

    Raises:
        UnknownNameError: If there is no such label or split.
        SpecError: If H.264 cannot hold the size.

    Example:

    ```python
    frames, (start, end) = actors.render_change("pick_up")
    before, after = frames[:start], frames[end:]
    ```
    """
    shot = _prepared(label, seed, split, index, size)
    return shot.frames(), shot.bounds


def generate_changes(
    folder: str | os.PathLike,
    count: int,
    split: str = "train",
    seed: int = 0,
    size: tuple[int, int] = SIZE,
) -> Path:
    """Write clips of all changes in turn, and one list of their boundaries.

    Args:
        folder: Folder for the clips and `<split>.json`.
        count: Number of clips; clip i shows change i modulo 4.
        split: "train" or "test".
        seed: Seed of the whole data set.
        size: (height, width) in pixels.

    Returns:
        The list, which `read_annotations` reads; its items hold the frame
        numbers "start" and "end" of the change, and "frames", the length.

    Raises:
        SpecError: If `count` is not positive, or the folder holds clips of
            this split that were drawn in another way.
    """
    check_count("count", count)
    check_scene(seed, split, 0, size)
    folder, items = _files.expanded(folder), []
    drawn = {"seed": seed, "size": list(size), "kind": "changes"}
    claim(folder, split, drawn)
    for index in range(count):
        label = CHANGES[index % len(CHANGES)]
        place = folder / split / label / f"{split}_{index:06d}.mp4"
        shot = _prepared(label, seed, split, index, size)
        if not place.exists():
            encode_clip(place, shot.frames(), shot.scene.crf)
        items.append(
            {
                "path": place.relative_to(folder).as_posix(),
                "label": label,
                "change": list(shot.bounds),
                "frames": shot.scene.frames,
            }
        )
    listed = folder / f"{split}.json"
    content = {"classes": CHANGES, "drawn": drawn, "items": items}
    _files.write_json(listed, content)
    return listed


@dataclass(frozen=True)
class _Shot:
    """A clip before it is drawn.

    Attributes:
        scene: Person, place and camera.
        figure: The person's movements, forwards.
        backwards: Whether time runs the other way.
        bounds: First frame of the change, and the first one after it.
    """

    scene: Scene
    figure: Figure
    backwards: bool
    bounds: tuple[int, int]

    def frames(self) -> np.ndarray:
        """Return (T, height, width, 3) uint8."""
        count = self.scene.frames
        figures, still = [in_fixed_point(self.figure)], np.zeros(count)
        order = range(count)[::-1] if self.backwards else range(count)
        return np.stack(
            [draw_frame(self.scene, time, figures, still) for time in order]
        )


def _prepared(label: str, seed: int, split: str, index: int, size) -> _Shot:
    if label not in CHANGES:
        raise UnknownNameError(
            f"No {label!r} in changes of actors.{did_you_mean(label, CHANGES)}"
        )
    check_scene(seed, split, index, size)
    rng = np.random.default_rng([seed, SPLITS.index(split), index, 3])
    setting, acting = rng.spawn(2)
    scene = Scene(tuple(size), split, setting, _SHORTEST)
    scene.pan = 0.0
    start, end = _bounds(scene.frames, acting)
    base = CHANGES_REVERSED.get(label, label)
    figure = filmed(_figure(scene, base, start, end, acting), scene)
    if base != label:
        start, end = scene.frames - end, scene.frames - start
    return _Shot(scene, figure, base != label, (start, end))


def _bounds(count: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return first frame of the change, and the first one after it."""
    third, middle = count / 3, count / 2
    start, end = rng.uniform(third, middle), rng.uniform(middle, 2 * third)
    lacking = max(0.0, _LEAST * count - (end - start)) / 2
    return round(start - lacking), round(end + lacking)


def _figure(scene: Scene, base: str, start: int, end: int, rng) -> Figure:
    time = (np.arange(scene.frames) - start) / (end - start)
    done = np.clip(time, 0, 1)
    done = done**2 * (3 - 2 * done)
    taken = 0
    if base == "sit_down":
        pose = sitting(done, rng)
    else:
        pose, taken = picking_up(done, rng)
    pose = fidget(pose, scene.seconds, rng)
    return cast(scene, pose, base, taken)[0]
