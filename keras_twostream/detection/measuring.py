"""Evaluation of a detector on annotated videos, as in the paper."""

import collections
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_twostream import inspection
from keras_twostream.detection import measures
from keras_twostream.detection.detecting import (
    detections_of,
    loaded,
    score_frames,
    tubes_of,
)
from keras_twostream.detection.footage import Footage
from keras_twostream.detection.measures import Detections, sort_keys
from keras_twostream.detection.store import (
    AnnotatedVideo,
    check_given_in,
    check_tracks,
    labels_of,
    none_read,
)
from keras_twostream.detection.tracks import Tube
from keras_twostream.errors import SpecError, VideoError, check_number


def evaluate_detector(
    detector: keras.Model | str,
    videos: Sequence[AnnotatedVideo],
    threshold: float = 0.5,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Evaluate a detector on videos with true tracks.

    Args:
        detector: A detector, or a name for `load`.
        videos: Videos with true tracks.
        threshold: Least overlap of a correct detection.
        progress: Function called with the numbers of videos done and in total.

    Returns:
        Means over classes of "frame_ap" (boxes of single frames),
        "linked_frame_ap" (the same boxes as tubes rank them), "video_ap",
        "auc" (of the ROC curve to 0.6), "accuracy" (videos of one action
        whose best tube has its class), "classes" with the first three of
        each class, and "skipped", a dict from path to reason.

    Raises:
        SpecError: If the model is no detector or lacks a class of the tracks,
            or boxes can be of no such video.
        VideoError: If no video can be read.
    """
    check_number("threshold", threshold, 0, 1, ends=True)
    model = loaded(detector)
    _check_once(videos)
    check_classes(videos, inspection.class_names(model), model.name)
    check_given_in(videos, inspection.region_spec(model))
    single: dict[str, Detections] = {}
    tubes: dict[str, list[Tube]] = {}
    skipped: dict[str, str] = {}
    for number, video in enumerate(videos):
        try:
            single[video.path], tubes[video.path] = _detected_in(model, video)
        except VideoError as error:
            skipped[video.path] = str(error)
        progress(number + 1, len(videos))
    if not tubes:
        raise none_read(skipped)
    seen = [video for video in videos if video.path in tubes]
    return {**report(single, tubes, seen, threshold), "skipped": skipped}


def report(
    single: dict[str, Detections],
    tubes: dict[str, list[Tube]],
    videos: Sequence[AnnotatedVideo],
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Return the results of `evaluate_detector` for given detections.

    Args:
        single: Detected boxes of single frames, by video.
        tubes: Every detected tube, by video.
        videos: Videos with true tracks.
        threshold: Least overlap of a correct detection.
    """
    truths = {video.path: video.tracks for video in videos}
    linked = {name: Detections.of_tubes(x) for name, x in tubes.items()}
    by_class = {
        "frame_ap": measures.frame_ap(single, truths, threshold),
        "linked_frame_ap": measures.frame_ap(linked, truths, threshold),
        "video_ap": measures.video_ap(tubes, truths, threshold),
    }
    return {
        "threshold": threshold,
        "videos": len(videos),
        **{name: measures.mean(values) for name, values in by_class.items()},
        "auc": measures.roc(tubes, truths, threshold).area,
        "accuracy": _accuracy(tubes, videos),
        "classes": {
            label: {name: by_class[name][label] for name in by_class}
            for label in by_class["video_ap"]
        },
    }


def _check_once(videos: Sequence[AnnotatedVideo]) -> None:
    """Refuse a video that is there twice: measures take tracks by path."""
    counts = collections.Counter(video.path for video in videos)
    twice = [path for path, count in counts.items() if count > 1]
    if twice:
        raise SpecError(
            f"{twice[0]} is in the list twice. Join its tracks in one entry."
        )


def check_classes(
    videos: Sequence[AnnotatedVideo], names: Sequence[str], whose: str
) -> None:
    """Refuse tracks that no detection can match.

    Args:
        videos: Videos with true tracks.
        names: The actions that are detected.
        whose: What these names are of, in the error.

    Raises:
        SpecError: If a track is of none of them.
    """
    lacking = [label for label in labels_of(videos) if label not in names]
    if lacking:
        raise SpecError(
            f"The videos have tracks of {', '.join(lacking[:5])}, and the "
            f"actions of {whose} are {', '.join(names)}. Leave such tracks "
            "out, or give their labels these names."
        )


def _detected_in(
    model: keras.Model, video: AnnotatedVideo
) -> tuple[Detections, list[Tube]]:
    footage = Footage(video.path, inspection.clip_spec(model))
    check_tracks(video.tracks, footage, video.path)
    wants_boxes = inspection.region_spec(model).proposals == "boxes"
    given = video.given if wants_boxes else None
    frames = list(score_frames(footage, model, given))
    return detections_of(frames, model), tubes_of(
        frames, model, footage.seconds
    )


def _accuracy(
    tubes: dict[str, list[Tube]], videos: Sequence[AnnotatedVideo]
) -> float | None:
    """Return the share of one-action videos whose best tube is correct.

    Among equal scores a wrong tube counts, and so does one without a score.
    """
    right = []
    for video in videos:
        labels = {track.label for track in video.tracks}
        if len(labels) == 1:
            ranked = [
                (float(sort_keys(tube.score)), tube.label in labels)
                for tube in tubes[video.path]
            ]
            key, good = min(ranked, default=(0.0, False))
            right.append(good and key > -np.inf)
    return sum(right) / len(right) if right else None
