"""Explanation of a video's or a clip's score."""

import functools
import numbers
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_twostream import _answers, inspection, visual
from keras_twostream._frames import padded
from keras_twostream.errors import (
    SpecError,
    UnknownNameError,
    check_choice,
    did_you_mean,
)
from keras_twostream.explaining._contributions import (
    coalitions,
    mixed,
    shapley_values,
)
from keras_twostream.explaining._explanation import Explanation
from keras_twostream.explaining._grad_cam import GradCam, Seen
from keras_twostream.explaining._material import (
    ClipMaterial,
    Clips,
    Material,
    VideoMaterial,
    clips_of,
)
from keras_twostream.explaining._occlusion import Occlusion
from keras_twostream.explaining._projection import Projection
from keras_twostream.flow._colour import fast_speed
from keras_twostream.scoring.predicting import (
    BATCH,
    describe,
    kept_scorer,
    ready,
    refuse_diverged,
)
from keras_twostream.scoring.scorer import (
    chances,
    pool,
    pooling,
    refuse_regions,
)
from keras_twostream.spec import FUSED, ClipSpec

METHODS = ("grad_cam", "occlusion")
GRID = (1, 6, 6)

Source = str | os.PathLike | np.ndarray
Progress = Callable[[float, float], None]
Method = Callable[[Clips, int], list[Seen]]


def explain(
    source: Source | Mapping[str, np.ndarray],
    model: keras.Model | str | None = None,
    *,
    head: str | None = None,
    label: str | int | None = None,
    method: str = "grad_cam",
    flow: str | None = None,
    hop: float | None = None,
    grid: tuple[int, int, int] = GRID,
    progress: Progress | None = None,
) -> Explanation | list[Explanation]:
    """Show where each stream looks in a video, and what each contributes.

    Grad-CAM weighs the last convolutional maps of each stream by the gradient
    of the action's fused logit. Occlusion covers patches of one stream with
    the mean image, or with no motion, and shows where the logit falls; it is
    slower, and needs no gradient.

    Args:
        source: A video file of any length, or (T, H, W, 3) RGB frames,
            0..255, at the model's frame rate; or clips, as
            `keras_twostream.clips` gives them.
        model: A model whose head is trained, or a name for `load`; when
            None, the weights that `predict` takes.
        head: The head to ask, as in `predict`.
        label: Name or number of the action; the likeliest one when None.
        method: "grad_cam" or "occlusion".
        flow: Optical flow algorithm; the model's own when None.
        hop: Seconds from one window to the next, as for `predict`.
        grid: Parts of a clip in time, height and width that "occlusion"
            tells apart.
        progress: Function called after each batch with the seconds of video
            done, and the seconds in all.

    Returns:
        An `Explanation`; for several clips, a list of them.

    Raises:
        UntrainedHeadError: If the model's classifier is random, or its scores
            are no numbers.
        UnknownNameError: If the model has no such action or head.
        VideoError: If the file cannot be read.
        SpecError: If an argument is not as above, or the model has several
            heads and `head` names none.

    Example:

    ```python
    why = keras_twostream.explain("video.mp4", model)
    why.contributions, why.maps["rgb"].shape
    why.save_sheet("why.png")
    ```
    """
    _check(method, grid)
    model, spec = ready(model, flow, regions=True, head=head)
    chosen = None if label is None else _number(model, label)
    explainer = _Explainer(model, chosen, method, grid, progress)
    if isinstance(source, Mapping):
        explanations = [
            explainer(ClipMaterial(clip, spec), "clip", _steps(clip, spec))
            for clip in clips_of(source, spec)
        ]
        return explanations[0] if len(explanations) == 1 else explanations
    refuse_regions(model)
    footage = functools.partial(visual.footage, source, spec)
    return explainer(
        VideoMaterial(source, spec, hop), describe(source), footage
    )


def _check(method: str, grid: tuple[int, int, int]) -> None:
    check_choice("method", method, METHODS)
    three = isinstance(grid, Sequence) and len(grid) == 3
    whole = three and all(isinstance(n, numbers.Integral) for n in grid)
    if not whole or min(grid) < 1:
        raise SpecError(
            "`grid` must be three whole numbers, the parts in time, height "
            f"and width. Received: grid={grid!r}"
        )


def _number(model: keras.Model, label: str | int) -> int:
    """Return the number of an action."""
    names = inspection.class_names(model)
    if label in names:
        return names.index(str(label))
    if isinstance(label, int | np.integer) and 0 <= label < len(names):
        return int(label)
    raise UnknownNameError(
        f"{model.name} has no action {label!r}."
        f"{did_you_mean(str(label), names)}"
    )


def _steps(
    clip: Clips, spec: ClipSpec
) -> Callable[[], Iterator[tuple[float, np.ndarray, np.ndarray]]]:
    """Return the pictures of a clip's steps; one stream stands for both."""

    def pictures() -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
        rate = (spec.frame_rate or 25.0) / spec.temporal_stride
        for step in range(spec.clip_length):
            shown = {}
            if "rgb" in clip:
                frame = clip["rgb"][0, step, ..., :3]
                shown["rgb"] = np.rint(frame).clip(0, 255).astype(np.uint8)
            if "flow" in clip:
                motion = clip["flow"][0, step, ..., :2]
                full = max(1.0, fast_speed(motion))
                shown["flow"] = visual.colours(motion, full)
            rows = list(shown.values())
            yield step / rate, rows[0], rows[-1]

    return pictures


class _Explainer:
    """Explainer of any material, for one model."""

    def __init__(
        self,
        model: keras.Model,
        label: int | None,
        method: str,
        grid: tuple[int, int, int],
        progress: Progress | None,
    ) -> None:
        self._model, self._label, self._method = model, label, method
        self._grid, self._progress = grid, progress
        self._network = kept_scorer(model)
        layers = inspection.stream_layers(model)
        self._streams = [tensor.name for tensor in self._network.inputs]
        self._neutral = {
            tensor.name: layers[tensor.name].neutral(tensor.shape[-1])
            for tensor in self._network.inputs
        }

    def __call__(
        self, material: Material, source: str, footage: Any
    ) -> Explanation:
        scores = self._scores(material)
        several = bool(inspection.card(self._model).get("multi_label"))
        method = pooling(self._model)
        everything = scores[frozenset(self._streams)]
        refuse_diverged(self._model, {FUSED: everything})
        whole = pool(everything, method)
        if method == "logits":
            whole = chances(whole, several)
        label = int(np.argmax(whole)) if self._label is None else self._label
        of_label = {chosen: rows[:, label] for chosen, rows in scores.items()}
        shares = shapley_values(of_label, self._streams)
        card = inspection.card(self._model)
        return Explanation(
            source=source,
            model=card.get("weights") or self._model.name,
            label=inspection.class_names(self._model)[label],
            method=self._method,
            probability=float(whole[label]),
            logit=float(np.mean(everything[:, label], dtype=np.float64)),
            neutral_logit=float(
                np.mean(of_label[frozenset()], dtype=np.float64)
            ),
            contributions={s: float(x.mean()) for s, x in shares.items()},
            maps=self._maps(material, label).finished(),
            windows=material.spans[: len(everything)],
            timelines=shares,
            rate=material.rate,
            footage=footage,
        )

    def _score(self, clips: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return (B, C) fused logits, at one shape of batch."""
        count = _count(clips)
        size = 1 if count == 1 else BATCH
        batch = {name: padded(clip, size) for name, clip in clips.items()}
        return np.asarray(_answers.answer(self._network, batch)[FUSED])[:count]

    def _scores(self, material: Material) -> dict[frozenset[str], np.ndarray]:
        """Return (N, C) logits of every set of streams."""
        parts: dict[frozenset[str], list[np.ndarray]] = {
            chosen: [] for chosen in coalitions(self._streams)
        }
        for batch in self._batches(material, 0.0):
            for chosen, rows in parts.items():
                if not chosen and rows:  # the same for every window
                    rows.append(np.repeat(rows[0][:1], _count(batch), axis=0))
                else:
                    mix = mixed(batch, chosen, self._neutral)
                    rows.append(self._score(mix))
        return {chosen: np.concatenate(rows) for chosen, rows in parts.items()}

    def _maps(self, material: Material, label: int) -> Projection:
        projection = Projection(material, self._streams)
        method, clip = None, 0
        for batch in self._batches(material, 0.5):
            if method is None:
                method = self._prepared(batch)
            seen = method(batch, label)
            for row in range(_count(batch)):
                one = [(s, place, maps[row]) for s, place, maps in seen]
                projection.add(clip, one)
                clip += 1
        return projection

    def _prepared(self, batch: Clips) -> Method:
        if self._method == "grad_cam":
            shapes = {stream: clip.shape for stream, clip in batch.items()}
            return GradCam(self._network, shapes)
        return Occlusion(self._score, self._neutral, self._grid, BATCH)

    def _batches(self, material: Material, done: float) -> Iterator[Clips]:
        """Yield batches as float32, and report how far the work is."""
        duration, clip = float(material.spans[-1, 1]), 0
        size = 1 if len(material.spans) == 1 else BATCH
        for batch in material.batches(size):
            yield {
                stream: np.asarray(batch[stream], np.float32)
                for stream in self._streams
            }
            clip += _count(batch)
            if self._progress is not None:
                passed = float(material.spans[clip - 1, 1])
                self._progress(done * duration + passed / 2, duration)


def _count(batch: Mapping[str, np.ndarray]) -> int:
    return len(next(iter(batch.values())))
