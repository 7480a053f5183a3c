"""Prediction of named actions from a video or frames.

A video of any length is covered by windows as long as the model's clip. They
are decoded, given their flow and scored in one pass, so that memory stays
flat; the scores of all windows together name the action of the video.
"""

import contextlib
import dataclasses
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_twostream import _files, data, hub, inspection, pretrained
from keras_twostream._frames import padded
from keras_twostream._stopwatch import Stopwatch
from keras_twostream.data.cutting.kept_flow import Album
from keras_twostream.data.lists.files import videos_in
from keras_twostream.data.video.fetching import fetched, is_address
from keras_twostream.errors import UntrainedHeadError, VideoError
from keras_twostream.folding import Folding, folds
from keras_twostream.prediction import FRAMES, Prediction
from keras_twostream.pretrained import WeightSpec, _default_weights
from keras_twostream.scoring.engines import (
    Engine,
    check_engine,
    has_exports,
)
from keras_twostream.scoring.heads import one_head
from keras_twostream.scoring.scorer import (
    Basis,
    chances,
    pool,
    pooling,
    refuse_regions,
    scorer,
)
from keras_twostream.scoring.states import DISTANCES, distances_of, states
from keras_twostream.spec import FUSED, ClipSpec
from keras_twostream.timeline import States

BATCH = 4  # windows scored at once, in videos that have more than one
# Pixels of a batch. One window of I3D has more: it keeps every core busy, and
# its flow is computed while the one before is scored.
_BATCH_PIXELS = 2**21

FOLDED_FROM = 64  # windows of one model that folding it is worth

Progress = Callable[[float, float], None]
Source = str | os.PathLike | np.ndarray


def clips(
    source: str | os.PathLike | np.ndarray,
    model: keras.Model | str,
    count: int | None = 1,
    **sampling: Any,
) -> dict[str, np.ndarray]:
    """Return the input arrays of a model, from a video file or frames.

    Args:
        source: A video file, or (T, H, W, 3) RGB frames, 0..255, at the
            model's frame rate.
        model: A model of this library, or a name for `load`.
        count: Number of clips, evenly spaced; a single one is centred.
        **sampling: Arguments `protocol`, `crops`, `short` and `bound` of
            `data.clips`.

    Returns:
        One array per stream of the model: "rgb" (N, T, H, W, 3F) uint8,
        "flow" (N, T, H, W, 2L) float32 in pixels.

    Raises:
        VideoError: If the file cannot be read.
        SpecError: If an argument is not as above.

    Example:

    ```python
    logits = model.predict_on_batch(keras_twostream.clips("a.mp4", model))
    ```
    """
    spec = inspection.clip_spec(_loaded(model))
    return data.clips(source, spec, count, **sampling)


def predict(
    source: Source | Sequence[Source],
    model: keras.Model | str | WeightSpec | None = None,
    *,
    head: str | None = None,
    flow: str | None = None,
    hop: float | None = None,
    engine: str = "auto",
    progress: Progress | None = None,
) -> Prediction | list[Prediction]:
    """Name the action in a video, its times, and the stream that decides.

    Args:
        source: A video file of any length, its http or https address, or
            (T, H, W, 3) RGB frames, 0..255, at the model's frame rate; or a
            list of these, or a folder of videos.
        model: A model whose head is trained, or a name for `load`; when None
            `default_weights`, whose download a terminal is asked about.
        head: The data set whose classes are asked for, of a model with a head
            for each of several.
        flow: Optical flow algorithm; the model's own when None.
        hop: Seconds from one window to the next; when None half a window,
            and 0.2 s or more; a whole one where it has 32 steps or more.
        engine: "keras"; "onnxruntime", for which the network is exported
            once and kept in the cache folder; or "auto", ONNX Runtime on a
            CPU where it is installed and quicker, for networks exported before
            and videos of 200 windows or more, and Keras otherwise.
        progress: Function called after each batch with the seconds of video
            done, and the seconds in all.

    Returns:
        A `Prediction`; for a list or a folder, a list of them. Videos of a list
        that cannot be read are left out, with a warning that names them.

    Raises:
        UntrainedHeadError: If the model's classifier is random.
        WeightsError: If no model is given, no weights that know real videos
            are on this machine, and nobody agreed to a download.
        VideoError: If the file, or every file of a list, cannot be read.
        SpecError: If an argument is not as above, or the model has several
            heads and `head` names none, or it cannot be exported for ONNX
            Runtime.
        UnknownNameError: If the model has no such head.
        MissingLibraryError: If ONNX Runtime is asked for and not installed.

    Example:

    ```python
    prediction = keras_twostream.predict("video.mp4")
    prediction = keras_twostream.predict("video.mp4", model)
    prediction.top(3)
    ```
    """
    check_engine(engine)
    model, spec = ready(model, flow, head=head)

    def one(video: Source) -> Prediction:
        return answer(video, model, spec, hop, engine, progress)

    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        return _all(list(source), one)
    inside = _of_folder(source)
    return one(source) if inside is None else _all(inside, one)


def answer(
    source: Source,
    model: keras.Model,
    spec: ClipSpec,
    hop: float | None = None,
    engine: str = "auto",
    progress: Progress | None = None,
    album: Album | None = None,
) -> Prediction:
    """Return the prediction of one video, as `predict` does.

    `model` and `spec` come from `ready`; an `album` keeps the flow, where the
    answer will be drawn.

    Raises:
        VideoError: If the file cannot be read.
        SpecError: If the network cannot be exported for ONNX Runtime.
    """
    source = fetched(source) if is_address(source) else source
    watch = Stopwatch()
    windows = data.Windows(source, spec, hop, watch, album)
    # Exports are of folded networks.
    many = None if has_exports(engine) else len(windows)
    network = kept_scorer(model, many)
    runtime = Engine(engine, network, len(windows))
    logits = _score(windows, network, runtime, watch, progress, spec)
    result = _prediction(source, model, windows, logits, watch, spec)
    return dataclasses.replace(result, engine=runtime.used)


def ready(
    model: keras.Model | str | None,
    flow: str | None = None,
    regions: bool = False,
    head: str | None = None,
) -> tuple[keras.Model, ClipSpec]:
    """Return a model that can name actions, and the clip it is given.

    Args:
        model: A model, a name for `load`, or None for the weights that the
            user has agreed to.
        flow: Optical flow algorithm; the model's own when None.
        regions: Whether a model may see regions of frames.
        head: The head to ask, where there are several.

    Raises:
        UntrainedHeadError: If the model's classifier is random.
        SpecError: If `head` names none of several, or the model sees regions.
        UnknownNameError: If the model has no such head.
    """
    model = _loaded(
        _default_weights.agreed_weights() if model is None else model
    )
    if not regions:
        refuse_regions(model)
    refuse_untrained(model)
    model = one_head(model, head)
    spec = inspection.clip_spec(model)
    return model, spec if flow is None else spec.replace(flow_algorithm=flow)


def _of_folder(source: Source) -> list[Source] | None:
    """Return the videos of a folder; None for one video."""
    if isinstance(source, str | os.PathLike):
        folder = _files.expanded(source)
        if folder.is_dir():
            return [str(path) for path in videos_in(folder)] or None
    return None


def _all(
    sources: list[Source], answer: Callable[[Source], Prediction]
) -> list[Prediction]:
    predictions, failed = [], []
    for source in sources:
        try:
            predictions.append(answer(source))
        except VideoError as error:
            failed.append(str(error))
    if failed and not predictions:
        raise VideoError(
            f"None of the {len(failed)} videos can be read. The first "
            f"reason: {failed[0]}"
        )
    if failed:
        warnings.warn(
            f"{len(failed)} of {len(sources)} videos are left out: "
            f"{'; '.join(failed)}",
            stacklevel=3,
        )
    return predictions


def _states_in(
    windows: data.Windows, distances: np.ndarray, timeline: np.ndarray
) -> States:
    """Return the states around the action, in its most certain window."""
    surest = int(np.argmax(timeline.max(axis=1)))
    return states(distances[surest], windows.times(surest))


def _prediction(
    source: Source,
    model: keras.Model,
    windows: data.Windows,
    logits: dict[str, np.ndarray],
    watch: Stopwatch,
    spec: ClipSpec,
) -> Prediction:
    """Return the prediction from the logits (N, C) of a video's windows."""
    seen, distances = len(logits[FUSED]), logits.get(DISTANCES)
    plain = prediction_of(
        describe(source), model, spec, windows.spans[:seen], logits
    )
    around = None
    if distances is not None:
        around = _states_in(windows, distances, plain.timeline)
    return dataclasses.replace(
        plain,
        truncated=windows.truncated or seen < len(windows),
        seconds=watch.seconds,
        states=around,
    )


def prediction_of(
    source: str,
    model: keras.Model,
    spec: ClipSpec,
    spans: np.ndarray,
    logits: Mapping[str, np.ndarray],
) -> Prediction:
    """Return the prediction of a video from the logits of its windows.

    Args:
        source: Name of the video.
        model: The model.
        spec: The clip that it was given.
        spans: (N, 2) first and last second of each window.
        logits: (N, C) by output of `kept_scorer`.

    Raises:
        UntrainedHeadError: If they are no numbers: training diverged.
    """
    refuse_diverged(model, logits)
    card, method = inspection.card(model), pooling(model)
    several = bool(card.get("multi_label"))
    scores = {n: rows for n, rows in logits.items() if n != DISTANCES}
    timelines = {name: chances(rows, several) for name, rows in scores.items()}
    whole = {name: pool(rows, method) for name, rows in scores.items()}
    if method == "logits":
        whole = {name: chances(mean, several) for name, mean in whole.items()}
    return Prediction(
        source=source,
        model=card.get("weights") or model.name,
        classes=tuple(inspection.class_names(model)),
        probabilities=whole.pop(FUSED),
        streams=whole,
        windows=spans,
        timeline=timelines.pop(FUSED),
        stream_timelines=timelines,
        truncated=False,
        seconds={},
        spec=spec,
    )


def refuse_untrained(model: keras.Model) -> None:
    """Check that a model's classifier is trained.

    Raises:
        UntrainedHeadError: If it is not; the message names weights that have a
            trained head.
    """
    trouble = inspection.head_trouble(model)
    if not trouble:
        return
    trained = [w.name for w in pretrained.list_weights() if w.head_trained]
    same = inspection.card(model).get("architecture", "")
    fitting = [name for name in trained if name.startswith(f"{same}.")]
    raise UntrainedHeadError(
        f"The classifier of {model.name} {trouble}, so its answers would mean "
        "nothing. Train it first (`fit`, or a loop that calls it with "
        "training=True), or load weights that have a trained head: "
        f"{', '.join(fitting or trained) or 'none are registered'}. A copy "
        "that you gave trained weights says so after "
        "keras_twostream.inspection.keep_card(original, copy)."
    )


def refuse_diverged(
    model: keras.Model, logits: Mapping[str, np.ndarray]
) -> None:
    """Refuse scores of which no class is the best.

    The logarithm of a probability may be minus infinity.

    Args:
        model: The model that gave them.
        logits: Scores by output, of any shape.

    Raises:
        UntrainedHeadError: If any is no number, or infinite.
    """
    if not all((rows < np.inf).all() for rows in logits.values()):
        raise UntrainedHeadError(
            f"{model.name} gives scores that are no numbers: its "
            "training diverged. Train again with a lower learning rate, or "
            "load other weights."
        )


# === Scoring ===


def _score(
    windows: data.Windows,
    network: keras.Model,
    runtime: Engine,
    watch: Stopwatch,
    progress: Progress | None,
    spec: ClipSpec,
) -> dict[str, np.ndarray]:
    """Return (N, C) logits of every window, by output of the network."""
    size = 1 if len(windows) == 1 else batch_of(spec)
    parts: list[dict[str, np.ndarray]] = []
    done, duration = 0, float(windows.spans[-1, 1])
    with contextlib.closing(windows.batches_ahead(size)) as batches:
        for batch in batches:
            count = len(next(iter(batch.values())))
            with watch("network"):
                # One batch shape avoids another compilation for the last one.
                whole = {name: padded(x, size) for name, x in batch.items()}
                scores = runtime.scores(whole)
            parts.append({name: s[:count] for name, s in scores.items()})
            done += count
            if progress is not None:
                progress(float(windows.spans[done - 1, 1]), duration)
    # In the order of the streams, which a step on JAX does not keep.
    return {
        name: np.concatenate([scores[name] for scores in parts])
        for name in network.output
    }


def batch_of(spec: ClipSpec) -> int:
    """Return the number of windows to score at once."""
    pixels = spec.clip_length * spec.crop[0] * spec.crop[1]
    return min(BATCH, max(1, _BATCH_PIXELS // pixels))


class _Scorer:
    """A model's scorer, and its folded copy once that is worth making."""

    def __init__(self, model: keras.Model) -> None:
        network, distances = scorer(model, regions=True), distances_of(model)
        if distances is not None:
            outputs = {**network.output, DISTANCES: distances}
            network = keras.Model(model.inputs, outputs, name=network.name)
        self.basis = Basis(model)
        self._plain, self._windows = network, 0
        self._folding: Folding | None = None

    def network(self, windows: int | None) -> keras.Model:
        """Return the network for so many windows more."""
        self._windows += FOLDED_FROM if windows is None else windows
        if self._windows < FOLDED_FROM:
            return self._plain
        if self._folding is None and folds(self._plain):
            self._folding = Folding(self._plain)
        return self._folding.refresh() if self._folding else self._plain


_scorers: weakref.WeakKeyDictionary[keras.Model, _Scorer] = (
    weakref.WeakKeyDictionary()
)
_one_thread = threading.Lock()


def kept_scorer(model: keras.Model, windows: int | None = None) -> keras.Model:
    """Return the model's one scorer; a second video compiles nothing.

    Normalisation is folded into the layers before it, where there is any, once
    the model has `FOLDED_FROM` windows to score: making the copy takes longer
    than it saves in a few.

    Args:
        model: A model of this library.
        windows: Windows that it is about to score; many when None.
    """
    with _one_thread:  # two scorers of one model would share its variables
        if model not in _scorers or not _scorers[model].basis.holds(model):
            _scorers[model] = _Scorer(model)
        return _scorers[model].network(windows)


def _loaded(model: keras.Model | str | WeightSpec) -> keras.Model:
    return hub.load(model) if isinstance(model, str | WeightSpec) else model


def describe(source: str | os.PathLike | np.ndarray) -> str:
    """Return the path of a video, or "frames"."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return FRAMES
