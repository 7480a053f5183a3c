"""The whole main job on one file: decode, flow, network, pictures."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from keras_twostream._stopwatch import Stopwatch
from keras_twostream.cli import _console, _model
from keras_twostream.cli._report import report, time_spent
from keras_twostream.data.cutting.kept_flow import Album
from keras_twostream.data.lists.files import ANNOTATED
from keras_twostream.prediction import Prediction
from keras_twostream.scoring import predicting
from keras_twostream.timeline import THRESHOLD


@dataclasses.dataclass(frozen=True)
class Result:
    """The result for one file.

    Attributes:
        prediction: The model's prediction.
        pictures: Paths of "video" and "sheet"; empty without them.
        seconds: The time spent, by part.
        truth: The true action, where it is known.
        failure: The reason for missing pictures, if they were wanted.
    """

    prediction: Prediction
    pictures: dict[str, str]
    seconds: dict[str, float]
    truth: str | None = None
    failure: Exception | None = None


def run(
    loaded: _model.Loaded,
    video: Path,
    base: Path | None,
    truth: str | None = None,
    engine: str = "auto",
    hop: float | None = None,
) -> Result:
    """Predict one file, and draw it; keep the answer if drawing fails.

    Args:
        loaded: The model.
        video: The file.
        base: Path of the pictures without their endings, or None for none.
        truth: The true action, where it is known.
        engine: The runtime of the network, see `predict`.
        hop: Seconds from one window to the next, see `predict`.

    Raises:
        VideoError: If the file cannot be read.
    """
    drawing = Stopwatch()
    pictures: dict[str, str] = {}
    failure = None
    album = None if base is None else Album()
    with _console.progress() as bars:
        task = bars.add_task(f"{video.name}: looking", total=None)

        def advance(done: float, total: float) -> None:
            bars.update(task, completed=done, total=total)

        predicting.check_engine(engine)
        model, spec = predicting.ready(loaded.model, loaded.spec.flow_algorithm)
        prediction = predicting.answer(
            video, model, spec, hop, engine, advance, album
        )
        if base is not None:
            bars.update(task, description=f"{video.name}: drawing")
            try:
                with drawing("drawing"):
                    pictures = _draw(prediction, base, truth, advance, album)
            except Exception as error:
                failure = error
    seconds = {**prediction.seconds, **drawing.seconds}
    return Result(prediction, pictures, seconds, truth, failure)


def _draw(
    prediction: Prediction,
    base: Path,
    truth: str | None,
    progress: Callable[[float, float], None],
    album: Album | None,
) -> dict[str, str]:
    """Write both pictures; return their paths."""
    sheet = base.with_name(f"{base.name}.sheet.png")
    video = prediction.save_video(
        base.with_name(f"{base.name}{ANNOTATED}.mp4"),
        sheet=sheet,
        truth=truth,
        progress=progress,
        album=album,
    )
    return {"video": str(video), "sheet": str(sheet)}


def show(
    result: Result,
    top: int,
    before: dict[str, float] | None = None,
    threshold: float = THRESHOLD,
) -> None:
    """Print the answer, the time spent, and the files written."""
    say = _console.out.print
    say()
    say(report(result.prediction, top, result.truth, threshold))
    if before is not None:
        say()
        say(time_spent({**before, **result.seconds}))
    for kind, path in result.pictures.items():
        say(f"[dim]{kind}:[/dim] ", end="")
        say(path, markup=False, soft_wrap=True)
