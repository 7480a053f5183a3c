"""Whole-video evaluation, on its own and while `fit` runs."""

import dataclasses
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_twostream.data import layouts
from keras_twostream.data.cache import CacheFolder
from keras_twostream.data.cutting.clip_sources import Views
from keras_twostream.data.lists.annotations import Annotations, as_pairs
from keras_twostream.data.lists.labels import (
    check_labels,
    class_numbers,
    several,
)
from keras_twostream.data.source import Part
from keras_twostream.errors import SpecError, check_count
from keras_twostream.folding import Folding, folds
from keras_twostream.inspection import (
    check_whole_frames,
    class_names,
    clip_spec,
    stated_classes,
)
from keras_twostream.scoring.engines import Engine, check_engine
from keras_twostream.scoring.heads import one_head
from keras_twostream.scoring.metrics import VideoScores, sweep
from keras_twostream.scoring.scorer import (
    Basis,
    ClipTotals,
    accumulator,
    mean_of,
    pooling,
    scorer,
    weights_of,
)
from keras_twostream.scoring.view_batches import ViewReader
from keras_twostream.spec import FUSED

_CALL = "evaluate_videos(model, items)"


class VideoEvaluator:
    """Evaluator that scores videos by the mean over their views.

    Views are folded into batches of one size, and the last one is padded and
    masked. Sums stay on the device until a single transfer at the end. The
    compiled step is kept, so that evaluating each epoch compiles once.
    Normalisation is folded into the layers before it (`deploy.folded`).

    Args:
        items: An `Annotations`, whose classes are found by name where both
            sides have names, or (path, label) pairs; a label is the number of
            a class, -1 where it is not known, or a tuple of several.
        num_clips: N clips per video, None to cover it (protocol "dense").
        crops: M crops: "centre", "3-crop", "4-crop", "10-crop", "18-crop", or
            "whole" and "whole_mirrored", fully convolutional over the frame.
            The papers' 25x10, 10x3 and 20x4 are `num_clips` and the crops of
            that number.
        protocol: Placement of the clips; the model's spec decides when None.
        batch_size: Views in a batch.
        head: The output to score, for models with one per data set; needed
            where there are several.
        workers: Number of videos read in parallel.
        cache: A packed cache, for the videos that it holds; others are read
            themselves.
        bound: Pixels that the extreme levels mean of flow that another tool
            wrote (see `data.layouts`); the same as in training.
        step: Frames from one dense clip to the next; the clip's span when
            None.
        engine: "auto", "keras" or "onnxruntime", as in `predict`.

    Attributes:
        skipped: Dict from path to the reason, for videos that cannot be read;
            they are left out of the scores.
        engine: The engine asked for; after a call the one that was used.

    Raises:
        SpecError: If an argument is not as above.
    """

    def __init__(
        self,
        items: Annotations | Sequence[tuple[str, Any]],
        *,
        num_clips: int | None = 25,
        crops: str = "centre",
        protocol: str | None = None,
        batch_size: int = 32,
        head: str | None = None,
        workers: int | None = None,
        cache: str | os.PathLike | None = None,
        bound: float = layouts.BOUND,
        step: int | None = None,
        engine: str = "auto",
    ) -> None:
        check_engine(engine)
        check_count("batch_size", batch_size)
        if workers is not None:
            check_count("workers", workers)
        self._engine = self.engine = engine
        self._items = as_pairs(items, _CALL)
        # An iterator gives its pairs once.
        named = isinstance(items, Annotations)
        self._given = items if named else self._items
        for path, label in self._items:
            class_numbers(path, label)
        folder = None if cache is None else _whole_cache(cache)
        self._sources = [_source(path, folder) for path, _ in self._items]
        views = Views(num_clips, protocol, crops, bound=bound, step=step)
        self._reading = batch_size, views, workers
        self._head = head
        self._model: keras.Model | None = None
        self._basis: tuple[Any, ...] = ()
        self._compiled: tuple[Any, ...] = (None, None)
        self._fold = True
        self._folding: Folding | None = None
        self.skipped: dict[str, str] = {}

    def __call__(self, model: keras.Model) -> VideoScores:
        """Return the scores of `model`.

        Args:
            model: A model of this library, with logits as outputs.

        Raises:
            SpecError: If the model has several heads and `head` names none,
                or it lacks a class of the list.
            UnknownNameError: If the model has no such head.
            VideoError: If no video can be read.
        """
        spec = clip_spec(model)
        network, add = self.prepare(model)
        if self._folding is not None:
            self._folding.refresh()
        reader = ViewReader(self._sources, spec, *self._reading)
        widths = {
            name: output.shape[-1] for name, output in network.output.items()
        }
        method = pooling(model)
        engine = Engine(self._engine, network, self._clips())
        add = engine.adding(add, method)
        scores = _swept(reader, add, widths, len(self._items), method)
        given = {
            source: path
            for source, (path, _) in zip(
                self._sources, self._items, strict=True
            )
        }
        self.skipped = {given[x]: why for x, why in reader.skipped.items()}
        self.engine = engine.used
        return self._scores(scores, reader.views > 0, method, model)

    def _clips(self) -> int:
        """Return about how many clips there are to score."""
        return len(self._items) * (self._reading[1].count or 10)

    def prepare(self, model: keras.Model) -> tuple[keras.Model, Any]:
        """Check `head` and the labels against `model`, before any work.

        Raises:
            SpecError: For the same reasons as `__call__`.
            UnknownNameError: If the model has no such head.
        """
        if self._model is not model or not self._rests_on(model):
            if self._reading[1].crops.startswith("whole"):
                check_whole_frames(model)
            part = one_head(model, self._head)
            network, names = scorer(part), stated_classes(part)
            self._items = as_pairs(self._given, _CALL, names)
            paths = [path for path, _ in self._items]
            shown = [several(label) for _, label in self._items]
            check_labels(paths, shown, _class_count(network.output))
            self._folding = None
            if self._fold and folds(network):
                self._folding = Folding(network)
                network = self._folding.network
            method = pooling(model)
            self._model, self._basis = model, (Basis(model), names, method)
            self._compiled = (network, accumulator(network, method))
        return self._compiled

    def _rests_on(self, model: keras.Model) -> bool:
        """Return whether what is compiled still fits the model."""
        basis, names, method = self._basis
        part = one_head(model, self._head)
        known = names == stated_classes(part) and method == pooling(model)
        return known and basis.holds(model)

    def _scores(
        self,
        scores: Mapping[str, np.ndarray],
        read: np.ndarray,
        method: str,
        model: keras.Model,
    ) -> VideoScores:
        labels = _label_array([label for _, label in self._items], scores)
        paths = [path for path, _ in self._items]
        return VideoScores(
            names=[x for x, good in zip(paths, read, strict=True) if good],
            labels=labels[read],
            scores={name: rows[read] for name, rows in scores.items()},
            kind="logits" if method == "logits" else "softmax",
            classes=class_names(one_head(model, self._head)),
        )


def _swept(
    reader: ViewReader,
    add: Callable[..., Any],
    widths: Mapping[str, int],
    videos: int,
    method: str,
) -> dict[str, np.ndarray]:
    """Return (videos, C) scores by output, in the order of the streams."""
    if method == "sci_max":
        totals = ClipTotals(add, widths)
        for batch in reader:
            totals.update(batch.clips, batch.video, batch.clip, batch.mask)
        return totals.best(videos)
    sums = {
        name: ops.zeros((videos, width), "float32")
        for name, width in widths.items()
    }
    for batch in reader:
        sums = add(sums, batch.clips, batch.video, batch.mask)
    # A step on JAX does not keep the order of the streams.
    return {
        name: mean_of(
            ops.convert_to_numpy(sums[name]),
            np.maximum(reader.views, 1),
            method,
        )
        for name in widths
    }


class VideoEvaluation(keras.callbacks.Callback):
    """Callback that measures whole-video accuracy while `fit` runs.

    Writes `video_top1`, `video_top5` of more than five classes,
    `video_mean_class`, the same per stream (`video_rgb_top1`, ...) and the
    best of a sweep over fusion weights (`video_best_fusion`) into `logs`, so
    that callbacks after it can monitor them.

    Args:
        items: An `Annotations`, or (path, label) pairs.
        every: Epochs between two evaluations.
        path: File for the last scores (.npz), or None.
        prefix: Prefix of the names; change "video_" to tell two evaluations in
            one `fit` apart.
        **options: Options of `VideoEvaluator`, but for `engine`: the model that
            trains answers itself.

    Raises:
        SpecError: If an argument is not as above; when `fit` begins, if the
            model lacks a class of the list.

    Example:

    ```python
    model.fit(dataset, callbacks=[
        VideoEvaluation(test_items, num_clips=10, crops="3-crop"),
        keras.callbacks.EarlyStopping("video_top1", mode="max"),
    ])
    ```
    """

    def __init__(
        self,
        items: Annotations | Sequence[tuple[str, Any]],
        *,
        every: int = 1,
        path: str | os.PathLike | None = None,
        prefix: str = "video_",
        **options: Any,
    ) -> None:
        super().__init__()
        check_count("every", every)
        if "engine" in options:
            raise SpecError(
                "VideoEvaluation has no engine to choose, as weights that "
                "change each epoch would be exported each time. Leave it out."
            )
        self._evaluator = VideoEvaluator(items, engine="keras", **options)
        # Weights that change each epoch would be folded each time.
        self._evaluator._fold = False
        self._every, self._path, self.prefix = every, path, prefix
        self.scores: VideoScores | None = None

    def set_model(self, model):
        super().set_model(model)
        self._evaluator.prepare(model)
        _warn_of_order(self)

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every:
            return
        self.scores = self._evaluator(self.model)
        if self._path is not None:
            self.scores.save(self._path)
        if logs is not None:
            numbers = _as_logs(self.scores, self.model)
            logs.update({self.prefix + k: v for k, v in numbers.items()})


def evaluate_videos(
    model: keras.Model,
    items: Annotations | Sequence[tuple[str, Any]],
    **options: Any,
) -> VideoScores:
    """Return the scores of every video; see `VideoEvaluator` for options.

    Example:

    ```python
    scores = training.evaluate_videos(model, items, crops="10-crop")
    scores.report()["fused"]["top1"]
    ```
    """
    return VideoEvaluator(items, **options)(model)


def stream_weights(model: keras.Model) -> dict[str, float]:
    """Return the weights that the model's paper gives the streams."""
    return weights_of(clip_spec(model))


def _as_logs(scores: VideoScores, model: keras.Model) -> dict[str, float]:
    logs = {}
    report = scores.report(stream_weights(model))
    for stream, numbers in report.items():
        place = "" if stream == FUSED else f"{stream}_"
        for name, value in numbers.items():
            logs[f"{place}{name}"] = value
    if len(scores.streams) > 1 and np.ndim(scores.labels) == 1:
        best = sweep(scores.streams, scores.labels, scores.kind)[0]
        logs["best_fusion"] = best["top1"]
    return logs


def _label_array(labels: Sequence[Any], sums: Mapping[str, Any]):
    if not any(np.ndim(label) for label in labels):
        return np.asarray(labels, int)
    array = np.zeros((len(labels), _class_count(sums)), int)
    for row, label in zip(array, labels, strict=True):
        row[list(several(label))] = 1
    return array


def _class_count(by_stream: Mapping[str, Any]) -> int:
    """Return the number of classes in the scores of each stream."""
    return next(iter(by_stream.values())).shape[-1]


def _whole_cache(place: str | os.PathLike) -> CacheFolder:
    """Return a packed cache.

    Raises:
        SpecError: If there is none.
    """
    folder = CacheFolder(place)
    if folder.contract() is None:
        raise SpecError(
            f"There is no packed cache in {place}. Check the path, make one "
            "with `keras-twostream extract`, or leave `cache` out to read "
            "the videos themselves."
        )
    return folder


def _source(path: str, folder: CacheFolder | None) -> str:
    """Return the packed file of a video, or the video if there is none."""
    if folder is None:
        return path
    part = Part.of(path)
    name = folder.find(part.path)
    if name is None:
        return path
    packed = str(folder.packed_path(name))
    return str(dataclasses.replace(part, path=packed))


def _warn_of_order(callback: VideoEvaluation) -> None:
    """Warn of callbacks that look for these numbers too early."""
    for other in _callbacks_around():
        if other is callback:
            return
        monitor = str(getattr(other, "monitor", ""))
        if monitor.startswith(callback.prefix):
            warnings.warn(
                f"{type(other).__name__} monitors {monitor!r} but stands "
                "before VideoEvaluation, which writes it: it will not find "
                "it. Put VideoEvaluation first in `callbacks`."
            )


def _callbacks_around() -> list[keras.callbacks.Callback]:
    """Return the callbacks of the list that is setting this one's model.

    Keras does not tell a callback about the other callbacks.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, keras.callbacks.CallbackList):
            return owner.callbacks
        frame = frame.f_back
    return []
