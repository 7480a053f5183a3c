"""Intervals annotated in CVAT (XML, "for video" or "for images").

Tracks "for video" give the first and last frame of an interval: a box marked
"outside" ends it. Tags "for images" label frame by frame.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from keras_twostream.data.lists.items import Item, Listing, Request
from keras_twostream.data.lists.rows import explained, xml_of
from keras_twostream.data.video import reading
from keras_twostream.errors import SpecError

Interval = tuple[str, str, int, int]  # task, label, first frame, last frame


def read_cvat(request: Request) -> Listing:
    """Read the intervals of every task in a CVAT export.

    Frames become seconds by the clock of the video, which must exist.
    """
    path, root = request.path, request.videos
    tree = xml_of(path)
    with explained(str(path)):
        sources = _sources(tree, path)
        intervals = sorted({*_tracks(tree), *_tags(tree)})
        classes = sorted({label for _, label, _, _ in intervals})
        items = []
        for task, label, first, last in intervals:
            video = _source(task, sources)
            seconds = reading.frame_seconds(root / video)
            start, end = (_second(seconds, x) for x in (first, last + 1))
            labels = (classes.index(label),)
            items.append(Item(video, labels, None, start, end))
    return Listing(items, classes, root)


def _second(seconds: np.ndarray, frame: int) -> float:
    """Return the second at which a frame begins, also behind the last one."""
    count = len(seconds) - 1
    behind = max(frame - count, 0)
    return float(seconds[min(frame, count)] + behind * seconds[-1] / count)


def _sources(tree: ElementTree.Element, path: Path) -> dict[str, str]:
    """Return the video of each task, by the task's number."""
    tasks = [*tree.iterfind(".//meta//task"), *tree.iterfind("./meta/job")]
    sources = {
        task.findtext("id", ""): task.findtext("source", "").strip()
        for task in tasks
    }
    if not tasks or not all(sources.values()):
        raise SpecError(
            f"{path} does not say which video it is about: no <source> in "
            "<meta>. Export it from CVAT as 'CVAT for video 1.1'."
        )
    return sources


def _source(task: str, sources: dict[str, str]) -> str:
    """Return the video of a task, the only one where intervals name none."""
    if task not in sources and len(set(sources.values())) > 1:
        raise SpecError(
            f"has an interval of the task {task!r}, and is about the tasks "
            f"{', '.join(sources)}. Export each task alone."
        )
    return sources.get(task) or next(iter(sources.values()))


def _tracks(tree: ElementTree.Element) -> Iterator[Interval]:
    for track in tree.iter("track"):
        task, label = track.get("task_id", ""), track.attrib["label"]
        first = last = None
        for shape in sorted(track, key=lambda one: int(one.attrib["frame"])):
            frame = int(shape.attrib["frame"])
            if shape.get("outside") != "1":
                first, last = frame if first is None else first, frame
            elif first is not None:
                yield task, label, first, frame - 1
                first = None
        if first is not None and last is not None:
            yield task, label, first, last


def _tags(tree: ElementTree.Element) -> Iterator[Interval]:
    """Return runs of frames that have the same tag."""
    tagged = {
        (image.get("task_id", ""), tag.attrib["label"], int(image.attrib["id"]))
        for image in tree.iter("image")
        for tag in image.iter("tag")
    }
    numbered = enumerate(sorted(tagged))
    runs = groupby(numbered, key=lambda x: (*x[1][:2], x[1][2] - x[0]))
    for (task, label, _), run in runs:
        frames = [frame for _, (_, _, frame) in run]
        yield task, label, frames[0], frames[-1]
