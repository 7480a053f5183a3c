"""`keras-twostream predict`: the actions in video files."""

import os
import traceback
from pathlib import Path
from typing import Any

import click

from keras_twostream import _files as whole_files
from keras_twostream._stopwatch import Stopwatch
from keras_twostream.cli import _console, _files, _model
from keras_twostream.cli._options import (
    debug_option,
    device_option,
    engine_option,
    file_option,
    files_argument,
    flow_option,
    json_option,
    no_video_option,
    out_option,
    yes_option,
)
from keras_twostream.errors import TwoStreamError
from keras_twostream.pretrained import _default_weights
from keras_twostream.timeline import THRESHOLD


@click.command("predict")
@files_argument
@click.option(
    "--model",
    "name",
    help="A weight, hf://user/repo or local:folder; by default the best of "
    "real videos that is on this machine, else I3D on Kinetics-400.",
)
@yes_option
@click.option(
    "--top",
    default=5,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many actions are named.",
)
@click.option(
    "--threshold",
    default=THRESHOLD,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Least probability of an action in a segment of the video.",
)
@file_option(
    "--csv",
    "table",
    "Write the segments of all files: path, start, end, label, score.",
)
@no_video_option
@out_option
@json_option
@flow_option
@engine_option
@device_option
@debug_option
def predict_command(
    files: tuple[str, ...],
    name: str | None,
    yes: bool,
    top: int,
    threshold: float,
    table: Path | None,
    no_video: bool,
    out: Path,
    as_json: bool,
    algorithm: str | None,
    engine: str,
) -> None:
    """Name the actions in your videos.

    FILE is a video of any length and format, a folder or a list of them, or
    an address (https://...). Beside the names it writes, for each, an
    annotated video and a contact sheet.
    """
    if not no_video:
        _files.check_writable(out, "draw nothing with --no-video")
    if table is not None:
        _files.check_writable(table.parent, by="")
    videos, failed = _files.expand(files)
    watch = Stopwatch()
    name = name or _default_weights.agreed_weights(yes=yes).name
    loaded = _model.load(name, algorithm, watch)
    loaded.introduce()
    for reason in failed.values():
        _complain(reason)
    done, segments = [], []
    for video, stem in zip(videos, _files.stems(videos), strict=True):
        base = None if no_video else out / stem
        try:
            result = _one(loaded, video, base, engine)
        except Exception as error:
            failed[video] = _reason(f"Cannot predict {video}", error)
        else:
            document = result.prediction.to_json(top, threshold)
            shown = {"source": _files.shown(video)}
            done.append({**document, **shown, **result.pictures})
            segments += _rows(result.prediction, threshold)
            if not as_json:
                _show(result, top, threshold)
            if result.failure is not None:
                words = f"Cannot draw {video}"
                failed[video] = _reason(words, result.failure)
        if video in failed:
            _complain(failed[video])
    if table is not None:
        _write(table, segments)
    if as_json:
        _console.print_json(_document(loaded, done, failed, watch))
    if failed:
        click.get_current_context().exit(1)


def _one(
    loaded: _model.Loaded, video: Path, base: Path | None, engine: str
) -> Any:
    """Predict and draw one file."""
    from keras_twostream.cli import _job

    return _job.run(loaded, video, base, engine=engine)


def _show(result: Any, top: int, threshold: float) -> None:
    from keras_twostream.cli import _job

    _job.show(result, top, threshold=threshold)


def _rows(prediction: Any, threshold: float) -> list[dict[str, Any]]:
    """Return a row for each segment, as lists of parts of videos have them."""
    source = prediction.source
    path = _files.source_of(Path(source)) or os.path.abspath(source)
    return [
        {"path": path, **segment}
        for segment in prediction.to_json(1, threshold)["segments"]
    ]


def _write(table: Path, rows: list[dict[str, Any]]) -> None:
    columns = ("path", "start", "end", "label", "score")
    whole_files.write_table(table, rows, columns)
    _console.err.print(f"{len(rows)} segments: {table}", markup=False)


def _document(
    loaded: _model.Loaded,
    done: list[dict[str, Any]],
    failed: dict[str | Path, str],
    watch: Stopwatch,
) -> dict[str, Any]:
    return {
        "model": loaded.name,
        "weights": loaded.facts(),
        "classes": list(loaded.classes),
        "synthetic": loaded.synthetic,
        "flow": loaded.spec.flow_algorithm,
        "files": done,
        "failed": _files.failures(failed),
        "seconds": {k: round(v, 3) for k, v in watch.seconds.items()},
    }


def _reason(words: str, error: Exception) -> str:
    """Return the reason why a file failed; the others continue."""
    if click.get_current_context().meta.get("debug"):
        traceback.print_exception(error)
    if isinstance(error, TwoStreamError):
        return str(error)
    return f"{words}: {type(error).__name__}: {error}"


def _complain(reason: str) -> None:
    _console.err.print(reason, style="red", markup=False, soft_wrap=True)
