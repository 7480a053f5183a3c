"""The clips of a run: those it trains on, and those that validate it."""

import os
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_twostream.data import layouts, video_dataset
from keras_twostream.data.lists.labels import several
from keras_twostream.inspection import class_names, clip_spec
from keras_twostream.scoring.heads import head_names
from keras_twostream.spec import ClipSpec
from keras_twostream.training._batches import filled_up, labelled
from keras_twostream.training._boundaries import BoundaryTable
from keras_twostream.training._compile import output_names
from keras_twostream.training._recipes import Recipe
from keras_twostream.training._replaying import replayed
from keras_twostream.training._run_settings import RunSettings
from keras_twostream.training._several_heads import HeadLabels

Items = Sequence[tuple[str, Any]]


class RunClips:
    """Datasets of a run's videos.

    Where labels are more than a class number, the datasets count the videos,
    and a table has the labels of each.

    Args:
        model: The model that trains.
        clip: The clip in training, which has flow for a teacher.
        recipe: The run's recipe.
        settings: The run's settings.
    """

    def __init__(
        self,
        model: keras.Model,
        clip: ClipSpec,
        recipe: Recipe,
        settings: RunSettings,
    ) -> None:
        self.model, self.clip = model, clip
        self.input, self.distill = recipe.input, recipe.distill
        self.settings = settings
        self.several_heads = len(head_names(model)) > 1

    def readable(self, items: Items) -> list[tuple[str, Any]]:
        """Return the items whose videos can be read."""
        plain = items
        if self.several_heads:
            plain = [(path, 0) for path, _ in items]
        options = {"training": True, **self.input}
        skipped = self.videos(plain, 1, **options).skipped
        return [item for item in items if os.fspath(item[0]) not in skipped]

    def training(
        self,
        items: Items,
        table: BoundaryTable | None,
        batch_size: int,
        epoch: int,
        step: int,
    ) -> tf.data.Dataset:
        """Return batches without end, from a step of an epoch on."""
        labels = table or self._heads(items)
        options = dict(self.input)
        if labels is not None and options.get("even_classes"):
            options["even_classes"] = labels.kinds
        videos = self.videos(
            items,
            batch_size,
            labels,
            training=True,
            repeat=True,
            seed=self.settings.seed,
            start_epoch=epoch,
            start_step=step,
            **options,
        )
        batches = self._labelled(videos, labels, self.settings.class_weight)
        if not (share := self.distill.get("replayed")):
            return batches
        first = epoch * (len(items) // batch_size) + step
        return replayed(batches, self.clip, share, self.settings.seed, first)

    def validation(
        self, items: Items, batch_size: int
    ) -> tf.data.Dataset | None:
        """Return a centred clip of each video, or None if there are none."""
        if not items:
            return None
        heads = self._heads(items)
        bound = self.input.get("bound", layouts.BOUND)
        videos = self.videos(
            items, batch_size, heads, training=False, bound=bound
        )
        return self._labelled(filled_up(videos, batch_size, items), heads)

    def videos(
        self,
        items: Items,
        batch_size: int,
        labels: BoundaryTable | HeadLabels | None = None,
        **options: Any,
    ) -> tf.data.Dataset:
        """Return clips with their classes, or their numbers in `labels`."""
        classes: int | None = len(class_names(self.model))
        if labels is not None:
            items, classes = labels.numbered, None
        elif self.settings.multi_label:
            items = [(path, several(label)) for path, label in items]
        usual = {
            "batch_size": batch_size,
            "workers": self.settings.workers,
            "cache": self.settings.cache,
            "num_classes": classes,
        }
        clip = self.clip if options["training"] else clip_spec(self.model)
        return video_dataset(items, clip, **{**usual, **options})

    def _heads(self, items: Items) -> HeadLabels | None:
        return HeadLabels(items, self.model) if self.several_heads else None

    def _labelled(self, videos, labels, class_weight=None) -> tf.data.Dataset:
        if labels is not None:
            videos = labels.targets(videos)
        if self.several_heads:
            return videos
        return labelled(videos, output_names(self.model), class_weight)
