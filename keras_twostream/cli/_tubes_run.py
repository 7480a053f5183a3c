"""Runs that train and measure detectors: `train --task tubes` and the like."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_twostream import detection, hub, training
from keras_twostream.cli import _console
from keras_twostream.cli._files import model_name
from keras_twostream.cli._train_checks import streams_of
from keras_twostream.detection.measuring import check_classes
from keras_twostream.detection.store import labels_of


def train(flags: Mapping[str, Any], recipe: training.Recipe) -> dict[str, Any]:
    """Train a detector into the run's folder, and measure it if asked.

    Returns:
        The document that `--json` prints.
    """
    out: Path = flags["out"]
    videos = read(flags)
    held_out = read(_held_out(flags)) if flags["val"] else None
    if held_out is not None:
        labels = labels_of(videos)
        check_classes(held_out, labels, f"the training data {flags['data']}")
    settings = detection.DetectorSettings(
        batch_size=flags["batch_size"],
        seed=flags["seed"] or 0,
        checkpoint_seconds=flags["checkpoint_seconds"],
        **flags["inputs"],
    )
    _console.if_stopped(f"The same command goes on with the run in {out}.")
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
    _console.say(f"The model is in {folder}.", err=True)
    report = {"out": str(out), "model": str(folder), "videos": len(videos)}
    if held_out is not None:
        scores = measure(detector, held_out)
        hub.state_metrics(folder, metrics_of(scores, str(flags["val"])))
        show(scores, err=True)
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

    written = None if flags["out"] is None else flags["out"] / "metrics.json"
    if written is not None:
        _files.refuse_replacing([written], [flags["data"]])
    videos = read(flags)
    with _console.quiet():
        detector = hub.load(model_name(flags["model"]))
    scores = measure(detector, videos)
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


def show(report: Mapping[str, Any], *, err: bool = False) -> None:
    """Print the numbers of a measured detector."""
    names = ("frame_ap", "linked_frame_ap", "video_ap")
    lines = [f"{'':22}" + "".join(f"{name:>18}" for name in names)]
    lines += [_row(x, row, names) for x, row in report["classes"].items()]
    lines.append(_row("mean", report, names))
    lines.append(f"AUC to a false-positive rate of 0.6: {report['auc']:.3f}")
    if report["accuracy"] is not None:
        lines.append(f"Videos named right: {report['accuracy']:.3f}")
    _console.say("\n".join(lines), err=err)
    for path, reason in report["skipped"].items():
        _console.say(f"Left out: {path}: {reason}", err=True)


def _row(label: str, row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return f"{label:22}" + "".join(f"{row[name]:18.3f}" for name in names)


def _options(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the builder's options that the command line sets."""
    options = dict(flags["option"])
    if flags["streams"]:
        options["streams"] = streams_of(flags["streams"])
    if flags["spec"]:
        options["clip_spec"] = dict(flags["spec"])
    return options
