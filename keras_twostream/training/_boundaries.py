"""Expectation and maximisation over the boundaries of actions.

X. Wang, A. Farhadi, A. Gupta: Actions ~ Transformations. CVPR 2016, section
3.3. Where a precondition ends and an effect begins is latent. Training takes
turns: with the present weights, find the boundaries at which each video's own
transformation carries its precondition closest to its effect; then train on
those boundaries for some epochs.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_twostream import _schema
from keras_twostream._files import expanded, write_json
from keras_twostream.errors import SpecError, WeightsError
from keras_twostream.inspection import clip_spec
from keras_twostream.layers import boundaries
from keras_twostream.training._compile import boundary_scale
from keras_twostream.training._recipes import Recipe

_LARGEST = 2**28  # bytes
_AGAIN = "Resume with the folder of that run, or start a new one."


class BoundaryTable:
    """The boundaries of every video of a training list.

    At first a video is cut in the middle: its precondition ends at frame
    floor(T / 2), and its effect begins at the next one. One forward pass for
    each video gives the distances of all boundaries, since the means of
    segments come from sums over the frames.

    Args:
        items: (path, label) pairs; a label is a class number.
        clip_length: T, frames of a clip.

    Attributes:
        pairs: (videos, 2) ints, the numbers of each video's precondition and
            effect in `layers.boundaries(T)`.

    Example:

    ```python
    table = BoundaryTable(items, clip_length=25)
    for _ in range(rounds):
        model.fit(table.targets(dataset(table.numbered)), epochs=5)
        table.search(model, dataset(table.numbered, training=False))
    ```
    """

    def __init__(
        self, items: Sequence[tuple[str, int]], clip_length: int
    ) -> None:
        self.paths = [os.fspath(path) for path, _ in items]
        self.labels = np.array([label for _, label in items], np.int32)
        before, after = boundaries(clip_length)
        self._ends = [stop for _, stop in before]
        self._starts = [start + 1 for start, _ in after]
        middle = clip_length // 2
        first = self._ends.index(middle), self._starts.index(middle + 1)
        self.pairs = np.tile(np.array(first, np.int32), (len(items), 1))

    @property
    def numbered(self) -> list[tuple[str, int]]:
        """Return (path, number) pairs, for datasets that `targets` takes."""
        return [(path, number) for number, path in enumerate(self.paths)]

    @property
    def kinds(self) -> np.ndarray:
        """Return the class by number, (videos,)."""
        return self.labels

    @property
    def frames(self) -> dict[str, tuple[int, int]]:
        """Return a dict from path to (z_p, z_e), from 1 as in the paper."""
        return {
            path: (self._ends[before], self._starts[after])
            for path, (before, after) in zip(
                self.paths, self.pairs.tolist(), strict=True
            )
        }

    def targets(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Give each clip its class and its present boundaries.

        Args:
            dataset: A dataset of (clips, numbers), made from `numbered`.

        Returns:
            A dataset of (clips, targets), (B, 3) ints for
            `ContrastiveCosine`.
        """
        rows = tf.constant(np.column_stack([self.labels, self.pairs]))
        return dataset.map(
            lambda clips, numbers: (clips, tf.gather(rows, numbers))
        )

    def search(
        self, model: keras.Model, batches: Iterable[tuple[Any, Any]]
    ) -> int:
        """Find the boundaries that suit each video's own class best.

        Args:
            model: A model with `every_boundary`. If it has several outputs, one
                for each stream, their mean is used.
            batches: (clips, numbers), made from `numbered`.

        Returns:
            The number of videos whose boundaries changed.
        """
        earlier = self.pairs.copy()
        for clips, numbers in batches:
            # `predict_on_batch` on JAX takes no tensors of TensorFlow.
            clips = keras.tree.map_structure(np.asarray, clips)
            outputs = keras.tree.flatten(model.predict_on_batch(clips))
            logits = np.mean(outputs, axis=0)  # (B, P, E, n)
            for number, scores in zip(np.asarray(numbers), logits, strict=True):
                own = scores[..., self.labels[number]]
                best = np.unravel_index(np.argmax(own), own.shape)
                self.pairs[number] = best
        return int((earlier != self.pairs).any(axis=1).sum())

    def save(self, path: str | os.PathLike) -> None:
        """Write (z_p, z_e) of every video as JSON."""
        write_json(expanded(path), {k: list(v) for k, v in self.frames.items()})

    def load(self, path: str | os.PathLike) -> None:
        """Read the boundaries that `save` has written.

        Raises:
            WeightsError: If they belong to other videos or clips.
        """
        text = _schema.read_text(expanded(path), _LARGEST, hint=_AGAIN)
        saved = _schema.parse_json(text, os.fspath(path))
        try:
            self.pairs[:] = [
                (self._ends.index(end), self._starts.index(start))
                for end, start in (saved[video] for video in self.paths)
            ]
        except (KeyError, ValueError, TypeError) as error:
            raise WeightsError(
                f"The boundaries in {path} are of other videos or of clips "
                "of another length. Resume with those of that run, or start "
                "a new run folder."
            ) from error


def boundary_table(
    model: keras.Model, recipe: Recipe, items: Sequence[tuple[str, int]]
) -> BoundaryTable | None:
    """Return the table of a run whose recipe searches for boundaries.

    Raises:
        SpecError: If the model does not give the scores of each.
    """
    if not recipe.boundaries_every:
        return None
    if boundary_scale(model) is None:
        raise SpecError(
            f"The recipe {recipe.name!r} searches for boundaries, and "
            f"{model.name} does not give the scores of each. Build it with "
            "every_boundary=True, or set boundaries_every=0."
        )
    return BoundaryTable(items, clip_spec(model).clip_length)


def rounds(
    parts: Iterable[Mapping[str, int]], every: int
) -> Iterator[dict[str, int]]:
    """Split calls of `fit` where boundaries are searched.

    Args:
        parts: The `initial_epoch`, `epochs` and `steps_per_epoch` of each call.
        every: Epochs of a round; 0 splits nothing.

    Yields:
        The same three arguments for each round.
    """
    for part in parts:
        first, last = part["initial_epoch"], part["epochs"]
        while first < last:
            end = min(last, (first // every + 1) * every) if every else last
            yield {**part, "initial_epoch": first, "epochs": end}
            first = end
