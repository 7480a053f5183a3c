"""From a video, or frames, to named actions.

A video of any length is covered by windows as long as the model's clip. They
are decoded, given their flow and scored in one pass, so that memory stays
flat; the scores of all windows together name the action of the video.
"""

import os
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_twostream import data, hub, inspection, pretrained
from keras_twostream._stopwatch import Stopwatch
from keras_twostream.errors import SpecError, UntrainedHeadError
from keras_twostream.layers import ScoreFusion, concentration
from keras_twostream.prediction import Prediction
from keras_twostream.spec import ClipSpec

BATCH = 4  # windows scored at once, in videos that have more than one
FUSED = "fused"

_scorers: weakref.WeakKeyDictionary[keras.Model, keras.Model] = (
    weakref.WeakKeyDictionary()
)

Progress = Callable[[float, float], None]


def clips(
    source: str | os.PathLike | np.ndarray,
    model: keras.Model | str,
    count: int | None = 1,
    **sampling: Any,
) -> dict[str, np.ndarray]:
    """The arrays that a model eats, from a video file or frames.

    Args:
        source: A video file, or (T, H, W, 3) RGB frames, 0..255, at the
            model's frame rate.
        model: A model of this library, or a name for `load`.
        count: Clips, evenly spaced; a single one is centred.
        **sampling: `protocol`, `crops`, `short` and `bound` of
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
    source: str | os.PathLike | np.ndarray,
    model: keras.Model | str,
    *,
    flow: str | None = None,
    hop: float | None = None,
    progress: Progress | None = None,
) -> Prediction:
    """Name the action in a video, and say when and by which stream.

    Args:
        source: A video file of any length, or (T, H, W, 3) RGB frames,
            0..255, at the model's frame rate.
        model: A model whose head is trained, or a name for `load`.
        flow: Optical flow algorithm; the model's own when None.
        hop: Seconds from one window to the next; when None half a window,
            and 0.2 s or more.
        progress: Called after each batch with the seconds of video done,
            and in all.

    Returns:
        A `Prediction`.

    Raises:
        UntrainedHeadError: If the model's classifier is random.
        VideoError: If the file cannot be read.
        SpecError: If an argument is not as above, or the model has several
            heads.

    Example:

    ```python
    prediction = keras_twostream.predict("video.mp4", model)
    prediction.top(3)
    ```
    """
    model = _loaded(model)
    refuse_untrained(model)
    spec = inspection.clip_spec(model)
    if flow is not None:
        spec = spec.replace(flow_algorithm=flow)
    watch = Stopwatch()
    windows = data.Windows(source, spec, hop, watch)
    logits = _score(windows, _kept_scorer(model), watch, progress)
    # In the order of the streams, which JAX does not keep.
    names = [x for x in (*spec.streams, FUSED) if x in logits]
    logits = {name: logits[name] for name in names}
    seen = len(logits[FUSED])
    several = inspection.card(model).get("multi_label")
    chances = _sigmoid if several else _softmax
    each = {name: chances(values) for name, values in logits.items()}
    whole = {
        name: _pool(values, spec, chances) for name, values in logits.items()
    }
    return Prediction(
        source=_describe(source),
        model=inspection.card(model).get("weights") or model.name,
        classes=tuple(inspection.class_names(model)),
        probabilities=whole.pop(FUSED),
        streams=whole,
        windows=windows.spans[:seen],
        timeline=each.pop(FUSED),
        stream_timelines=each,
        truncated=windows.truncated or seen < len(windows),
        seconds=watch.seconds,
    )


def scorer(model: keras.Model) -> keras.Model:
    """A model that gives the fused scores and each stream's own at once.

    Args:
        model: A model of this library with one head.

    Returns:
        A model with the same inputs that returns a dict of logits
        `(B, C)`: "fused", and one per stream where the model scores its
        streams apart.

    Raises:
        SpecError: If the model has several heads, or eats something else
            than streams, as one of `with_flow` does.
    """
    streams = inspection.clip_spec(model).streams
    eaten = [tensor.name for tensor in model.inputs]
    if set(eaten) - set(streams):
        raise SpecError(
            f"{model.name} eats {', '.join(eaten)}, and a prediction feeds "
            f"{' and '.join(streams)}. Give the model that is inside it."
        )
    if isinstance(model.output, dict | list):
        raise SpecError(
            f"A prediction needs one score per class, and {model.name} "
            f"returns {len(model.output)} outputs. Build it with "
            "outputs='fused' and without `heads`."
        )
    outputs = {FUSED: _logits(model)}
    fusion = _fusion(model)
    if fusion is not None:
        outputs |= dict(zip(streams, fusion.input, strict=True))
    elif len(streams) == 1:
        outputs[streams[0]] = outputs[FUSED]
    return keras.Model(model.inputs, outputs, name=f"{model.name}_scorer")


def refuse_untrained(model: keras.Model) -> None:
    """Checks that a model's classifier is trained.

    Args:
        model: A model of this library.

    Raises:
        UntrainedHeadError: If it is not; names weights whose head is.
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


# === Scoring ===


def _score(
    windows: data.Windows,
    network: keras.Model,
    watch: Stopwatch,
    progress: Progress | None,
) -> dict[str, np.ndarray]:
    """(N, C) logits of every window, by output of the network."""
    size = 1 if len(windows) == 1 else BATCH
    found: list[dict[str, np.ndarray]] = []
    done, duration = 0, float(windows.spans[-1, 1])
    for batch in windows.batches(size):
        count = len(next(iter(batch.values())))
        with watch("network"):
            # One batch shape: no second compilation for the last windows.
            scores = network.predict_on_batch(_padded(batch, size))
        found.append({name: s[:count] for name, s in scores.items()})
        done += count
        if progress is not None:
            progress(float(windows.spans[done - 1, 1]), duration)
    return {
        name: np.concatenate([scores[name] for scores in found])
        for name in found[0]
    }


def _kept_scorer(model: keras.Model) -> keras.Model:
    """One scorer per model, so that the second video compiles nothing."""
    if model not in _scorers:
        _scorers[model] = scorer(model)
    return _scorers[model]


def _padded(batch: dict[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    missing = size - len(next(iter(batch.values())))
    if not missing:
        return batch
    return {
        stream: np.concatenate([clip, np.repeat(clip[-1:], missing, axis=0)])
        for stream, clip in batch.items()
    }


def _logits(model: keras.Model) -> Any:
    """The model's output, before its softmax if it has one."""
    last = {layer.name: layer for layer in model.layers}.get("probabilities")
    return model.output if last is None else last.input


def _fusion(model: keras.Model) -> ScoreFusion | None:
    layers = [x for x in model.layers if isinstance(x, ScoreFusion)]
    return layers[-1] if layers else None


def _pool(logits: np.ndarray, spec: ClipSpec, chances: Callable) -> np.ndarray:
    """(C,) probabilities of the video, as the paper fuses scores."""
    if spec.score_fusion == "logits":
        return chances(logits.mean(axis=0))
    shares = chances(logits)
    if spec.score_fusion == "softmax":
        return shares.mean(axis=0)
    weights = keras.ops.convert_to_numpy(concentration(shares))
    return (weights * shares).sum(axis=0) / weights.sum()


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -logits))


def _loaded(model: keras.Model | str) -> keras.Model:
    return hub.load(model) if isinstance(model, str) else model


def _describe(source: str | os.PathLike | np.ndarray) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return "frames"
