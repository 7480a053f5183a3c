"""Detection of action tubes in a video."""

import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_twostream import hub, inspection
from keras_twostream.detection.cutting import Cutter, run_on_regions
from keras_twostream.detection.footage import Footage, Source
from keras_twostream.detection.geometry import (
    as_boxes,
    check_places,
    suppress,
    voted,
)
from keras_twostream.detection.linking import link
from keras_twostream.detection.measures import Detections
from keras_twostream.detection.proposals import check_given, propose
from keras_twostream.detection.store import boxes_at, check_tracks
from keras_twostream.detection.tracks import Track, Tube, track_overlap
from keras_twostream.errors import SpecError, check_number
from keras_twostream.regions import RegionSpec
from keras_twostream.scoring.predicting import refuse_diverged, refuse_untrained

SAME = 0.5  # least overlap of tubes around one person

Given = Sequence[Track] | Sequence[np.ndarray] | str | os.PathLike


@dataclasses.dataclass(frozen=True)
class FrameScores:
    """The classifiers' scores for the regions of one frame.

    Attributes:
        frame: Number of the frame.
        boxes: (N, 4) boxes in pixels of the video.
        scores: (N, C) scores of the SVMs.
    """

    frame: int
    boxes: np.ndarray
    scores: np.ndarray


def detect(
    source: Source,
    detector: keras.Model | str,
    *,
    boxes: Given | None = None,
    threshold: float | None = 0.0,
    exclusive: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[Tube]:
    """Detect actions in a video: actors, places and times.

    Args:
        source: A video file, or (T, H, W, 3) RGB frames, 0..255.
        detector: A detector, as `detection.train_detector` returns, or a name
            for `load`: "action_tubes.actors", "local:run/model".
        boxes: For a detector trained on boxes: tracks of a tracker, one
            array (N, 4) per frame, or a file for `detection.read_boxes`.
        threshold: Least mean score of a tube's boxes, in margins of the
            SVMs; None for every path.
        exclusive: Whether to keep only the best of tubes that overlap, so
            that each person has one action.
        progress: Function called with the number of frames done.

    Returns:
        Tubes, the best first, boxes in pixels of the video. A tube spans
        all frames in a row that have regions.

    Raises:
        UntrainedHeadError: If the detector was never trained, or its scores
            are no numbers.
        VideoError: If the file cannot be read.
        SpecError: If the model is no detector, or does not fit the boxes, or
            the threshold is no number.

    Example:

    ```python
    for tube in keras_twostream.detect("street.mp4", "action_tubes.actors"):
        print(tube.label, tube.seconds, tube.score)
    ```
    """
    if threshold is not None:
        check_number("threshold", threshold, -math.inf)
    model = loaded(detector)
    footage = Footage(source, inspection.clip_spec(model))
    frames = []
    for scores in score_frames(footage, model, boxes):
        frames.append(scores)
        if progress is not None:
            progress(len(frames))
    tubes = tubes_of(frames, model, footage.seconds)
    return chosen(tubes, threshold, exclusive)


def loaded(detector: keras.Model | str) -> keras.Model:
    """Return the detector, loaded if it is a name, and checked.

    Raises:
        SpecError: If the model is no detector.
        UntrainedHeadError: If it was never trained.
    """
    model = hub.load(detector) if isinstance(detector, str) else detector
    inspection.region_spec(model)
    if inspection.card(model)["options"].get("head") != "svm":
        raise SpecError(
            f"{model.name} is the network of a detector and has no SVMs yet. "
            "keras_twostream.detection.train_detector trains both, or build "
            'it with head="svm".'
        )
    refuse_untrained(model)
    return model


def score_frames(
    footage: Footage, model: keras.Model, given: Given | None = None
) -> Iterator[FrameScores]:
    """Score the regions of each frame, in order.

    Args:
        footage: The video.
        model: A detector.
        given: Boxes, as in `detect`.

    Yields:
        The scores of each frame, which may have no boxes.
    """
    spec = inspection.region_spec(model)
    check_given(spec, given is not None)
    at = _boxes_by_frame(given, footage)
    cutter = Cutter(model)
    for number, frame, field in footage:
        here = None if at is None else footage.to_frame(at(number))
        boxes = propose(spec, frame, field, here)
        places = np.zeros(len(boxes), int)
        scores = run_on_regions(
            model, cutter, frame[None], field[None], places, boxes
        )
        refuse_diverged(model, {"scores": scores})
        yield FrameScores(number, footage.to_video(boxes), scores)


def tubes_of(
    frames: Sequence[FrameScores],
    model: keras.Model,
    seconds: np.ndarray | None = None,
) -> list[Tube]:
    """Link the regions of all frames, class by class.

    Args:
        frames: Scored regions, in the order of frames.
        model: The detector that scored them.
        seconds: (N + 1,) at which frames begin, and the end of the last.

    Returns:
        Every path of every class, the best first. Where a frame has no
        region, paths end and others begin.
    """
    names = inspection.class_names(model)
    tubes = []
    for run in _runs(frames):
        for number, name in enumerate(names):
            tubes += _linked(run, number, name, model, seconds)
    return sorted(tubes, key=lambda tube: -tube.score)


def chosen(
    tubes: Sequence[Tube], threshold: float | None, exclusive: bool = False
) -> list[Tube]:
    """Select tubes by score, and by overlap if exclusive.

    Args:
        tubes: Tubes, the best first.
        threshold: Least mean score of a tube's boxes, or None.
        exclusive: Whether to drop tubes that overlap a better one.
    """
    kept: list[Tube] = []
    for tube in tubes:
        if threshold is not None and tube.confidence < threshold:
            continue
        if exclusive and any(track_overlap(tube, x) >= SAME for x in kept):
            continue
        kept.append(tube)
    return kept


def detections_of(
    frames: Sequence[FrameScores], model: keras.Model
) -> Detections:
    """Return boxes of single frames after suppression, for frame-AP.

    Args:
        frames: Scored regions.
        model: The detector that scored them.

    Returns:
        The boxes of all frames and classes.
    """
    spec, rows = inspection.region_spec(model), []
    for frame in frames:
        for number, name in enumerate(inspection.class_names(model)):
            boxes, scores = _kept(frame, number, spec)
            rows += [
                (frame.frame, name, box, score)
                for box, score in zip(boxes, scores, strict=True)
            ]
    if not rows:
        return Detections.of_tubes([])
    columns = tuple(zip(*rows, strict=True))
    numbers, names, stacked, ratings = (np.stack(x) for x in columns)
    return Detections(numbers, names, stacked, ratings)


def _boxes_by_frame(
    given: Given | None, footage: Footage
) -> Callable[[int], Any] | None:
    """Return a function from a frame's number to the given boxes."""
    if given is None:
        return None
    if isinstance(given, str | os.PathLike):
        from keras_twostream.detection.box_lists import read_tracks

        return _boxes_by_frame(read_tracks(given), footage)
    rows: list[Any] = list(given)
    if rows and isinstance(rows[0], Track):
        check_tracks(rows, footage, "these tracks")
        return lambda number: boxes_at(rows, number)
    frames = [as_boxes(x, f"`boxes[{i}]`") for i, x in enumerate(rows)]
    there = np.concatenate([as_boxes([]), *frames])
    check_places(there, *footage.whole, "`boxes`")
    return lambda number: (
        frames[number] if number < len(frames) else as_boxes([])
    )


def _runs(frames: Sequence[FrameScores]) -> Iterator[list[FrameScores]]:
    """Yield runs of successive frames that have regions."""
    run: list[FrameScores] = []
    for frame in frames:
        if len(frame.boxes):
            run.append(frame)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _kept(
    frame: FrameScores, number: int, spec: RegionSpec
) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes of a class without near duplicates, and their scores."""
    scores = frame.scores[:, number]
    kept = suppress(frame.boxes, scores, spec.suppression)
    return voted(frame.boxes, scores, kept, spec.voting), scores[kept]


def _span(
    run: Sequence[FrameScores], seconds: np.ndarray | None
) -> tuple[float, float] | None:
    if seconds is None:
        return None
    # A decoder may give more frames than a file's packets promised.
    first, end = np.minimum([run[0].frame, run[-1].frame + 1], len(seconds) - 1)
    return float(seconds[first]), float(seconds[end])


def _linked(
    run: Sequence[FrameScores],
    number: int,
    name: str,
    model: keras.Model,
    seconds: np.ndarray | None,
) -> list[Tube]:
    """Return the tubes of one class through a run of frames."""
    spec = inspection.region_spec(model)
    boxes, scores = zip(*(_kept(x, number, spec) for x in run), strict=True)
    tubes, span = [], _span(run, seconds)
    for path in link(boxes, scores, spec.link_weight):
        steps = range(len(run))
        tubes.append(
            Tube(
                name,
                np.array([x.frame for x in run]),
                np.stack([boxes[t][path.places[t]] for t in steps]),
                path.score,
                np.array([scores[t][path.places[t]] for t in steps]),
                span,
            )
        )
    return tubes
