"""The answers of `keras-twostream predict`, here or on a Ray cluster."""

import dataclasses
import functools
import os
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from keras_twostream import _cluster, _schema
from keras_twostream import _files as whole_files
from keras_twostream._printing import percent, readable
from keras_twostream._stopwatch import Stopwatch
from keras_twostream.cli import _console, _files, _job, _model
from keras_twostream.errors import SpecError, TwoStreamError

_LARGEST = 2**28  # bytes of one answer


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings with which every process answers the same.

    Attributes:
        model: Name of the weights, as any process can load them.
        digest: See `_model.Loaded.digest`.
        head: The head to ask, of a model with several.
        flow: Optical flow algorithm; the model's own when None.
        engine: The runtime of the network, see `predict`.
        precision: As in `training.set_precision`.
        hop: Seconds from one window to the next; see `predict`.
        top: Number of actions to name.
        threshold: Least probability of an action in a segment's windows.
        draws: Whether the video and the sheet are written.
    """

    model: str
    digest: str
    head: str | None
    flow: str | None
    engine: str
    precision: str
    hop: float | None
    top: int
    threshold: float
    draws: bool


@dataclasses.dataclass(frozen=True)
class Answer:
    """One video's answer.

    Attributes:
        document: The answer as `--json` prints it; None without one.
        reason: The reason why it, or its pictures, are missing; else empty.
        result: The result to show, where this process made it.
    """

    document: dict[str, Any] | None = None
    reason: str = ""
    result: _job.Result | None = None


def answers(
    jobs: Mapping[Path, Path],
    loaded: _model.Loaded,
    settings: Settings,
    *,
    where: str = "local",
    workers: int | None = None,
    keeps: bool = False,
    resume: bool = True,
) -> Iterator[tuple[Path, Answer]]:
    """Yield each video with its answer; those kept before come first.

    Args:
        jobs: Path of the pictures without their endings, by video. Every node
            of a cluster must see both under their paths.
        loaded: The model.
        settings: The settings of the run.
        where: "local", or "ray" for the Ray cluster that this process belongs
            to or that RAY_ADDRESS names.
        workers: Most videos at once on the cluster; as many as it can run
            when None.
        keeps: Whether answers are kept beside the pictures.
        resume: Whether those that are there already hold.

    Raises:
        MissingLibraryError: If Ray is not installed.
        SpecError: If an answer would be kept in place of another JSON file.
    """
    if keeps:
        _refuse_others(jobs.values())
    # Before anything is read: a video that changes since is another one.
    marks = {video: _marks(video, settings) for video in jobs} if keeps else {}
    known = _kept(jobs, marks) if keeps and resume else {}
    for video, document in known.items():
        yield video, Answer(document)
    waiting = {v: base for v, base in jobs.items() if v not in known}
    if where == "local":
        answers = _here(waiting, loaded, settings)
    else:
        answers = _on_cluster(waiting, settings, workers)
    for video, answer in answers:
        if keeps:
            _keep(waiting[video], marks[video], answer)
        yield video, answer


def _here(
    jobs: Mapping[Path, Path], loaded: _model.Loaded, settings: Settings
) -> Iterator[tuple[Path, Answer]]:
    for video, base in jobs.items():
        yield video, _answer(video, base, loaded, settings)


def _on_cluster(
    jobs: Mapping[Path, Path], settings: Settings, workers: int | None
) -> Iterator[tuple[Path, Answer]]:
    """Yield as `_here`, in the order in which the cluster ends."""
    results = _cluster.spread_videos(work, jobs, settings, workers)
    for video, result in results:
        if isinstance(result, _cluster.Died):
            result = Answer(reason=f"Cannot predict {video}: {result}")
        yield video, result


def work(job: tuple[str, str], settings: Settings) -> Answer:
    """Answer about a job, a video and its pictures' base, on a cluster."""
    video, base = map(Path, job)
    try:
        loaded = _loaded(settings)
    except Exception as error:
        return Answer(reason=_reason(f"Cannot predict {video}", error))
    answer = _answer(video, base, loaded, settings)
    return dataclasses.replace(answer, result=None)  # it would travel


@functools.lru_cache(maxsize=1)
def _loaded(settings: Settings) -> _model.Loaded:
    """Load the model for the first video of a process alone."""
    return _model.load(
        settings.model,
        settings.flow,
        Stopwatch(),
        settings.head,
        settings.precision,
    )


def _answer(
    video: Path, base: Path, loaded: _model.Loaded, settings: Settings
) -> Answer:
    try:
        result = _job.run(
            loaded,
            video,
            base if settings.draws else None,
            engine=settings.engine,
            hop=settings.hop,
        )
    except Exception as error:
        return Answer(reason=_reason(f"Cannot predict {video}", error))
    document = {
        **result.prediction.to_json(settings.top, settings.threshold),
        "source": _files.shown(video),
        **result.pictures,
    }
    reason = ""
    if result.failure is not None:
        reason = _reason(f"Cannot draw {video}", result.failure)
    return Answer(document, reason, result)


def _reason(words: str, error: Exception) -> str:
    """Return the reason why a file failed; the others continue."""
    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get("debug"):
        traceback.print_exception(error)
    if isinstance(error, TwoStreamError):
        return str(error)
    if refusal := whole_files.not_written(error):
        return f"{words}: {refusal}"
    return f"{words}: {type(error).__name__}: {error}"


# === Answers that are kept ===


def _keep(base: Path, marks: Mapping[str, Any], answer: Answer) -> None:
    """Write a whole answer beside the pictures, as NAME.json."""
    if answer.document is not None and not answer.reason:
        marked = {**marks, "answer": answer.document}
        whole_files.write_json(_file(base), marked)


def _kept(
    jobs: Mapping[Path, Path], marks: Mapping[Path, dict[str, Any]]
) -> dict[Path, dict[str, Any]]:
    """Return the documents of videos that were answered before.

    An answer holds if the same weights made it of the same video with the same
    settings, and its pictures are there.
    """
    answers = {v: _kept_answer(base, marks[v]) for v, base in jobs.items()}
    return {video: document for video, document in answers.items() if document}


def _kept_answer(base: Path, marks: dict[str, Any]) -> dict[str, Any] | None:
    file = _file(base)
    if not file.is_file() or "bytes" not in marks:
        return None
    saved = _content(file)
    if not isinstance(saved, dict) or any(
        saved.get(name) != value for name, value in marks.items()
    ):
        return None
    document = saved.get("answer")
    if not isinstance(document, dict):
        return None
    pictures = (document.get(kind, "") for kind in ("video", "sheet"))
    if marks["settings"]["draws"] and not all(map(os.path.isfile, pictures)):
        return None
    return document


def _refuse_others(bases: Iterable[Path]) -> None:
    """Refuse to keep an answer in place of JSON that is none.

    Raises:
        SpecError: If there is such a file.
    """
    for file in map(_file, bases):
        saved = _content(file) if file.is_file() else None
        ours = isinstance(saved, dict) and {"answer", "settings"} <= set(saved)
        if saved is not None and not ours:
            raise SpecError(
                f"{file} is there already and is no answer that `predict` "
                "kept. Choose another --out, or move it."
            )


def _content(file: Path) -> Any:
    """Return the content of a JSON file, None where it is damaged."""
    try:
        text = _schema.read_text(file, _LARGEST, SpecError, "Delete it.")
        return _schema.parse_json(text, file, SpecError)
    except SpecError:
        return None


def _marks(video: Path, settings: Settings) -> dict[str, Any]:
    """Return what an answer is made of: the video, and the settings."""
    path = _files.path_of(video)
    made = {"path": path, "settings": dataclasses.asdict(settings)}
    return {**made, **_files.mark(video)}


def _file(base: Path) -> Path:
    return base.with_name(f"{base.name}.json")


# === On the terminal ===


def show(answer: Answer, top: int, threshold: float) -> None:
    """Print an answer whole, or on one line where another process made it."""
    if answer.result is not None:
        _job.show(answer.result, top, threshold=threshold)
    elif answer.document is not None:
        best = answer.document["top"][0]
        share = percent(best["probability"])
        action = readable(best["action"])
        _console.say(f"{answer.document['source']}: {action} {share}")
