"""Runs that train and measure detectors: `train --task tubes` and the like."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import keras
from click.core import ParameterSource

from keras_twostream import detection, hub, training
from keras_twostream.cli import _console
from keras_twostream.cli._files import model_name

RECIPE = "action_tubes"
# Parameters of `train` that a detector's training reads or explains.
_TAKEN = frozenset(
    "task config data list_format root split subset recipe out val epochs "
    "batch_size streams option spec changes inputs distill "
    "checkpoint_seconds license_ data_terms verbose as_json seed device "
    "debug".split()
)
# The same of `evaluate`.
_MEASURED = frozenset(
    "model data detections split subset list_format root out as_json device "
    "debug".split()
)


def train(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Train a detector into the run's folder, and measure it if asked.

    Returns:
        The document that `--json` prints.
    """
    _refuse_flags_of_clips(_TAKEN, "--task tubes")
    out: Path = flags["out"]
    videos = read(flags)
    held_out = read(_held_out(flags)) if flags["val"] else None
    recipe = training.load_recipe(flags["recipe"] or RECIPE)
    recipe = recipe.replace(**flags["changes"])
    settings = detection.DetectorSettings(
        steps=flags["epochs"] and _refuse_epochs(),
        batch_size=flags["batch_size"],
        seed=flags["seed"] or 0,
        checkpoint_seconds=flags["checkpoint_seconds"],
        **_frames(flags["inputs"]),
    )
    detector = detection.train_detector(
        videos,
        out,
        recipe=recipe,
        settings=settings,
        report=lambda line: _console.say(line, err=True),
        **_options(flags),
    )
    folder = hub.save_pretrained(
        detector,
        out / "model",
        license=flags["license_"],
        data_terms=flags["data_terms"],
    )
    report = {"out": str(out), "model": str(folder), "videos": len(videos)}
    if held_out is not None:
        scores = measure(detector, held_out)
        hub.state_metrics(folder, metrics_of(scores, str(flags["val"])))
        report["held_out"] = scores
    return report


def _held_out(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags that read what `--val` names, as with clips."""
    if flags["val"] == "test" and flags["subset"] is not None:
        return {**flags, "subset": "test"}
    return {**flags, "data": flags["val"], "split": None, "subset": None}


def evaluate(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Measure a detector on annotated videos.

    Returns:
        The document that `--json` prints, also written to metrics.json in
        `--out`.
    """
    from keras_twostream import _files

    _refuse_flags_of_clips(_MEASURED, "--detections")
    written = None if flags["out"] is None else flags["out"] / "metrics.json"
    if written is not None:
        _files.refuse_replacing([written], [flags["data"]])
    with _console.quiet():
        detector = hub.load(model_name(flags["model"]))
    scores = measure(detector, read(flags))
    if written is not None:
        _files.write_json(written, scores)
    return scores


def read(flags: Mapping[str, Any]) -> list[detection.AnnotatedVideo]:
    """Read the annotated videos that `--data` names."""
    return detection.read_boxes(
        flags["data"],
        flags["list_format"],
        root=flags["root"],
        split=flags["split"],
        subset=flags["subset"],
    )


def measure(
    detector: keras.Model, videos: list[detection.AnnotatedVideo]
) -> dict[str, Any]:
    """Measure frame-AP, video-AP and AUC, with a bar on standard error."""
    with _console.progress() as bar:
        task = bar.add_task("detecting", total=len(videos))
        return detection.evaluate_detector(
            detector,
            videos,
            progress=lambda done, _: bar.update(task, completed=done),
        )


def metrics_of(scores: Mapping[str, Any], data: str) -> list[dict[str, Any]]:
    """Return the rows of a model card."""
    names = {"frame_ap": "frame-AP", "video_ap": "video-AP", "auc": "AUC"}
    protocol = f"IoU {scores['threshold']:g}, mean over classes"
    return [
        {
            "name": name,
            "value": round(scores[key], 4),
            "dataset": Path(data).stem,
            "split": f"{scores['videos']} videos",
            "protocol": protocol,
        }
        for key, name in names.items()
    ]


def show(report: Mapping[str, Any]) -> None:
    """Print the numbers of a measured detector."""
    names = ("frame_ap", "linked_frame_ap", "video_ap")
    _console.say(f"{'':22}" + "".join(f"{name:>18}" for name in names))
    for label, row in report["classes"].items():
        _console.say(_row(label, row, names))
    _console.say(_row("mean", report, names))
    _console.say(f"AUC to a false-positive rate of 0.6: {report['auc']:.3f}")
    if report["accuracy"] is not None:
        _console.say(f"Videos named right: {report['accuracy']:.3f}")
    for path, reason in report["skipped"].items():
        _console.say(f"Left out: {path}: {reason}", err=True)


def _row(label: str, row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return f"{label:22}" + "".join(f"{row[name]:18.3f}" for name in names)


def _options(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the builder's options that the command line sets."""
    options = dict(flags["option"])
    if flags["streams"]:
        options["streams"] = tuple(flags["streams"].split(","))
    if flags["spec"]:
        options["clip_spec"] = dict(flags["spec"])
    return options


def _frames(inputs: Mapping[str, Any]) -> dict[str, int]:
    """Parse `--input frames=N`: frames of each video to take regions from."""
    other = [name for name in inputs if name != "frames"]
    if other:
        raise click.UsageError(
            f"--task tubes takes --input frames=N only. Received: {other[0]}"
        )
    return dict(inputs)


def _refuse_flags_of_clips(taken: frozenset[str], task: str) -> None:
    """Refuse flags that were given and that no work on detectors reads."""
    context = click.get_current_context()
    default = (ParameterSource.DEFAULT, ParameterSource.ENVIRONMENT)
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) not in (*default, None)
        if given and name not in taken:
            raise click.UsageError(
                f"{parameter.opts[-1]} is of networks that see clips, and "
                f"{task} does not take it."
            )


def _refuse_epochs() -> int:
    raise click.UsageError(
        "A detector's network trains for a number of steps, not epochs: "
        "--set steps=2000."
    )
