"""Stages of training: the same weights, other options."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_twostream.errors import SpecError, WeightsError
from keras_twostream.inspection import card, keep_card
from keras_twostream.registry import model_entry
from keras_twostream.training._streams import weight_shapes


def longer_copy(model: keras.Model, **options: Any) -> keras.Model:
    """Copy the weights into a network for longer clips, to train on.

    ST-ResNet's second stage sees 11 frames instead of 5 and pools over five
    of them; neither changes a weight's shape.

    Args:
        model: A trained model of this library.
        **options: Changed options of the builder: `clip_length`,
            `temporal_pool`, or others that leave the shapes of all weights
            alone.

    Returns:
        A new model, not compiled.

    Raises:
        SpecError: If an option changes the weights' shapes.

    Example:

    ```python
    model = longer_copy(model, clip_length=11, temporal_pool=5)
    ```
    """
    copy = _rebuilt(model, options)
    weights = model.get_weights()
    if [w.shape for w in weights] != [w.shape for w in copy.get_weights()]:
        raise SpecError(
            "The options change the shapes of weights, which then cannot be "
            f"kept. Received: {', '.join(map(str, options))}"
        )
    copy.set_weights(weights)
    keep_card(model, copy)
    return copy


def next_stage(
    model: keras.Model,
    options: Mapping[str, Any],
    spec: Mapping[str, Any],
) -> keras.Model:
    """Return the network of the next stage, with the weights of this one.

    Args:
        model: The network that the previous stage trained.
        options: Changed options of the builder; those that the builder does not
            have are left out.
        spec: Fields of the ClipSpec that change.

    Returns:
        A new network, not compiled; layers that only it has are random.

    Raises:
        WeightsError: If the two share no layer.
    """
    known = model_entry(card(model)["architecture"]).options
    stage = _rebuilt(
        model, {k: v for k, v in options.items() if k in known}, spec
    )
    carry_over(model, stage)
    keep_card(model, stage)
    return stage


def _rebuilt(
    model: keras.Model,
    options: Mapping[str, Any],
    spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Build the same architecture with other options and random weights."""
    facts = card(model)
    kept = {**facts.get("options", {}), **options}
    clip = dict(kept.get("clip_spec") or {})
    for name in set(options) & set(clip):
        clip[name] = options[name]
    kept["clip_spec"] = {**clip, **(spec or {})}
    return model_entry(facts["architecture"]).builder(**kept)


def carry_over(source: keras.Model, target: keras.Model) -> list[str]:
    """Copy the weights of layers that two stages of a network share.

    Layers pair by name and shape. Layers that a stage adds keep the weights
    they were built with, such as FstCN's later layers after those that are
    trained alone.

    Args:
        source: The network that the previous stage trained.
        target: The network of this stage, changed in place.

    Returns:
        Names of the layers that were copied.

    Raises:
        WeightsError: If the two share no layer.
    """
    trained = {layer.name: layer for layer in source.layers if layer.weights}
    copied = []
    for layer in target.layers:
        other = trained.get(layer.name)
        if other is not None and weight_shapes(other) == weight_shapes(layer):
            layer.set_weights(other.get_weights())
            copied.append(layer.name)
    if not copied:
        raise WeightsError(
            f"{target.name} shares no layer with {source.name}, which the "
            "stage before has trained. Start both from one architecture."
        )
    return copied
