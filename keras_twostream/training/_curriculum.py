"""Clips that grow during training, as ST-ResNet's and multiplier's do."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_twostream.data import SAMPLERS
from keras_twostream.errors import SpecError
from keras_twostream.inspection import card, keep_card
from keras_twostream.registry import model_entry
from keras_twostream.spec import ClipSpec


class StrideCurriculum(keras.callbacks.Callback):
    """Draws clips of other strides from some epochs on.

    ST-ResNet trains with strides 5 to 15 first and 1 to 15 in the end
    (Feichtenhofer et al. 2016, section 4). Hand `sampler` to the dataset and
    the callback to `fit`. The dataset must not repeat, so that an epoch's
    first clip is drawn after the epoch began; `training.train` repeats its
    own and cannot use it.

    Args:
        stages: From epoch to (smallest, largest) stride, counting from 0.

    Attributes:
        strides: Those of the present epoch.

    Raises:
        SpecError: If there is no stage for epoch 0, or a stride below 1.

    Example:

    ```python
    strides = StrideCurriculum({0: (5, 15), 6: (1, 15)})
    dataset = video_dataset(
        items, spec, 16, training=True, sampler=strides.sampler
    )
    model.fit(dataset, epochs=8, callbacks=[strides])
    ```
    """

    def __init__(self, stages: Mapping[int, tuple[int, int]]) -> None:
        super().__init__()
        for epoch, (low, high) in stages.items():
            if epoch < 0 or not 1 <= low <= high:
                raise SpecError(
                    "`stages` goes from epochs (0 and more) to strides, "
                    "1 <= smallest <= largest. "
                    f"Received: {epoch}: ({low}, {high})"
                )
        if 0 not in stages:
            raise SpecError(
                "`stages` must say the strides of epoch 0. Received: stages "
                f"from epochs {sorted(stages)}"
            )
        self._stages = dict(stages)
        self.strides = self._stages[0]

    def sampler(
        self, frames: int, spec: ClipSpec, rng: np.random.Generator
    ) -> np.ndarray:
        """The sampler "multi_stride" with the strides of the epoch."""
        spec = spec.replace(train_strides=self.strides)
        return SAMPLERS["multi_stride"](frames, spec, rng)

    def on_epoch_begin(self, epoch, logs=None):
        begun = max(first for first in self._stages if first <= epoch)
        self.strides = self._stages[begun]


def longer_copy(model: keras.Model, **options: Any) -> keras.Model:
    """The same weights in a network for longer clips, to train on with.

    ST-ResNet's second stage sees 11 frames instead of 5 and pools over five
    of them; neither changes a weight's shape.

    Args:
        model: A trained model of this library.
        **options: Those of the builder that change: `clip_length`,
            `temporal_pool`, or others that leave all weights' shapes alone.

    Returns:
        A new model, not compiled.

    Raises:
        SpecError: If an option changes the weights' shapes.

    Example:

    ```python
    model = longer_copy(model, clip_length=11, temporal_pool=5)
    ```
    """
    facts = card(model)
    kept = {**facts.get("options", {}), **options}
    clip = dict(kept.get("clip_spec") or {})
    for name in set(options) & set(clip):
        clip[name] = options[name]
    builder = model_entry(facts["architecture"]).builder
    copy = builder(**{**kept, "clip_spec": clip})
    weights = model.get_weights()
    if [w.shape for w in weights] != [w.shape for w in copy.get_weights()]:
        raise SpecError(
            "The options change the shapes of weights, which then cannot be "
            f"kept. Received: {', '.join(map(str, options))}"
        )
    copy.set_weights(weights)
    keep_card(model, copy)
    return copy
