"""Readers of box lists in the formats of other tools.

CVAT's XML for videos, COCO's JSON with videos and tracks, the text of
MOTChallenge, and the folders of J-HMDB and UCF-Sports. Boxes become
inclusive: one that is 10 wide and starts at 3 ends at 12.
"""

import collections
import glob
import math
import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream._arrays import read_matlab
from keras_twostream._files import expanded
from keras_twostream.data.lists.files import is_video
from keras_twostream.data.lists.rows import explained, text_of, xml_of
from keras_twostream.detection.coco import read_coco
from keras_twostream.detection.store import AnnotatedVideo
from keras_twostream.detection.tracks import Track, tracks_of
from keras_twostream.errors import SpecError, check_choice

_LONGEST_GAP = 100_000  # frames that are interpolated between two boxes


def read_boxes(
    path: str | os.PathLike,
    format: str | None = None,
    *,
    root: str | os.PathLike | None = None,
    split: int | None = None,
    subset: str | None = None,
) -> list[AnnotatedVideo]:
    """Read videos with boxes of their actors and actions.

    Args:
        path: A list, or the folder of a data set.
        format: "cvat", "coco", "mot", "jhmdb" or "ucf_sports"; detected
            from the path when None.
        root: Folder of the videos; the list's folder when None.
        split: Number of J-HMDB's split, 1 to 3; other formats have none.
        subset: Subset of J-HMDB's split, "train" or "test".

    Returns:
        One entry for each video that has boxes. Frames count from 0.

    Raises:
        SpecError: If the format is unknown, the file is not in it, or it has no
            such part.

    Example:

    ```python
    videos = detection.read_boxes("annotations.xml", root="videos")
    ```
    """
    path = expanded(path)
    format = format or _format_of(path)
    check_choice("format", format, FORMATS)
    if not path.exists():
        raise SpecError(f"There is no {path}.")
    folder = expanded(root) if root else path.parent
    with explained(str(path)):
        if format == "jhmdb":
            return _jhmdb(path, split, subset)
        _refuse_parts(format, split, subset)
        return _READERS[format](path, folder)


def read_tracks(
    path: str | os.PathLike, format: str | None = None
) -> list[Track]:
    """Read the tracks of one video, to use in place of proposals.

    Args:
        path: A list of boxes of one video.
        format: As in `read_boxes`.

    Returns:
        A list of `Track`.

    Raises:
        SpecError: If the list covers several videos.
    """
    videos = read_boxes(path, format)
    if len(videos) != 1:
        raise SpecError(
            f"{path} has boxes of {len(videos)} videos, and those of one are "
            "needed. Pass the tracks of that video: read_boxes(...)[0].tracks"
        )
    return list(videos[0].tracks)


def _format_of(path: Path) -> str:
    if path.is_dir():
        return "jhmdb" if (path / "puppet_mask").is_dir() else "ucf_sports"
    endings = {".xml": "cvat", ".json": "coco", ".txt": "mot"}
    if path.suffix.lower() not in endings:
        raise SpecError(
            f"The format of {path} cannot be told from its name. Pass "
            f"`format`: {', '.join(FORMATS)}."
        )
    return endings[path.suffix.lower()]


def _refuse_parts(format: str, split: int | None, subset: str | None) -> None:
    """Refuse a part of a list that would be read as a whole."""
    if split is not None or subset is not None:
        raise SpecError(
            f"A split and a subset are of J-HMDB, and {format} has none. Leave "
            "them out, and give a list of the part alone. Received: "
            f"split={split!r}, subset={subset!r}"
        )


def _film(root: Path, stem: str) -> str:
    """Return the name of the video of a list that names none: its own."""
    films = [
        file.name
        for file in root.glob(f"{glob.escape(stem)}.*")
        if file.stem == stem and is_video(file.name)
    ]
    return films[0] if len(films) == 1 else stem


# === CVAT ===


def _cvat(path: Path, root: Path) -> list[AnnotatedVideo]:
    """Read CVAT for video 1.1: tracks of boxes with actions.

    The action is the attribute "action" where a box has one, the label
    otherwise. Boxes between two key frames are interpolated where the file
    lacks them; a track is absent from an "outside" box on. A turned box
    becomes the upright one around it.
    """
    document = xml_of(path)
    if document.tag != "annotations" or document.find("track") is None:
        raise SpecError(
            f'{path} has no tracks. Export from CVAT as "CVAT for video '
            '1.1"; boxes of single images have no place in time.'
        )
    sources = _sources(document)
    tracks: dict[str, dict] = {}
    for element in document.iter("track"):
        source = sources.get(element.get("task_id"), sources.get(None))
        if source is None:
            source = _film(root, path.stem)
        rows = tracks.setdefault(source, {})
        for key, frame, box in _cvat_boxes(element, path):
            rows.setdefault(key, []).append((frame, box))
    return [
        AnnotatedVideo(str(root / name), tracks_of(rows, path))
        for name, rows in tracks.items()
    ]


def _sources(document: ElementTree.Element) -> dict[str | None, str]:
    """Return the names of videos by task, by None for a single task."""
    tasks = document.findall("meta/project/tasks/task")
    if tasks:
        return {x.findtext("id"): x.findtext("source", "") for x in tasks}
    for place in ("meta/task/source", "meta/source", "meta/job/source"):
        name = document.findtext(place)
        if name:
            return {None: name}
    return {}


def _cvat_boxes(element: ElementTree.Element, path: Path):
    """Yield ((action, track), frame, x y width height) of every frame."""
    number, label = element.get("id"), element.get("label", "")
    if (kind := _other_shape(element)) is not None:
        raise SpecError(
            f"{path}: track {number} ({label}) has a {kind} in place of "
            "boxes. Draw boxes around people, or delete the track."
        )
    before: tuple[int, np.ndarray, str] | None = None
    for box in element.iter("box"):
        try:
            frame = int(box.get("frame", ""))
            edges = [
                float(box.get(k, "")) for k in ("xtl", "ytl", "xbr", "ybr")
            ]
            turn = float(box.get("rotation", "0"))
        except ValueError as error:
            raise SpecError(
                f"{path}: a box of track {number} has no frame or no corners "
                f"({error})."
            ) from error
        action = box.findtext("attribute[@name='action']") or label
        corners = _upright(np.array(edges), turn)
        if before is not None:
            yield from _between(before, frame, corners, number)
        before = None
        if box.get("outside") != "1":
            before = (frame, corners, action)
            yield (action, number), frame, _size(corners)


def _other_shape(track: ElementTree.Element) -> str | None:
    """Return the first kind of shape in a track without boxes."""
    kinds = [x.tag for x in track if x.get("frame") is not None]
    return None if "box" in kinds or not kinds else kinds[0]


def _upright(corners: np.ndarray, degrees: float) -> np.ndarray:
    """Return the box around one that is turned about its centre."""
    if not degrees:
        return corners
    low, high = corners.reshape(2, 2)
    cosine = abs(math.cos(math.radians(degrees)))
    sine = abs(math.sin(math.radians(degrees)))
    half = np.array([[cosine, sine], [sine, cosine]]) @ (high - low) / 2
    middle = (low + high) / 2
    return np.concatenate([middle - half, middle + half])


def _between(before, frame: int, corners: np.ndarray, number):
    """Interpolate boxes linearly between two key frames."""
    start, first, action = before
    if frame - start > _LONGEST_GAP:
        raise SpecError(
            f"The boxes of track {number} jump from frame {start} to {frame}, "
            f"over more than {_LONGEST_GAP:,} frames."
        )
    for middle in range(start + 1, frame):
        share = (middle - start) / (frame - start)
        box = first + share * (corners - first)
        yield (action, number), middle, _size(box)


def _size(corners: np.ndarray) -> list[float]:
    left, top, right, low = corners.tolist()
    return [left, top, right - left, low - top]


# === MOTChallenge ===


def _mot(path: Path, root: Path) -> list[AnnotatedVideo]:
    """Read MOTChallenge's lines of frame, track, x, y, width, height.

    Frames and pixels count from 1. Trackers write this format; every track is
    labelled "person". A box whose seventh number is 0 is left out: ground truth
    marks so what is not to be counted.
    """
    rows: dict[tuple[str, Any], list] = {}
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = [float(x) for x in re.split(r"[,\s]+", line.strip())[:7]]
            frame, track, left, top, wide, high, *counted = values
            if frame < 1 or frame % 1 or track % 1:
                raise ValueError("no whole numbers, or no frame from 1")
        except ValueError as error:
            raise SpecError(
                f"{path}, line {number}: not frame, track, x, y, width, "
                "height, with frames counted from 1. "
                f"Received: {line.strip()[:60]!r}"
            ) from error
        if counted == [0]:
            continue
        box = (left - 1, top - 1, wide, high)
        key = ("person", int(track))
        rows.setdefault(key, []).append((int(frame) - 1, box))
    film = root / _film(root, path.stem)
    return [AnnotatedVideo(str(film), tracks_of(rows, path))]


# === J-HMDB ===


def _jhmdb(
    folder: Path, split: int | None, subset: str | None
) -> list[AnnotatedVideo]:
    """Read J-HMDB's folders: ReCompress_Videos, puppet_mask and splits.

    The box of a frame bounds its puppet mask.
    """
    chosen = _jhmdb_split(folder, split, subset)
    videos = []
    for file in sorted((folder / "puppet_mask").glob("*/*/puppet_mask.mat")):
        name, action = file.parent.name, file.parent.parent.name
        if chosen is None or name in chosen:
            video = folder / "ReCompress_Videos" / action / f"{name}.avi"
            track = _of_masks(_matlab(file, "part_mask"), action, file)
            videos.append(AnnotatedVideo(str(video), (track,)))
    if not videos:
        raise SpecError(
            f"{folder} has no puppet_mask/<action>/<video>/puppet_mask.mat"
            + ("." if chosen is None else " of that split.")
        )
    return videos


def _jhmdb_split(
    folder: Path, split: int | None, subset: str | None
) -> set[str] | None:
    """Return the names of the videos of one part, None for all."""
    if subset is None and split is None:
        return None
    if subset not in ("train", "test") or split not in (1, 2, 3):
        raise SpecError(
            "J-HMDB has the splits 1, 2, 3, each with train and test. "
            f"Received: split={split!r}, subset={subset!r}"
        )
    part = "1" if subset == "train" else "2"
    names = set()
    for file in (folder / "splits").glob(f"*_test_split{split}.txt"):
        for line in text_of(file).splitlines():
            words = line.split()
            if len(words) == 2 and words[1] == part:
                names.add(words[0].removesuffix(".avi"))
    return names


def _matlab(file: Path, name: str) -> np.ndarray:
    try:
        return read_matlab(file, SpecError)[name]
    except SpecError:
        raise
    except Exception as error:  # a damaged file raises anything
        raise SpecError(f"{file} has no readable {name}: {error}.") from error


def _of_masks(masks: np.ndarray, action: str, file: Path) -> Track:
    """Return the track around (H, W, T) masks, without frames without mask."""
    masks = masks.reshape(*masks.shape[:2], -1) > 0
    frames = np.flatnonzero(masks.any(axis=(0, 1)))
    if not len(frames):
        raise SpecError(f"{file} marks no pixel of a person.")
    return Track(
        action, frames, np.stack([_around(masks[..., t]) for t in frames])
    )


def _around(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1], rows[-1]], float)


# === UCF-Sports ===


def _ucf_sports(folder: Path, _: Path) -> list[AnnotatedVideo]:
    """Read UCF-Sports's folders: <Action>/<001>/<video>.avi and gt/*.txt.

    Each text holds the box of one frame, "x y width height". Views of one
    action ("Golf-Swing-Back", "Golf-Swing-Side") are one class.
    """
    videos = []
    for truth in sorted(folder.glob("*/[0-9][0-9][0-9]/gt")):
        files = sorted(truth.glob("*.txt"), key=_natural)
        action = _UCF_VIEWS.sub("", truth.parent.parent.name)
        rows = collections.defaultdict(list)
        for frame, file in enumerate(files):
            box = _first_numbers(file)
            if box[2] > 0 and box[3] > 0:  # 0 where no person is visible
                rows[(action, 0)].append((frame, box))
        films = sorted(truth.parent.glob("*.avi"))
        if rows and films:
            videos.append(AnnotatedVideo(str(films[0]), tracks_of(rows, truth)))
    if not videos:
        raise SpecError(
            f"{folder} has no <Action>/<001>/gt/*.txt beside an .avi. Pass "
            'the folder "ucf action" of UCF-Sports, or `format`.'
        )
    return videos


_UCF_VIEWS = re.compile(r"-(Back|Front|Side)$")


def _natural(path: Path) -> list[Any]:
    """Return a sort key that orders names by the numbers in them."""
    parts = re.split(r"(\d+)", path.name)
    return [int(x) if x.isdigit() else x for x in parts]


def _first_numbers(file: Path) -> list[float]:
    with explained(str(file)):
        numbers = re.findall(r"-?\d+(?:\.\d+)?", text_of(file))
    if len(numbers) < 4:
        raise SpecError(f"{file} does not start with x, y, width, height.")
    return [float(x) for x in numbers[:4]]


_READERS: dict[str, Callable[[Path, Path], list[AnnotatedVideo]]] = {
    "cvat": _cvat,
    "coco": read_coco,
    "mot": _mot,
    "ucf_sports": _ucf_sports,
}
FORMATS = (*_READERS, "jhmdb")
