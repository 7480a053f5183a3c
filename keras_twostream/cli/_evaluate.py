"""`keras-twostream evaluate` and `fuse`: the accuracy of a model."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from keras_twostream.cli import _console, _networks
from keras_twostream.cli._files import check_writable, model_name
from keras_twostream.cli._options import (
    bound_option,
    check_device,
    cover_dense,
    debug_option,
    device_option,
    engine_option,
    head_option,
    json_option,
    list_options,
    precision_option,
    refuse_flags_of_clips,
    there,
    views_options,
)
from keras_twostream.cli._settings import pairs_option
from keras_twostream.spec import SCORE_FUSIONS

# Parameters of `evaluate` that measuring a detector reads.
_OF_DETECTIONS = frozenset(
    "model data detections split subset list_format root out as_json device "
    "debug".split()
)


@click.command("evaluate")
@click.argument("model")
@click.option(
    "--data",
    required=True,
    callback=there,
    help="A folder with one folder of videos per class, or a list.",
)
@click.option(
    "--detections",
    is_flag=True,
    help="MODEL is a detector and --data a list of boxes: frame-AP, video-AP "
    "and AUC.",
)
@click.option("--split", type=int, help="Number of an official split.")
@click.option("--subset", help="Part of the list; test with --split.")
@list_options
@views_options
@click.option(
    "--batch-size", type=click.IntRange(1), default=32, show_default=True
)
@head_option
@pairs_option(
    "--option",
    "option",
    "An option of the model, such as clip_length=25.",
)
@click.option("--workers", type=click.IntRange(1), help="Videos read at once.")
@click.option("--cache", metavar="DIR", help="A packed cache of the videos.")
@bound_option
@engine_option
@precision_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for scores.npz, metrics.json and confusion.png.",
)
@json_option
@device_option
@debug_option
def evaluate_command(as_json: bool, **flags: Any) -> None:
    """Measure a model on whole videos.

    MODEL is a run folder, a model folder, or a name that load takes.
    """
    if flags["detections"]:
        refuse_flags_of_clips(_OF_DETECTIONS, "--detections")
    _networks.check_options(model_name(flags["model"]), flags["option"])
    if flags["out"] is not None:
        check_writable(flags["out"])
    check_device()
    _console.if_stopped("No scores are kept: the same command begins anew.")
    if flags.pop("detections"):
        report = _measure_detector(flags, as_json)
    else:
        with _console.quiet():
            from keras_twostream.cli import _evaluate_run

        cover_dense(flags)
        report = _evaluate_run.evaluate(flags)
        show(report, as_json)
        if not as_json:
            _say_what_was_measured(report["protocol"], flags["out"])
    if report["skipped"]:
        click.get_current_context().exit(1)


def _say_what_was_measured(protocol: dict[str, Any], out: Path | None) -> None:
    _console.say(
        f"{protocol['videos']} videos; clips of each: {protocol['clips']}; "
        f"crops of a clip: {protocol['crops']}"
        + (f". Scores and confusion matrix are in {out}" if out else "")
    )


def _measure_detector(flags: dict[str, Any], as_json: bool) -> dict[str, Any]:
    from keras_twostream.cli import _tubes_run

    report = _tubes_run.evaluate(flags)
    if as_json:
        _console.print_json(report)
    else:
        _tubes_run.show(report)
    return report


@click.command("fuse")
@click.argument("files", nargs=-1, required=True, metavar="[NAME=]FILE...")
@click.option(
    "--weights",
    multiple=True,
    metavar="NAME=WEIGHT",
    help="Weight of a stream; a sweep over weights otherwise.",
)
@click.option("--method", type=click.Choice(SCORE_FUSIONS))
@click.option(
    "--paper",
    metavar="ARCHITECTURE",
    help="Method and weights of this architecture's paper.",
)
@click.option(
    "--svm",
    multiple=True,
    metavar="[NAME=]FILE",
    help="Scores of training videos for a linear SVM, one per FILE.",
)
@click.option("--labels", help="A file of scores that has the labels.")
@json_option
@debug_option
def fuse_command(as_json: bool, **flags: Any) -> None:
    """Fuse scores on disk: this library's, TSN's .npz or mmaction2's .pkl.

    Several streams in one FILE keep their names, prefixed with NAME and a dot.

    Example: keras-twostream fuse rgb=a/scores.npz flow=b/scores.npz
    """
    from keras_twostream.scoring.fusing import fuse_files

    flags["weights"] = _weights(flags["weights"])
    show(fuse_files(**flags), as_json)


def _weights(pairs: Iterable[str]) -> dict[str, float]:
    """Parse NAME=NUMBER pairs; names are free, like those of files."""
    weights = {}
    for pair in pairs:
        name, _, text = pair.rpartition("=")
        try:
            weights[name] = float(text)
        except ValueError:
            name = ""
        if not name:
            raise click.UsageError(
                f"--weights takes NAME=NUMBER. Received: {pair!r}"
            )
    return weights


def show(report: dict[str, Any], as_json: bool, err: bool = False) -> None:
    """Print a report, as JSON or as a table of percentages."""
    if as_json:
        _console.print_json(report)
        return
    for stream, numbers in report["accuracy"].items():
        row = "  ".join(f"{k} {100 * v:5.1f} %" for k, v in numbers.items())
        _console.say(f"{stream:12} {row}", err=err)
    for name, value in report.get("classes", {}).items():
        _console.say(f"  {name:30} {100 * value:5.1f} %", err=err)
    for row in report.get("sweep", [])[:5]:
        weights = " ".join(f"{k}={v:g}" for k, v in row["weights"].items())
        share = f"{100 * row['top1']:.1f} %"
        _console.say(
            f"fused as {row['method']} with {weights}: {share}", err=err
        )
    for path, reason in report.get("skipped", {}).items():
        _console.say(f"Left out: {path}: {reason}", err=True)
