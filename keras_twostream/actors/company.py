"""Several actors at once, each with an action of their own, and their boxes.

They stand side by side before one backdrop and one camera, which shakes but
does not follow anybody. Their boxes are exact, as they come from the outlines
that are drawn.
"""

import copy
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream import _files
from keras_twostream.actors.body import draw_body
from keras_twostream.actors.classes import (
    AS_SEEN,
    CLASSES,
    REVERSED,
)
from keras_twostream.actors.motions import pose_sequence
from keras_twostream.actors.painting import (
    Figure,
    cast,
    draw_frame,
    filmed,
    in_fixed_point,
)
from keras_twostream.actors.rendering import (
    check_scene,
    claim,
    encode_clip,
)
from keras_twostream.actors.scene import SPLITS, Scene
from keras_twostream.actors.textures import colour
from keras_twostream.errors import SpecError, UnknownNameError, did_you_mean

# Actions that one frame and its motion can tell apart: two pairs differ by
# the direction of time, one by the object in the hand.
COMPANY_CLASSES = (
    "sit_down",
    "stand_up",
    "raise_arms",
    "lower_arms",
    "wave_hand",
    "wave_flag",
    "jumping_jack",
    "bend",
)
SIZE = (112, 192)


def render_company(
    labels: Sequence[str],
    seed: int = 0,
    split: str = "train",
    index: int = 0,
    size: tuple[int, int] = SIZE,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw people side by side, the first of them on the left.

    Args:
        labels: Names in `CLASSES`, one for each person.
        seed: Seed of the whole data set.
        split: "train" or "test"; they share no person and no wall.
        index: Number of the clip in the split.
        size: (height, width) in pixels, both even.

    Returns:
        (T, height, width, 3) uint8 RGB at 25 frames a second, and (T, N, 4)
        float32 boxes, inclusive, one for each person.

    Raises:
        UnknownNameError: If there is no such label or split.
        SpecError: If there is no label, or H.264 cannot hold the size.
    """
    frames, boxes, _ = _draw(labels, seed, split, index, size)
    return frames, boxes


def write_company(
    path: str | os.PathLike,
    labels: Sequence[str],
    seed: int = 0,
    split: str = "train",
    index: int = 0,
    size: tuple[int, int] = SIZE,
) -> Path:
    """Draw people side by side into a video file, as `write_clip` does.

    Args:
        path: File to write.
        labels, seed, split, index, size: As for `render_company`.

    Returns:
        The path.
    """
    path = _files.expanded(path)
    frames, _, crf = _draw(labels, seed, split, index, size)
    encode_clip(path, frames, crf)
    return path


def generate_company(
    folder: str | os.PathLike,
    count: int,
    split: str = "train",
    seed: int = 0,
    *,
    classes: Sequence[str] = COMPANY_CLASSES,
    people: tuple[int, int] = (2, 3),
    size: tuple[int, int] = SIZE,
) -> Path:
    """Write videos of several actors, and one list of all their boxes.

    Files that exist are kept. The list is COCO's JSON with videos, frames
    and tracks, which `detection.read_boxes` reads.

    Args:
        folder: Folder for the videos and `<split>.json`.
        count: Number of videos.
        split: "train" or "test".
        seed: Seed of the whole data set.
        classes: Actions to draw from; no two people do the same one.
        people: Smallest and largest number of people in a video.
        size: (height, width) in pixels.

    Returns:
        The list.

    Raises:
        SpecError: If `count` is not positive, there are fewer classes than
            people, or the folder holds videos of this split that were drawn
            in another way.
    """
    if count < 1 or not 1 <= people[0] <= people[1] <= len(classes):
        raise SpecError(
            "`count` must be 1 or more and `people` two numbers from 1 to the "
            f"number of classes. Received: count={count}, people={people}, "
            f"{len(classes)} classes"
        )
    _check_names(classes)
    check_scene(seed, split, 0, size)
    folder, videos = _files.expanded(folder), []
    drawn = {
        "seed": seed,
        "size": list(size),
        "kind": "company",
        "classes": list(classes),
        "people": list(people),
    }
    claim(folder, split, drawn)
    for index in range(count):
        labels = _labels(seed, split, index, classes, people)
        path = folder / split / f"{split}_{index:06d}.mp4"
        clip = _draw(labels, seed, split, index, size, path.exists())
        frames, boxes, crf = clip
        if frames is not None:
            encode_clip(path, frames, crf)
        videos.append((path.relative_to(folder).as_posix(), labels, boxes))
    place = folder / f"{split}.json"
    content = {"drawn": drawn, **_coco(videos, classes, size)}
    _files.write_json(place, content)
    return place


def _labels(seed, split, index, classes, people) -> list[str]:
    # A generator of its own, apart from that of the scene.
    rng = np.random.default_rng([seed, SPLITS.index(split), index, 1])
    count = int(rng.integers(people[0], people[1] + 1))
    return [str(name) for name in rng.choice(classes, count, replace=False)]


def _check_names(labels: Sequence[str]) -> None:
    unknown = [name for name in labels if name not in CLASSES]
    if unknown:
        raise UnknownNameError(
            f"No action {unknown[0]!r} in actors."
            f"{did_you_mean(unknown[0], CLASSES)}"
        )


def _draw(labels, seed, split, index, size, only_boxes: bool = False):
    """Return frames, boxes and rate factor; no frames if only boxes count."""
    _check_names(labels)
    if not labels:
        raise SpecError("`labels` needs a name for each person; there is none.")
    check_scene(seed, split, index, size)
    rng = np.random.default_rng([seed, SPLITS.index(split), index, 2])
    setting, *acting = rng.spawn(1 + len(labels))
    stage = Scene(tuple(size), split, setting)
    stage.pan = 0.0
    figures = [
        _figure(stage, label, place, len(labels), source)
        for place, (label, source) in enumerate(
            zip(labels, acting, strict=True)
        )
    ]
    boxes = np.stack([_boxes(figure, size) for figure in figures], axis=1)
    if only_boxes:
        return None, boxes, stage.crf
    # People lower in the picture are nearer.
    depth = [figure.view.origin[:, 1].mean() for figure in figures]
    figures = [in_fixed_point(figures[i]) for i in np.argsort(depth)]
    still = np.zeros(stage.frames)
    frames = [
        draw_frame(stage, time, figures, still) for time in range(stage.frames)
    ]
    return np.stack(frames), boxes, stage.crf


def _figure(stage: Scene, label: str, place: int, count: int, rng) -> Figure:
    """Return one person in their part of the picture, as filmed."""
    scene = _standing(stage, place, count, rng)
    base = REVERSED.get(label, label)
    pose = pose_sequence(base, scene.frames, scene.body, rng)
    figure, _ = cast(scene, pose, label)
    backwards = label in REVERSED
    if base in AS_SEEN and scene.facing < 0:
        backwards = not backwards
    return filmed(_backwards(figure) if backwards else figure, scene)


def _standing(stage: Scene, place: int, count: int, rng) -> Scene:
    """Return the scene as it is for one of several people."""
    scene, (height, width) = copy.copy(stage), stage.size
    slot = width / count
    scene.body = draw_body(stage.split, rng)
    scene.facing = int(rng.choice([-1, 1]))
    scene.turn = rng.uniform(-1, 1)
    scene.height = rng.uniform(0.5, 0.72) * height
    middle = slot * (place + 0.5 + rng.uniform(-0.14, 0.14))
    scene.anchor = np.array([middle, height * rng.uniform(0.86, 0.98)])
    scene.seat = str(rng.choice(["chair", "stool", "box"]))
    scene.seat_colour, scene.seat_aside = colour(rng), 0.0
    scene.tool = str(rng.choice(["cup", "bottle", "phone", "flag"]))
    scene.carries = rng.uniform() < 0.2
    return scene


def _backwards(figure: Figure) -> Figure:
    """Return the same person in the opposite order of time."""

    def turned(parts):
        return [
            (depth[::-1], [(shape[::-1], tint) for shape, tint in fills])
            for depth, fills in parts
        ]

    view = replace(figure.view, origin=figure.view.origin[::-1])
    return Figure(turned(figure.parts), turned(figure.seat), view)


def _boxes(figure: Figure, size) -> np.ndarray:
    """Return (T, 4) boxes around the figure without its seat."""
    shapes = [shape for _, fills in figure.parts for shape, _ in fills]
    points = np.concatenate(shapes, axis=1)
    edges = np.array([size[1] - 1, size[0] - 1])
    low = np.clip(np.floor(points.min(axis=1)), 0, edges)
    high = np.clip(np.ceil(points.max(axis=1)), 0, edges)
    return np.concatenate([low, high], axis=1).astype(np.float32)


def _coco(videos, classes: Sequence[str], size) -> dict:
    """Return videos, frames and boxes in COCO's JSON, boxes as x, y, w, h."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    tracks = 0
    for video, (path, labels, boxes) in enumerate(videos):
        first = len(images)
        images += [
            {
                "id": first + frame,
                "video_id": video,
                "frame_index": frame,
                "file_name": path,
                "height": size[0],
                "width": size[1],
            }
            for frame in range(len(boxes))
        ]
        for person, label in enumerate(labels):
            track, tracks = tracks, tracks + 1
            annotations += [
                {
                    "id": len(annotations) + frame,
                    "image_id": first + frame,
                    "category_id": list(classes).index(label),
                    "track_id": track,
                    "bbox": _sized(box),
                }
                for frame, box in enumerate(boxes[:, person])
            ]
    names = [{"id": i, "name": name} for i, name in enumerate(classes)]
    files = [{"id": i, "name": path} for i, (path, *_) in enumerate(videos)]
    return {
        "videos": files,
        "categories": names,
        "images": images,
        "annotations": annotations,
    }


def _sized(box: np.ndarray) -> list[float]:
    left, top, right, low = box.tolist()
    return [left, top, right - left + 1, low - top + 1]
