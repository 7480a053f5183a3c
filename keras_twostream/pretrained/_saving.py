"""Saving of a model as a folder to publish."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_twostream
from keras_twostream import _files, inspection, registry
from keras_twostream.errors import SpecError, WeightsError, check_choice
from keras_twostream.graph import check_functional
from keras_twostream.pretrained import _commit, _folder
from keras_twostream.pretrained._cards import card_text, is_generated
from keras_twostream.pretrained._disk import writable
from keras_twostream.pretrained._variables import variables

_DTYPES = (None, "float32", "float16")


def write_folder(
    model: keras.Model,
    folder: Path,
    facts: Mapping[str, Any],
    dtype: str | None = None,
) -> Path:
    """Write model.safetensors, config.json and README.md.

    A process that is killed at any instant leaves the old model or the new
    one, whole; see `_commit`.

    Args:
        model: A model of a registered architecture.
        folder: Made if missing.
        facts: Licence, data terms, origin, metrics, ... of the weights.
        dtype: "float16", or None for float32.

    Raises:
        WeightsError: If the card does not fit the model, a weight is not
            finite, the dtype is not one of the two, or the disk refuses.
    """
    check_choice("dtype", dtype, _DTYPES, WeightsError)
    card = checked_card(model)
    arrays = _arrays(model, dtype)
    described = {**_described(model, card), **facts}
    described["base"] = facts.get("base") or card.get("base") or ""
    with writable(folder):
        config = _commit.replace_model(folder, arrays, described)
        _write_card(folder, config)
    return folder


def state_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write facts into a folder that was saved without them.

    Its model card follows, unless somebody has changed it since.

    Args:
        folder: Holds config.json and README.md.
        facts: Fields of config.json; empty ones change nothing.

    Raises:
        WeightsError: If the config cannot be read or written.
    """
    before = _folder.read_config(folder / _folder.CONFIG)
    after = {**before, **{key: fact for key, fact in facts.items() if fact}}
    text = _folder.config_text(folder / _folder.CONFIG, after)
    with writable(folder), _commit.in_order(folder):
        if after != before:
            _files.write_text(folder / _folder.CONFIG, text)
        # After an interrupt, the card may be all that is left to do.
        _write_card(folder, after)


def _write_card(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the model card, unless somebody has written or changed it."""
    card = folder / _folder.CARD
    text = card_text(config)
    if not card.exists():
        _files.write_text(card, text)
        return
    present = card.read_text("utf-8", errors="replace")
    if present != text and is_generated(present):
        _files.write_text(card, text)


def checked_card(model: keras.Model) -> dict[str, Any]:
    """Return the model's card if its architecture builds this model.

    Raises:
        WeightsError: If the layers or shapes are no longer those that the
            card's architecture and options give.
    """
    check_functional(model)
    card = inspection.card(model)
    if "architecture" not in card:
        raise SpecError(
            f"The model {model.name!r} was not built by a registered "
            "architecture, so it cannot be rebuilt by name. Decorate its "
            "builder with keras_twostream.register_model."
        )
    rebuilt = registry.model_entry(card["architecture"]).builder(
        **card["options"]
    )
    difference = _difference(_outline(rebuilt), _outline(model))
    if difference:
        raise WeightsError(
            f"The model says it is {card['architecture']} with the options "
            f"{card['options']}, but its layers differ: {difference}. Build "
            "it with keras_twostream.load or a builder with the options you "
            "want, instead of changing its layers; a new network needs a "
            "builder of its own (keras_twostream.register_model)."
        )
    return card


def _outline(model: keras.Model) -> dict[str, str]:
    """Return each layer's class and each variable's shape, by name."""
    layers = {layer.name: type(layer).__name__ for layer in model.layers}
    shapes = {k: str(tuple(v.shape)) for k, v in variables(model).items()}
    return {**layers, **shapes}


def _difference(expected: dict[str, str], actual: dict[str, str]) -> str:
    for key in sorted(set(expected) | set(actual)):
        if expected.get(key) != actual.get(key):
            return (
                f"{key} should be {expected.get(key, 'absent')} and is "
                f"{actual.get(key, 'absent')}"
            )
    return ""


def _arrays(model: keras.Model, dtype: str | None) -> dict[str, np.ndarray]:
    arrays = {}
    for key, variable in variables(model).items():
        values = keras.ops.convert_to_numpy(variable.value)
        _refuse_diverged(model, key, values)
        largest = np.abs(values).max(initial=0)
        if dtype == "float16" and largest > np.finfo(np.float16).max:
            raise WeightsError(
                f"{key} holds {largest:g}, which float16 cannot store (65504 "
                "at most). Save with dtype=None."
            )
        arrays[key] = values.astype(dtype or "float32", copy=False)
    return arrays


def _refuse_diverged(model: keras.Model, key: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise WeightsError(
            f"{key} of {model.name} holds numbers that are not finite: its "
            "training diverged, and it was not saved. Train again with a lower "
            "learning rate, and see that every label has an output."
        )


def _described(model: keras.Model, card: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format": _folder.FORMAT,
        "library": "keras_twostream",
        "library_version": keras_twostream.__version__,
        "architecture": card["architecture"],
        "options": card["options"],
        "classes": card.get("classes") and inspection.class_names(model),
        "head_classes": {
            head: inspection.class_names(model, head)
            for head in card.get("head_classes") or {}
        },
        "head_trained": inspection.head_is_trained(model),
        "multi_label": card.get("multi_label", False),
        "clip_spec": inspection.clip_spec(model).to_json(),
        "paper": registry.model_entry(card["architecture"]).paper,
    }
