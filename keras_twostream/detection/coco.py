"""Boxes in COCO's JSON, as it is written for videos."""

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_twostream.data.lists.rows import text_of
from keras_twostream.detection.store import AnnotatedVideo
from keras_twostream.detection.tracks import tracks_of
from keras_twostream.errors import SpecError


def read_coco(path: Path, root: Path) -> list[AnnotatedVideo]:
    """Read COCO's JSON with `videos`, numbered frames and `track_id`.

    Frames count from 0. Their number is `frame_index` or `frame_id`, or else
    the last digits in the image's name.
    """
    try:
        content = json.loads(text_of(path))
        names = {
            number: row["name"]
            for number, row in _by_id(content, "categories", path).items()
        }
        videos = {
            number: row.get("file_name") or row["name"]
            for number, row in _by_id(content, "videos", path).items()
        }
        frames = _coco_frames(_by_id(content, "images", path), path)
        tracks: dict[Any, dict] = {}
        for row in content["annotations"]:
            where = f"{path}: the annotation {row.get('id')}"
            video, frame = _named(frames, row["image_id"], "images", where)
            label = _named(names, row["category_id"], "categories", where)
            _named(videos, video, "videos", f"{path}: image {row['image_id']}")
            rows = tracks.setdefault(video, {})
            key = (label, _number(row, path))
            rows.setdefault(key, []).append((frame, row["bbox"]))
        return [
            AnnotatedVideo(str(root / videos[video]), tracks_of(rows, path))
            for video, rows in tracks.items()
        ]
    except SpecError:  # which is a ValueError
        raise
    except (ValueError, TypeError) as error:
        raise SpecError(f"{path} is no COCO list: {error}.") from error
    except KeyError as error:
        raise SpecError(
            f"{path} is no COCO list of videos: {error} is missing. It needs "
            "categories, videos, images with video_id and frame_index, and "
            "annotations with image_id, category_id, track_id and bbox."
        ) from error


def _by_id(
    content: Mapping[str, Any], kind: str, path: Path
) -> dict[Any, Mapping[str, Any]]:
    """Return the rows of a kind by their ids, each of one row alone."""
    rows: dict[Any, Mapping[str, Any]] = {}
    for row in content[kind]:
        if rows.setdefault(row["id"], row) != row:
            raise SpecError(
                f"{path}: two of its {kind} have the id {row['id']}. Give "
                "each its own."
            )
    return rows


def _named(rows: Mapping[Any, Any], number: Any, kind: str, where: str) -> Any:
    """Return what has this id, which another row names."""
    if number not in rows:
        raise SpecError(
            f"{where} is of {number!r}, and none of the {kind} has that id."
        )
    return rows[number]


def _coco_frames(
    images: Mapping[Any, Mapping[str, Any]], path: Path
) -> dict[Any, tuple[Any, int]]:
    """Return the video and the frame's number of each image."""
    frames = {
        number: (image["video_id"], _frame_number(image, path))
        for number, image in images.items()
    }
    seen: dict[tuple[Any, int], Any] = {}
    for image, frame in frames.items():
        if (other := seen.setdefault(frame, image)) != image:
            raise SpecError(
                f"{path}: the images {other} and {image} of video {frame[0]} "
                f"are both its frame {frame[1]}. Give each a frame_index; "
                "without one, the last digits of its file_name count."
            )
    _warn_of_names_from_1(images, frames, path)
    return frames


def _warn_of_names_from_1(
    images: Mapping[Any, Mapping[str, Any]],
    frames: Mapping[Any, tuple[Any, int]],
    path: Path,
) -> None:
    """Warn where the first of all frames is 1 and names alone say so."""
    first = min((frame for _, frame in frames.values()), default=0)
    if first == 1 and not any(map(_stated_frame, images.values())):
        warnings.warn(
            f"{path}: the names of its images count from 1, and frames are "
            "taken as counted from 0. If 1 is the first frame of a video, "
            "give each image its frame_index, a number less.",
            stacklevel=2,
        )


def _number(row: Mapping[str, Any], path: Path) -> Any:
    rows = (row, row.get("attributes") or {})
    for name in ("track_id", "instance_id"):
        for place in rows:
            if place.get(name) is not None:
                return place[name]
    raise SpecError(
        f"{path}: the annotation {row.get('id')} has no track_id, so who it "
        "belongs to in the next frame is unknown. Export tracks, not boxes."
    )


def _stated_frame(image: Mapping[str, Any]) -> str | None:
    """Return the name of the field that numbers an image, if it has one."""
    names = ("frame_index", "frame_id")
    return next((x for x in names if image.get(x) is not None), None)


def _frame_number(image: Mapping[str, Any], path: Path) -> int:
    if name := _stated_frame(image):
        if float(image[name]) % 1:
            raise ValueError(f"{name} is {image[name]}, no whole number")
        return int(image[name])
    digits = re.findall(r"\d+", Path(str(image.get("file_name", ""))).stem)
    if not digits:
        raise SpecError(
            f"{path}: the image {image.get('id')} has no frame_index, and its "
            "name no number. Number the frames of each video from 0."
        )
    return int(digits[-1])
