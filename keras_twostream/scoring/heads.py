"""One head of a model that has one for each of several data sets."""

import weakref
from collections.abc import Sequence

import keras

from keras_twostream.errors import SpecError, UnknownNameError, did_you_mean
from keras_twostream.graph import check_functional
from keras_twostream.inspection import clip_spec, is_output_of
from keras_twostream.spec import FUSED


def head_names(model: keras.Model) -> list[str]:
    """Return the names of the heads; none if the only one has no name.

    Raises:
        SpecError: If it is no model of layers from inputs to outputs.
    """
    check_functional(model)
    names = list(model.output) if isinstance(model.output, dict) else []
    streams = clip_spec(model).streams
    if set(names) <= {*streams, FUSED}:
        return []
    prefixes = tuple(f"{stream}_" for stream in streams)
    if all(name.startswith(prefixes) for name in names):
        names = [name.split("_", 1)[1] for name in names]
    return list(dict.fromkeys(names))


def chosen_head(
    model: str, heads: Sequence[str], head: str | None
) -> str | None:
    """Return the head that is asked for; a single one need not be named.

    Args:
        model: Name of the model, for messages.
        heads: Its heads, each named after a data set.
        head: One of them, or None.

    Raises:
        SpecError: If there are several and `head` names none.
        UnknownNameError: If there is no such head.
    """
    if head is None and len(heads) > 1:
        raise SpecError(
            f"{model} has several heads, each with classes of its own: say "
            "which with `head`, or with --head in a command. "
            f"Choices: {', '.join(heads)}."
        )
    if head is not None and head not in heads:
        hint = did_you_mean(head, heads) or " Leave `head` out."
        raise UnknownNameError(f"{model} has no head {head!r}.{hint}")
    return head or next(iter(heads), None)


_parts: weakref.WeakKeyDictionary[keras.Model, dict[str, keras.Model]] = (
    weakref.WeakKeyDictionary()
)


def one_head(model: keras.Model, head: str | None = None) -> keras.Model:
    """Return the part of a model that ends in one of its heads.

    Args:
        model: A model of this library.
        head: The head, named after its data set; the only one when None.

    Returns:
        A model of the same layers, always the same one; `model` itself where
        there are not several heads.

    Raises:
        SpecError: If there are several heads and `head` names none.
        UnknownNameError: If there is no such head.
    """
    heads = head_names(model)
    name = chosen_head(model.name, heads, head)
    if name is None or len(heads) == 1:
        return model
    parts = _parts.setdefault(model, {})
    if name not in parts:
        own = {k: x for k, x in model.output.items() if is_output_of(k, name)}
        parts[name] = keras.Model(model.inputs, own, name=model.name)
    return parts[name]
