"""The work of `keras-twostream features`."""

import dataclasses
import functools
import itertools
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from keras_twostream import _cluster, _files, _schema, inspection, training
from keras_twostream._opencv import cv2
from keras_twostream.cli import _console
from keras_twostream.cli._files import (
    check_writable,
    distinct,
    mark,
    name_anywhere,
)
from keras_twostream.cli._train_setup import load_anything
from keras_twostream.data import Annotations, read_annotations
from keras_twostream.data.lists.annotations import LIST_SUFFIXES
from keras_twostream.data.lists.files import folders_in, videos_in
from keras_twostream.data.source import Part
from keras_twostream.errors import SpecError, VideoError
from keras_twostream.scoring.activations import FILE_FORMATS, feature_files
from keras_twostream.training._lists import class_names

_LARGEST = 2**28  # bytes of features.json, which names every video
_ANOTHER = "Choose another --out, or delete it."


def run(flags: dict[str, Any]) -> dict[str, Any]:
    """Write the features, and with `--svm` measure a linear SVM on them.

    Returns:
        The results of `extract` for `--data`, with the failed videos of both
        lists, and "accuracy" with `--svm`.
    """
    # Refusals come first, before the model is loaded.
    lists = _svm_lists(flags) if flags["svm"] else None
    videos = _videos(flags) if lists is None else lists[0].paths
    if not flags["taps"]:
        flags = {**flags, "taps": _default_taps(flags["model"])}
    if lists is None:
        return extract(flags, videos)
    # Two videos of one name may be in both lists.
    report = extract({**flags, "out": flags["out"] / "train"}, videos)
    test = extract(
        {**flags, "out": flags["out"] / "test", "data": flags["svm"]},
        lists[1].paths,
    )
    report["failed"] += test["failed"]
    report["accuracy"] = {"svm": _svm(flags, lists, report, test)}
    return report


def _default_taps(name: str) -> list[str]:
    taps = inspection.feature_taps(load_anything(name_anywhere(name)))
    _console.say(f"Features: {', '.join(taps)}", err=True)
    return taps


def _svm_lists(flags: dict[str, Any]) -> tuple[Annotations, Annotations]:
    """Return the lists to learn from and to measure on, of the same classes.

    Raises:
        SpecError: If they cannot be read, the second has a class that the
            first lacks, or a video shows several classes.
    """
    known = _annotations(flags, flags["data"])
    unseen = _annotations(flags, flags["svm"])
    unseen = unseen.in_order_of(class_names(known))
    for annotations in (known, unseen):
        if any(np.ndim(label) for _, label in annotations.pairs()):
            raise SpecError(
                "--svm needs one class for each video; the list has videos of "
                "several. Leave --svm out to write the features alone."
            )
    return known, unseen


def _svm(
    flags: dict[str, Any],
    lists: tuple[Annotations, Annotations],
    train: dict[str, Any],
    test: dict[str, Any],
) -> dict[str, float]:
    """Return accuracies of an SVM on mean features.

    This is the test of Tran et al. 2015, section 4.
    """
    known, unseen = lists
    classes = class_names(known)
    rows, labels = _rows(flags, known, train)
    others, truth = _rows(flags, unseen, test)
    scores = training.svm_fusion(rows, labels, others)
    return training.accuracy_report(scores[:, : len(classes)], truth)


def _rows(
    flags: dict[str, Any], annotations: Annotations, report: dict[str, Any]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return features and labels of the videos that could be read."""
    failed = {entry["source"] for entry in report["failed"]}
    pairs = [(p, label) for p, label in annotations.pairs() if p not in failed]
    targets = [report["files"][path] for path, _ in pairs]
    rows = training.video_features(targets, flags["taps"], flags["file_format"])
    return rows, np.array([label for _, label in pairs])


def extract(flags: dict[str, Any], videos: list[str]) -> dict[str, Any]:
    """Write one file per video.

    Returns:
        The document that `--json` prints: the videos done, the number already
        there, those that failed, with the reason, and the file of every video,
        without its ending.
    """
    check_writable(flags["out"])
    settings = _settings(flags)
    _targets_of(videos, settings, flags)  # refusals, before the model is built
    extractor = _extractor(settings)
    with _files.held(flags["out"]):  # two runs would take the same names
        saved, targets = _targets_of(videos, settings, flags)
        _claim(flags["out"], saved, extractor.made, targets, settings.taps)
    waiting = {
        video: target
        for video, target in targets.items()
        if not training.has_features(
            target, settings.taps, settings.file_format
        )
    }
    report: dict[str, Any] = {
        "out": str(flags["out"]),
        "done": [],
        "present": len(targets) - len(waiting),
        "failed": [],
        "files": {video: str(file) for video, file in targets.items()},
    }
    began = time.perf_counter()
    _console.if_stopped(_console.GOES_ON)
    if flags["where"] == "local":
        results = _here(waiting, extractor, settings.file_format)
    else:
        results = _on_cluster(waiting, settings, flags["workers"])
    with _console.progress() as bars:
        bar = bars.add_task("0 videos/s", total=len(waiting))
        for done, (video, reason) in enumerate(results, 1):
            if reason:
                report["failed"].append({"source": video, "reason": reason})
                _console.say(f"Left out: {video}: {reason}", err=True)
            else:
                report["done"].append(video)
            pace = f"{done / (time.perf_counter() - began):.1f} videos/s"
            bars.update(bar, completed=done, description=pace)
    _console.say(
        f"{len(report['done'])} done, {report['present']} were there already, "
        f"{len(report['failed'])} left out",
        err=True,
    )
    return report


# === Work, here or on a cluster ===


@dataclasses.dataclass(frozen=True)
class _Settings:
    """The settings with which every process makes the same features."""

    model: str
    taps: tuple[str, ...]
    num_clips: int | None
    crops: str
    protocol: str | None
    batch_size: int
    bound: float
    step: int | None
    file_format: str


def _settings(flags: dict[str, Any]) -> _Settings:
    names = [field.name for field in dataclasses.fields(_Settings)]
    values = {name: flags[name] for name in names}
    values["taps"] = tuple(values["taps"])
    model = name_anywhere(values["model"])
    return _Settings(**{**values, "model": model})


def _here(
    waiting: dict[str, Path],
    extractor: training.FeatureExtractor,
    file_format: str,
) -> Iterator[tuple[str, str]]:
    """Yield each video, with the reason why it has no features, or ""."""
    for video, target in waiting.items():
        yield video, _write(video, target, extractor, file_format)


def _on_cluster(
    waiting: dict[str, Path], settings: _Settings, workers: int | None
) -> Iterator[tuple[str, str]]:
    """Yield as `_here`, in the order in which the cluster ends."""
    results = _cluster.spread_videos(work, waiting, settings, workers)
    for video, result in results:
        yield video, str(result)


def work(job: tuple[str, str], settings: _Settings) -> str:
    """Write the features of a job, a video and its target, on a cluster.

    Returns:
        The reason why the video cannot be read; empty where it could.
    """
    video, target = job
    return _write(video, target, _kept(settings), settings.file_format)


def _write(
    video: str,
    target: str | Path,
    extractor: training.FeatureExtractor,
    file_format: str,
) -> str:
    try:
        training.write_features(target, extractor(video), file_format)
    except (VideoError, SpecError, cv2.error) as error:
        return str(error)
    return ""


@functools.lru_cache(maxsize=1)
def _kept(settings: _Settings) -> training.FeatureExtractor:
    """Load the model for the first video of a process alone."""
    return _extractor(settings)


def _extractor(settings: _Settings) -> training.FeatureExtractor:
    model = load_anything(settings.model)
    return training.FeatureExtractor(
        inspection.taps(model, settings.taps),
        inspection.clip_spec(model),
        num_clips=settings.num_clips,
        crops=settings.crops,
        protocol=settings.protocol,
        batch_size=settings.batch_size,
        bound=settings.bound,
        step=settings.step,
    )


# === Files ===


def _targets_of(
    videos: list[str], settings: _Settings, flags: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Return what `features.json` says, and the target of each video.

    Raises:
        SpecError: If features would be written over what is read: a packed
            file, an array.
    """
    saved = _saved(flags["out"])
    targets = _targets(videos, flags["out"], saved.get("files", {}))
    files = [
        file
        for target in targets.values()
        for each in FILE_FORMATS
        for file in feature_files(target, settings.taps, each)
    ]
    read = [Part.of(video).path for video in targets]
    _files.refuse_replacing(files, [flags["data"], *read])
    return saved, targets


def _saved(out: Path) -> dict[str, Any]:
    """Return what `features.json` says; nothing where there is none.

    Raises:
        SpecError: If it is damaged.
    """
    file = out / "features.json"
    if not file.exists():
        return {}
    text = _schema.read_text(file, _LARGEST, SpecError, _ANOTHER)
    saved = _schema.parse_json(text, file, SpecError)
    if not isinstance(saved, dict) or not all(
        isinstance(saved.get(name, {}), dict)
        and all(isinstance(x, kind) for x in saved.get(name, {}).values())
        for name, kind in (("files", str), ("videos", dict))
    ):
        raise SpecError(f"{file} is damaged. {_ANOTHER}")
    return saved


def _claim(
    out: Path,
    saved: dict[str, Any],
    made: dict[str, Any],
    targets: dict[str, Path],
    taps: tuple[str, ...],
) -> None:
    """Write `features.json`: how features are made, and of which videos.

    Features of a video that has changed since are removed first: what is left
    beside `features.json` is of the videos that it names.

    Raises:
        click.UsageError: If the folder holds features of another kind.
    """
    file = out / "features.json"
    other = [k for k in made if k in saved and saved[k] != made[k]]
    if other:
        raise click.UsageError(
            f"{out} holds features made with other {', '.join(other)} (see "
            f"{file}). Choose another --out."
        )
    names = {os.path.abspath(video): video for video in targets}
    marks = {x: mark(Path(Part.of(video).path)) for x, video in names.items()}
    known = saved.get("videos", {})
    for (place, video), each in itertools.product(names.items(), FILE_FORMATS):
        features = feature_files(targets[video], taps, each)
        if not _holds(known.get(place), marks[place], features):
            for path in features:
                path.unlink(missing_ok=True)
    places = {x: str(targets[v].relative_to(out)) for x, v in names.items()}
    files = {**saved.get("files", {}), **places}
    videos = {**known, **{x: seen for x, seen in marks.items() if seen}}
    _files.write_json(file, {**made, "files": files, "videos": videos})


def _holds(
    known: dict[str, int] | None, now: dict[str, int], features: list[Path]
) -> bool:
    """Return whether features are of a video as it is now."""
    if known is None and now:  # an earlier version knew the clock alone
        return all(
            file.exists() and file.stat().st_mtime_ns >= now["modified"]
            for file in features
        )
    return not now or known == now


def _videos(flags: dict[str, Any]) -> list[str]:
    """Return the videos of `--data`, which may lie without classes, too."""
    data = Path(flags["data"])
    if data.is_dir() and not folders_in(data) and (loose := videos_in(data)):
        return [str(video) for video in loose]
    if data.is_file() and data.suffix.lower() not in LIST_SUFFIXES:
        return [str(data)]
    return _annotations(flags, flags["data"]).paths


def _annotations(flags: dict[str, Any], data: str) -> Annotations:
    return read_annotations(data, flags["list_format"], root=flags["root"])


def _targets(
    videos: list[str], out: Path, files: Mapping[str, str]
) -> dict[str, Path]:
    """Return the target of each video: its folder's name and its own.

    A video keeps the target that it had in an earlier run, and no other video
    gets that: `train/run/a.mp4` and `test/run/a.mp4` differ.

    Args:
        videos: The videos.
        out: Folder of the features.
        files: Targets of earlier runs, relative to it, by whole path.
    """
    new = {}
    for video in dict.fromkeys(videos):
        if os.path.abspath(video) not in files:
            new[video] = out / Path(video).parent.name / Path(video).stem
    earlier = [out / name for name in files.values()]
    places = distinct([*earlier, *new.values()])[len(earlier) :]
    fresh = dict(zip(new, places, strict=True))
    return {
        video: fresh.get(video) or out / files[os.path.abspath(video)]
        for video in dict.fromkeys(videos)
    }
