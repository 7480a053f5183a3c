"""The work behind the page: models, limits, answers."""

import dataclasses
import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_twostream import data, detection, explaining, hub, inspection
from keras_twostream._printing import counted
from keras_twostream.errors import SpecError, UnknownNameError, VideoError
from keras_twostream.inspection import sees_regions
from keras_twostream.prediction import Prediction
from keras_twostream.scoring import predicting
from keras_twostream.scoring.heads import chosen_head, one_head
from keras_twostream.spec import FUSED, STREAM_WORDS

Progress = Callable[[float, float], None]


@dataclasses.dataclass(frozen=True)
class Limits:
    """The largest video that a visitor may hand in.

    Attributes:
        megabytes: Size of the file, in units of 1,000,000 bytes.
        seconds: Length.
    """

    megabytes: float = 100
    seconds: float = 120


@dataclasses.dataclass(frozen=True)
class Answer:
    """The files and scores that the page shows about one video.

    Attributes:
        video: The annotated video.
        sheet: The contact sheet; None from a detector.
        scores: {class: probability} by stream, `FUSED` among them; empty from
            a detector.
        rows: Rows of the table under the video: action, start and end in
            seconds, mean score.
        title: One line in words.
    """

    video: Path
    sheet: Path | None
    scores: dict[str, dict[str, float]]
    rows: list[list[Any]]
    title: str


@dataclasses.dataclass(frozen=True)
class Reasons:
    """The files and words that the page shows about an answer's reasons.

    Attributes:
        sheet: Moments with the maps of each stream over them.
        video: The same over the whole video.
        title: The action and what each stream contributes, in words.
    """

    sheet: Path
    video: Path
    title: str


class Desk:
    """Answers about videos, by models that were named beforehand.

    A visitor chooses among these names only, so that no folder of the server
    can be named from the page. One video is worked on at a time.

    Args:
        models: Names that `keras_twostream.load` takes.
        folder: Folder for the files of the answers.
        limits: The largest video.
        head: The head to ask of each model, where they have several.

    Raises:
        SpecError: If there is no name, or `head` names none of several heads.
        UnknownNameError: If nothing has one of the names, or a model has no
            such head.
        WeightsError: If there is no such folder or repository.
    """

    def __init__(
        self,
        models: Sequence[str],
        folder: Path,
        limits: Limits | None = None,
        head: str | None = None,
    ) -> None:
        if not models:
            raise SpecError("A page needs at least one model.")
        self.models = tuple(dict.fromkeys(models))
        for name in self.models:  # not only when a visitor chooses it
            chosen_head(name, list(hub.weight_of(name).heads), head)
        self.limits = limits or Limits()
        self._folder, self._head = Path(folder), head
        self._loaded: dict[str, keras.Model] = {}
        self._lock = threading.Lock()

    def model(self, name: str) -> keras.Model:
        """Return a model, loaded at its first use.

        Raises:
            UnknownNameError: If it is not one of `models`.
            UntrainedHeadError: If its classifier is random.
        """
        if name not in self.models:
            raise UnknownNameError(
                f"This page has no model {name!r}. Choose one of its list."
            )
        if name not in self._loaded:
            model = hub.load(name)
            predicting.refuse_untrained(model)
            self._loaded[name] = one_head(model, self._head)
        return self._loaded[name]

    def answer(
        self, video: str | None, name: str, progress: Progress
    ) -> Answer:
        """Name the actions of a video, or find who does them.

        Args:
            video: The file; None when the visitor chose none.
            name: One of `models`.
            progress: Function called with the parts done, and all parts.

        Raises:
            SpecError: If there is no video.
            VideoError: If it is too large or cannot be read.
            UnknownNameError: If the model is not one of `models`.
        """
        path = self._checked(video)
        with self._lock:
            model = self.model(name)
            find = _tubes if sees_regions(model) else _actions
            return find(path, model, self._new_folder(), progress)

    def reasons(
        self, video: str | None, name: str, progress: Progress
    ) -> Reasons:
        """Show where each stream looks, and what each contributes.

        Args:
            video: The file; None when the visitor chose none.
            name: One of `models`.
            progress: Function called with the parts done, and all parts.

        Raises:
            SpecError: If there is no video, or the model is a detector.
            VideoError: If it is too large or cannot be read.
            UnknownNameError: If the model is not one of `models`.
        """
        path = self._checked(video)
        with self._lock:
            model = self.model(name)
            if sees_regions(model):
                raise SpecError(
                    "This model finds people and names what they do; its "
                    "tubes are the explanation. Choose a model of whole clips."
                )
            return _reasons(path, model, self._new_folder(), progress)

    def _new_folder(self) -> Path:
        folder = self._folder / uuid.uuid4().hex
        folder.mkdir(parents=True)
        return folder

    def _checked(self, video: str | None) -> Path:
        if not video:
            raise SpecError("Choose a video, or record one, first.")
        path = Path(video)
        size = path.stat().st_size / 1e6
        if size > self.limits.megabytes:
            raise VideoError(
                f"This video has {size:.0f} MB, and the page takes at most "
                f"{self.limits.megabytes:g}. Cut it, or save it smaller."
            )
        seconds = data.probe(path).duration
        if seconds > self.limits.seconds:
            raise VideoError(
                f"This video lasts {seconds:.0f} s, and the page takes at "
                f"most {self.limits.seconds:g}. Cut the part that matters."
            )
        return path


def _actions(
    path: Path, model: keras.Model, folder: Path, progress: Progress
) -> Answer:
    prediction = predicting.predict(path, model, progress=progress)
    if not isinstance(prediction, Prediction):
        raise SpecError("The page takes one video at a time.")
    sheet = folder / f"{path.stem}.sheet.png"
    video = folder / f"{path.stem}.annotated.mp4"
    return Answer(
        video=prediction.save_video(video, sheet=sheet),
        sheet=sheet,
        scores={
            stream or FUSED: _by_name(prediction.top(5, stream))
            for stream in (None, *prediction.streams)
        },
        rows=[
            [words(part.label), part.start, part.end, part.score]
            for part in prediction.segments()
        ],
        title=_title(*prediction.top(1)[0]),
    )


def _by_name(ranked: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return scores by name; of classes of one name, the best one's."""
    scores: dict[str, float] = {}
    for label, score in ranked:
        scores.setdefault(words(label), score)
    return scores


def _reasons(
    path: Path, model: keras.Model, folder: Path, progress: Progress
) -> Reasons:
    why = explaining.explain(path, model, progress=progress)
    if not isinstance(why, explaining.Explanation):
        raise SpecError("The page takes one video at a time.")
    shares = ", ".join(
        f"{STREAM_WORDS.get(stream, stream)} {share:+.2f}"
        for stream, share in why.contributions.items()
    )
    return Reasons(
        sheet=why.save_sheet(folder / f"{path.stem}.reasons.png"),
        video=why.save_video(folder / f"{path.stem}.reasons.mp4"),
        title=f"Why {words(why.label)}? Shares of its score: {shares}",
    )


def _title(label: str, score: float) -> str:
    return f"{words(label)}, {score:.0%}"


def _tubes(
    path: Path, model: keras.Model, folder: Path, progress: Progress
) -> Answer:
    from keras_twostream.detection.drawing import draw_tubes

    total = data.count_frames(path)
    tubes = detection.detect(
        path, model, progress=lambda done: progress(done, total)
    )
    classes = inspection.class_names(model)
    video = folder / f"{path.stem}.tubes.mp4"
    rows = [tube.to_json() for tube in tubes]
    return Answer(
        video=draw_tubes(path, tubes, video, classes),
        sheet=None,
        scores={},
        rows=[
            [words(t["label"]), t["start"], t["end"], t["confidence"]]
            for t in rows
        ],
        title=counted(len(rows), "tube") if rows else "Nobody was found",
    )


def words(label: str) -> str:
    """Return a label as a reader would write it."""
    return label.replace("_", " ")
