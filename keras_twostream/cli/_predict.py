"""`keras-twostream predict`: the actions in video files."""

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
    head_option,
    json_option,
    no_video_option,
    out_option,
    precision_option,
    where_option,
    yes_option,
)
from keras_twostream.data.lists.files import ANNOTATED
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
@head_option
@yes_option
@click.option(
    "--top",
    default=5,
    show_default=True,
    type=click.IntRange(min=1),
    help="Number of actions to name.",
)
@click.option(
    "--threshold",
    default=THRESHOLD,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Least probability of an action in a segment of the video.",
)
@click.option(
    "--hop",
    type=click.FloatRange(0, min_open=True),
    help="Seconds from one window to the next; half a window by default, a "
    "whole one where it is long.",
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
@precision_option
@where_option()
@click.option(
    "--workers", type=click.IntRange(1), help="Videos at once on a cluster."
)
@click.option(
    "--resume/--anew",
    default=None,
    help="Keep each answer as NAME.json, and go on where a run ended; as "
    "always on a cluster, unless --anew.",
)
@device_option
@debug_option
def predict_command(
    files: tuple[str, ...],
    name: str | None,
    head: str | None,
    yes: bool,
    top: int,
    threshold: float,
    hop: float | None,
    table: Path | None,
    no_video: bool,
    out: Path,
    as_json: bool,
    algorithm: str | None,
    engine: str,
    precision: str,
    where: str,
    workers: int | None,
    resume: bool | None,
) -> None:
    """Name the actions in your videos.

    FILE is a video of any length and format, a folder or a list of them, or
    an address (https://...). Beside the names it writes, for each, an
    annotated video and a contact sheet.
    """
    keeps = resume is True or where == "ray"
    if keeps or not no_video:
        instead = "" if keeps else "draw nothing with --no-video"
        _files.check_writable(out, instead)
    if table is not None:
        _files.check_writable(table.parent, by="")
    videos, failed = _files.expand(files)
    if not as_json:  # its document says what the model is
        _files.refuse_none(videos, failed)
    _refuse_replacing(files, videos, out, table, keeps, not no_video)
    watch = Stopwatch()
    name = name or _default_weights.agreed_weights(yes=yes).name
    loaded = _model.load(name, algorithm, watch, head, precision)
    loaded.introduce()
    for reason in failed.values():
        _console.complain(reason)
    # It brings Keras, which `--help` does not wait for.
    from keras_twostream.cli import _predict_run

    settings = _predict_run.Settings(
        model=_files.name_anywhere(name),
        digest=loaded.digest(),
        head=head,
        flow=algorithm,
        engine=engine,
        precision=precision,
        hop=hop,
        top=top,
        threshold=threshold,
        draws=not no_video,
    )
    _console.if_stopped(
        _console.GOES_ON
        if keeps and resume is not False
        else "With --resume, answers are kept and a run goes on."
    )
    stems = _files.stems(videos)
    jobs = {v: out / stem for v, stem in zip(videos, stems, strict=True)}
    done: dict[Path, dict[str, Any]] = {}
    for video, answer in _predict_run.answers(
        jobs, loaded, settings, where=where, workers=workers,
        keeps=keeps, resume=resume is not False,
    ):  # fmt: skip
        if answer.document is not None:
            done[video] = answer.document
            if not as_json:
                _predict_run.show(answer, top, threshold)
        if answer.reason:
            failed[video] = answer.reason
            _console.complain(answer.reason)
    done = {video: done[video] for video in jobs if video in done}
    if table is not None:
        _write(
            table,
            [
                row
                for video, document in done.items()
                for row in _rows(video, document)
            ],
        )
    if as_json:
        documents = list(done.values())
        _console.print_json(_document(loaded, documents, failed, watch))
    if failed:
        click.get_current_context().exit(1)


def _refuse_replacing(
    files: tuple[str, ...],
    videos: list[Path],
    out: Path,
    table: Path | None,
    keeps: bool,
    draws: bool,
) -> None:
    """Refuse to write over a video or a list that is read."""
    drawn = [f"{ANNOTATED}.mp4", ".sheet.png"] if draws else []
    endings = drawn + [".json"] * keeps
    _files.refuse_replacing(out, videos, endings, files)
    if table is not None:
        whole_files.refuse_replacing([table], [*files, *videos])


def _rows(video: Path, document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each segment, as lists of parts of videos have them."""
    path = _files.path_of(video)
    return [{"path": path, **segment} for segment in document["segments"]]


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
