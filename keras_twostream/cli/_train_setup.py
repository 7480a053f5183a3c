"""The model of `keras-twostream train`, and the record of its origin."""

import contextlib
import importlib.metadata
import logging
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from keras_twostream import __version__, hub, inspection, training
from keras_twostream.cli import _console
from keras_twostream.cli._files import model_name
from keras_twostream.pretrained._transfer import with_fresh_heads
from keras_twostream.registry import list_models, model_entry
from keras_twostream.spec import STREAMS

PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "opencv-python")


def build_model(
    name: str,
    weights: str | None,
    classes: tuple[str, ...],
    recipe: training.Recipe,
    options: Mapping[str, Any],
    spec: Mapping[str, Any],
    heads: Mapping[str, Sequence[str]] | None = None,
) -> keras.Model:
    """Build the model to train; flags win over the recipe's options.

    Args:
        name: A name that `keras_twostream.load` takes, or a run's folder.
        weights: "none" for random ones, a tag, or None for the default.
        classes: Class names.
        recipe: The recipe, for its options and its clip.
        options: Options of the builder from flags.
        spec: Fields of the ClipSpec from flags.
        heads: Class names of each head, where there are several.
    """
    name = model_name(name)
    options = {**_known(name, recipe.options), **options}
    spec = {**recipe.spec, **spec}
    if spec:
        options["clip_spec"] = {**options.get("clip_spec", {}), **spec}
    if weights is not None:
        options["weights"] = None if weights == "none" else weights
    if heads:
        options["heads"] = {head: len(x) for head, x in heads.items()}
        return _knowing(hub.load(name, **options), heads)
    return hub.load(name, classes=list(classes), **options)


def _knowing(
    model: keras.Model, heads: Mapping[str, Sequence[str]]
) -> keras.Model:
    """Return the model, with fresh heads if its own know other classes.

    Columns of the same names may have as many classes, and others.
    """
    known = inspection.card(model).get("head_classes") or {}
    if all(list(known.get(x, heads[x])) == list(heads[x]) for x in heads):
        return model
    _console.say(
        "The heads of the weights know other classes: they start afresh.",
        err=True,
    )
    return with_fresh_heads(model)


@contextlib.contextmanager
def without_advice() -> Iterator[None]:
    """Keep the advice to train a fresh classifier from who is training it."""
    advice = logging.getLogger("keras_twostream.advice")
    before = advice.level
    advice.setLevel(logging.ERROR)
    try:
        yield
    finally:
        advice.setLevel(before)


def _known(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe's options that this builder has."""
    architecture = name.partition(".")[0]
    if ":" in name:
        architecture = hub.weight_of(name).architecture
    if architecture not in list_models():
        return {}
    known = model_entry(architecture).options
    return {key: value for key, value in options.items() if key in known}


def load_anything(place: str, **options: Any) -> keras.Model:
    """Return a model from a run folder, a model folder, or by name."""
    return hub.load(model_name(place), **options)


def start_streams(model: keras.Model, init: Mapping[str, str]) -> None:
    """Copy the streams of other models into this one.

    Args:
        model: The model to train.
        init: Mapping from stream to a run folder or a name; the prefix "rgb:"
            takes the other stream, by cross-modality initialisation.
    """
    for stream, place in init.items():
        other, colon, rest = place.partition(":")
        crossed = bool(colon) and other in STREAMS
        source = load_anything(rest if crossed else place)
        copied = training.copy_stream(
            source, model, stream, other if crossed else None
        )
        _console.say(f"{stream}: {len(copied)} layers from {place}", err=True)


def versions() -> dict[str, str]:
    """Return versions of the libraries that affect a run's numbers."""
    versions = {
        "keras_twostream": __version__,
        "python": platform.python_version(),
        "backend": keras.backend.backend(),
    }
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def describe(model: keras.Model) -> dict[str, Any]:
    """Return identity and clip of a model, for `config.toml`."""
    card = inspection.card(model)
    return {
        "architecture": card.get("architecture"),
        "options": card.get("options", {}),
        "classes": card.get("classes") or [],
        "clip": inspection.clip_spec(model).to_json(),
    }
