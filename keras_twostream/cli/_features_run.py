"""The work of `keras-twostream features`."""

import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from keras_twostream import _files, _schema, inspection, training
from keras_twostream._opencv import cv2
from keras_twostream.cli import _console
from keras_twostream.cli._files import check_writable, distinct
from keras_twostream.cli._train_setup import load_anything
from keras_twostream.data import Annotations, read_annotations
from keras_twostream.data.lists.annotations import LIST_SUFFIXES
from keras_twostream.errors import SpecError, VideoError

_LARGEST = 2**24  # bytes of features.json
_ANOTHER = "Choose another --out, or delete it."


def run(flags: dict[str, Any]) -> dict[str, Any]:
    """Write the features, and with `--svm` measure a linear SVM on them.

    Args:
        flags: The command's parameters by name.

    Returns:
        The results of `extract` for `--data`, with the failed videos of both
        lists, and "accuracy" with `--svm`.
    """
    if flags["svm"] is None:
        return extract(flags)
    # Two videos of one name may be in both lists.
    report = extract({**flags, "out": flags["out"] / "train"})
    test = extract(
        {**flags, "out": flags["out"] / "test", "data": flags["svm"]}
    )
    report["failed"] += test["failed"]
    report["accuracy"] = {"svm": _svm(flags, report, test)}
    return report


def _svm(
    flags: dict[str, Any], train: dict[str, Any], test: dict[str, Any]
) -> dict[str, float]:
    """Return accuracies of an SVM on mean features.

    This is the test of Tran et al. 2015, section 4.
    """
    known = _annotations(flags, flags["data"])
    unseen = _annotations(flags, flags["svm"]).in_order_of(known.classes)
    rows, labels = _rows(flags, known, train)
    others, truth = _rows(flags, unseen, test)
    scores = training.svm_fusion(rows, labels, others)
    return training.accuracy_report(scores[:, : len(known.classes)], truth)


def _rows(
    flags: dict[str, Any], found: Annotations, report: dict[str, Any]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return features and labels of the videos that could be read."""
    failed = {entry["source"] for entry in report["failed"]}
    pairs = [(p, label) for p, label in found.pairs() if p not in failed]
    targets = [report["files"][path] for path, _ in pairs]
    rows = training.video_features(targets, flags["taps"], flags["file_format"])
    return rows, np.array([label for _, label in pairs])


def extract(flags: dict[str, Any]) -> dict[str, Any]:
    """Write one file per video.

    Args:
        flags: The command's parameters by name.

    Returns:
        The document that `--json` prints: the videos done, the number already
        there, those that failed, with the reason, and the file of every video,
        without its ending.
    """
    check_writable(flags["out"])
    model = load_anything(flags["model"])
    extractor = training.FeatureExtractor(
        inspection.taps(model, flags["taps"]),
        inspection.clip_spec(model),
        num_clips=flags["num_clips"],
        crops=flags["crops"],
        protocol=flags["protocol"],
        batch_size=flags["batch_size"],
        bound=flags["bound"],
        step=flags["step"],
    )
    videos = _videos(flags)
    targets = _targets(videos, flags["out"])
    _claim(flags["out"], extractor.made)
    kind = flags["file_format"]
    report: dict[str, Any] = {
        "out": str(flags["out"]),
        "done": [],
        "present": 0,
        "failed": [],
        "files": {video: str(file) for video, file in targets.items()},
    }
    began = time.perf_counter()
    for done, (video, target) in enumerate(targets.items(), 1):
        if training.has_features(target, flags["taps"], kind, video):
            report["present"] += 1
            continue
        try:
            training.write_features(target, extractor(video), kind)
            report["done"].append(video)
        except (VideoError, SpecError, cv2.error) as error:
            report["failed"].append({"source": video, "reason": str(error)})
            _console.say(f"Left out: {video}: {error}", err=True)
        rate = (done - report["present"]) / (time.perf_counter() - began)
        _console.say(f"{done}/{len(targets)}  {rate:.1f} videos/s", err=True)
    _console.say(
        f"{len(report['done'])} done, {report['present']} were there already, "
        f"{len(report['failed'])} left out",
        err=True,
    )
    return report


def _claim(out: Path, made: dict[str, Any]) -> None:
    """Write `features.json`, so that a folder holds features of one kind.

    Raises:
        click.UsageError: If the folder holds features of another kind.
    """
    file = out / "features.json"
    if not file.exists():
        _files.write_json(file, made)
        return
    text = _schema.read_text(file, _LARGEST, SpecError, _ANOTHER)
    saved = _schema.parse_json(text, file, SpecError)
    if not isinstance(saved, dict):
        raise SpecError(f"{file} is damaged. {_ANOTHER}")
    other = [k for k in made if k in saved and saved[k] != made[k]]
    if other:
        raise click.UsageError(
            f"{out} holds features made with other {', '.join(other)} (see "
            f"{file}). Choose another --out."
        )


def _videos(flags: dict[str, Any]) -> list[str]:
    data = Path(flags["data"])
    if data.is_file() and data.suffix.lower() not in LIST_SUFFIXES:
        return [str(data)]
    return _annotations(flags, flags["data"]).paths


def _annotations(flags: dict[str, Any], data: str) -> Annotations:
    return read_annotations(data, flags["list_format"], root=flags["root"])


def _targets(videos: list[str], out: Path) -> dict[str, Path]:
    """Return the target of each video: its folder's name and its own."""
    videos = list(dict.fromkeys(videos))
    paths = [Path(video) for video in videos]
    places = distinct(out / path.parent.name / path.stem for path in paths)
    return dict(zip(videos, places, strict=True))
