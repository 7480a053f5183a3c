"""Labels of several heads: one network, and a head for each data set or task.

K. Simonyan, A. Zisserman 2014, section 4: a clip counts for the heads that it
has a label for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_twostream.errors import SpecError
from keras_twostream.inspection import is_output_of
from keras_twostream.scoring.heads import head_names
from keras_twostream.training._compile import output_names


class HeadLabels:
    """A table of the labels of every video, one column for each head.

    Args:
        items: (path, labels) pairs; labels are a dict from head to class
            number, without the heads that the video has no label for.
        model: A model with a head for each of them.

    Raises:
        SpecError: If labels are no dict, name no head of the model, or are
            beyond its classes.
    """

    def __init__(
        self, items: Sequence[tuple[str, Any]], model: keras.Model
    ) -> None:
        heads = head_names(model)
        self._paths = [path for path, _ in items]
        rows = [_row(path, labels, heads) for path, labels in items]
        self._labels = np.array(rows, np.int32).reshape(-1, len(heads))
        self._columns = {
            name: next(
                column
                for column, head in enumerate(heads)
                if is_output_of(name, head)
            )
            for name in output_names(model) or ()
        }
        self._check_range(model)

    @property
    def numbered(self) -> list[tuple[str, int]]:
        """Return (path, number) pairs, for datasets that `targets` takes."""
        return [(path, number) for number, path in enumerate(self._paths)]

    @property
    def kinds(self) -> np.ndarray:
        """Return the labels by number, (videos, heads)."""
        return self._labels

    def targets(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Give every output the labels of its head, -1 where there is none.

        Args:
            dataset: A dataset of (clips, numbers[, weights]), made from
                `numbered`.

        Returns:
            A dataset of (clips, labels[, weights]), dicts by output.
        """
        table = tf.constant(self._labels)

        def change(clips, numbers, *weight):
            rows = tf.gather(table, numbers)
            labels = {name: rows[:, x] for name, x in self._columns.items()}
            weights = ({name: x for name in labels} for x in weight)
            return clips, labels, *weights

        return dataset.map(change)

    def _check_range(self, model: keras.Model) -> None:
        for name, column in self._columns.items():
            classes = model.output[name].shape[-1]
            wrong = np.flatnonzero(self._labels[:, column] >= classes)
            if len(wrong):
                raise SpecError(
                    f"{self._paths[wrong[0]]} has the label "
                    f"{self._labels[wrong[0], column]} for {name}, which has "
                    f"{classes} classes, numbered from 0."
                )


def _row(path: str, labels: Any, heads: Sequence[str]) -> list[int]:
    if not isinstance(labels, Mapping) or not set(labels) <= set(heads):
        raise SpecError(
            f"The model has the heads {', '.join(heads)}, and the labels of "
            f"{path} must be a dict from head to class number. Received: "
            f"{labels!r}. Build the model with one head for plain labels."
        )
    return [int(labels.get(head, -1)) for head in heads]
