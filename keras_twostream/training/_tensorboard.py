"""Pictures for TensorBoard: the network's inputs and its confusion."""

import io
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_twostream import flow
from keras_twostream._files import expanded
from keras_twostream.data import clips
from keras_twostream.errors import TwoStreamError
from keras_twostream.inspection import class_names, clip_spec
from keras_twostream.scoring.evaluation import VideoEvaluation, stream_weights
from keras_twostream.scoring.metrics import confusion_matrix
from keras_twostream.scoring.plots import plot_confusion


class TensorBoardImages(keras.callbacks.Callback):
    """Callback that writes inputs and flow once, then numbers and confusion.

    Args:
        folder: TensorBoard's log folder.
        items: (path, label) pairs; the middle clip of each is shown, so a
            handful is enough. Those that cannot be read are left out.
        evaluation: The callback whose scores make the confusion matrix. It must
            come before this one in the list.
        bound: Pixels of displacement drawn in full colour; the clip's
            fastest pixels when None.

    Example:

    ```python
    evaluation = VideoEvaluation(test_items)
    images = TensorBoardImages("logs", test_items[:8], evaluation)
    model.fit(dataset, callbacks=[evaluation, images])
    ```
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        items: Sequence[tuple[str, Any]],
        evaluation: VideoEvaluation | None = None,
        bound: float | None = None,
    ) -> None:
        super().__init__()
        self._items, self._evaluation = list(items), evaluation
        self._bound, self._shown = bound, None
        self._folder, self._writer = str(expanded(folder)), None

    def on_train_begin(self, logs=None):
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(self._folder)
        spec = clip_spec(self.model)
        with self._writer.as_default():
            for number, (path, _) in enumerate(self._items):
                try:
                    clip = clips(path, spec)
                except (TwoStreamError, OSError):  # the data set says why
                    continue
                for stream, strip in self._strips(clip).items():
                    _write_image(f"{stream}/{number}", strip, 0)
        self._writer.flush()

    def on_epoch_end(self, epoch, logs=None):
        with self._writer.as_default():
            for name, value in (logs or {}).items():
                _write_scalar(name, float(value), epoch)
            scores = getattr(self._evaluation, "scores", None)
            # Not every epoch is evaluated.
            fresh, self._shown = scores is not self._shown, scores
            if fresh and scores is not None and np.ndim(scores.labels) == 1:
                _write_image("confusion", self._drawn(scores), epoch)
        self._writer.flush()

    def on_train_end(self, logs=None):
        # The writer stays open: the rest of an interrupted epoch is a `fit` of
        # its own.
        self._writer.flush()

    def _strips(self, clip) -> dict[str, np.ndarray]:
        """Return each stream's steps, side by side, (H, T * W, 3) uint8."""
        strips = {}
        if "rgb" in clip:
            strips["rgb"] = np.concatenate(list(clip["rgb"][0][..., :3]), 1)
        if "flow" in clip:
            fields = np.concatenate(list(clip["flow"][0][..., :2]), 1)
            strips["flow"] = flow.to_rgb(fields, self._bound)
        return strips

    def _drawn(self, scores) -> np.ndarray:
        best = scores.best(stream_weights(self.model))
        matrix = confusion_matrix(best, scores.labels)
        picture = io.BytesIO()
        plot_confusion(matrix, class_names(self.model), picture)
        return tf.io.decode_png(picture.getvalue(), channels=3).numpy()


# === The format of TensorBoard's own plugins, without the package ===

SCALAR, IMAGES = 1, 3  # TensorBoard's classes of data


def _write_scalar(tag: str, value: float, step: int) -> None:
    tf.summary.write(
        tag,
        tf.constant(value, tf.float32),
        step=step,
        metadata=_metadata("scalars", SCALAR),
    )


def _write_image(tag: str, image: np.ndarray, step: int) -> None:
    height, width, _ = image.shape
    png = tf.io.encode_png(np.ascontiguousarray(image)).numpy()
    tf.summary.write(
        tag,
        tf.constant([str(width), str(height), png]),
        step=step,
        metadata=_metadata("images", IMAGES),
    )


def _metadata(plugin: str, kind: int) -> Any:
    metadata = tf.compat.v1.SummaryMetadata(data_class=kind)
    metadata.plugin_data.plugin_name = plugin
    return metadata
