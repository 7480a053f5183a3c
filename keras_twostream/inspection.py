"""Questions a loaded model can answer: its clip, its identity, its heads, taps.

The answers come from the config of the model's `StreamInput` layers, which
survives `.keras` saving, cloning, nesting and deep copies.
"""

import dataclasses
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import keras
import numpy as np

from keras_twostream._printing import check_names
from keras_twostream.errors import (
    SpecError,
    UnknownNameError,
    did_you_mean,
)
from keras_twostream.graph import (
    check_functional,
    inputs_of,
    operation_of,
    sources_of,
)
from keras_twostream.layers import FoldTime, StreamInput, UnfoldTime
from keras_twostream.regions import RegionSpec
from keras_twostream.spec import FUSED, STREAMS, ClipSpec

# A model with another head behind the same layers has the same inputs: what is
# said of its outputs is kept for each head, too.
_OF_HEADS = ("classes", "classes_of", "head_classes", "multi_label")
_BY_HEAD = "by_head"


def stream_layers(model: keras.Model) -> dict[str, StreamInput]:
    """Return the model's input layers by stream, nested models included.

    Raises:
        SpecError: If the model has none, or is no model.
    """
    if not isinstance(model, keras.Model):
        raise SpecError(
            "This is asked of a model: keras_twostream.load gives one by its "
            f"name. Received: a {type(model).__name__}"
        )
    layers = {layer.stream: layer for layer in _stream_layers(model)}
    if not layers:
        raise SpecError(
            f"The model {model.name!r} has no keras_twostream stream input, "
            "so its clip is unknown. Build it with a function of "
            "keras_twostream.models, or load it with keras_twostream.load."
        )
    return layers


def clip_spec(model: keras.Model) -> ClipSpec:
    """Return the clip that the model takes, per stream.

    Args:
        model: A model of this library, also reloaded, cloned or nested.

    Returns:
        Its ClipSpec, with the names of the classes where the model has them.

    Raises:
        SpecError: If the model has no stream input of this library.
    """
    streams = stream_layers(model)
    spec = ClipSpec.from_json(next(iter(streams.values())).clip_spec)
    spec = spec.replace(streams=tuple(s for s in spec.streams if s in streams))
    return dataclasses.replace(spec, classes=_classes_of_all(model))


def _classes_of_all(model: keras.Model) -> tuple[str, ...]:
    """Return the class names that every output has; none for several heads.

    There are none either where the outputs were changed since.
    """
    names = tuple(card(model).get("classes") or ())
    outputs = getattr(model, "outputs", None) or ()
    if {x.shape[-1] for x in outputs} != {len(names)}:
        return ()
    heads = set(model.output) if isinstance(model.output, dict) else set()
    return names if heads <= {*STREAMS, FUSED} else ()


def check_whole_frames(model: keras.Model) -> None:
    """Refuse a model that takes crops of one size for whole frames.

    Raises:
        SpecError: If height and width of an input are fixed.
    """
    for tensor in model.inputs:
        if None not in tensor.shape[2:4]:
            height, width = tensor.shape[2:4]
            raise SpecError(
                f"{model.name} ends in dense layers and takes frames of "
                f"{height} x {width} pixels alone, not whole ones. Choose "
                "other crops, such as centre or 10-crop."
            )


def sees_regions(model: keras.Model) -> bool:
    """Return whether the model takes regions of frames instead of clips."""
    return "regions" in card(model).get("options", {})


def region_spec(model: keras.Model) -> RegionSpec:
    """Return the rules by which a detector finds and links its regions.

    Args:
        model: A model of an architecture with the option `regions`.

    Returns:
        Its RegionSpec.

    Raises:
        SpecError: If the model takes whole clips.
    """
    if not sees_regions(model):
        raise SpecError(
            f"{model.name} takes clips, and finds no regions in them. "
            "Detectors are models of action_tubes: keras-twostream train "
            "--task tubes makes one."
        )
    return RegionSpec.from_json(card(model)["options"]["regions"] or {})


def card(model: keras.Model) -> dict[str, Any]:
    """Return a model's architecture, options, classes and loaded weights."""
    facts = dict(next(iter(stream_layers(model).values())).card)
    by_head = facts.pop(_BY_HEAD, {})
    for name in _names_of_heads(model) if by_head else ():
        if name in by_head:
            facts = {k: x for k, x in facts.items() if k not in _OF_HEADS}
            return {**facts, **by_head[name]}
    return facts


def _names_of_heads(model: keras.Model) -> list[str]:
    """Return the head layers; none of a model of someone's own class."""
    known = getattr(model, "outputs", None)
    return sorted(head_layers(model)) if known else []


def update_card(
    model: keras.Model, *, head_trained: bool | None = None, **changes: Any
) -> None:
    """Change the model's card, in each of its inputs.

    Another model that shares its layers keeps the classes of its own head.

    Args:
        model: A model of this library.
        head_trained: Whether the head that the model has now is trained.
        **changes: Fields of the card, as `classes`, or for several heads
            `head_classes`, a dict from head to its class names.

    Raises:
        SpecError: If class names are no list, or one is empty or holds control
            characters.
    """
    if changes.get("classes") is not None:
        changes["classes"] = checked_classes(changes["classes"])
        # A part of the model has another first output, and the same card.
        changes["classes_of"] = _output_of(model, None)
    if changes.get("head_classes"):
        changes["head_classes"] = {
            head: checked_classes(names)
            for head, names in changes["head_classes"].items()
        }
    facts = {**card(model), **changes}
    facts = {key: facts[key] for key in _OF_HEADS if key in facts}
    own = dict.fromkeys(_names_of_heads(model), facts)
    for layer in stream_layers(model).values():
        by_head = {**layer.card.get(_BY_HEAD, {}), **own}
        layer.card = {**layer.card, **changes, _BY_HEAD: by_head}
        if head_trained is not None:
            layer.mark(_heads(model) if head_trained else ())


def checked_classes(classes: Any) -> list[str]:
    """Return the class names that a user gave, as a list.

    Args:
        classes: The names; published lists have some twice, as ImageNet's has
            "crane".

    Raises:
        SpecError: If they are no list, or one is no text, is empty or holds
            control characters.
    """
    ordered = isinstance(classes, Iterable)
    if not ordered or isinstance(classes, str | bytes | Mapping | Set):
        raise SpecError(
            "`classes` must be a list of names, in the order of the outputs. "
            f"Received: classes={classes!r}"
        )
    names = list(classes)
    for name in names:
        if not isinstance(name, str | numbers.Integral):
            raise SpecError(
                "The name of a class is text, or a whole number. "
                f"Received: {name!r}"
            )
    names = [str(name) for name in names]
    check_names(names)
    return names


def keep_card(model: keras.Model, copy: keras.Model) -> None:
    """Copy the classes and the state of the head to a copy of the model.

    Args:
        model: A model of this library.
        copy: A model of the same network, such as `keras.models.clone_model`
            gives, that has been given the weights of `model`.

    Example:

    ```python
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    keras_twostream.inspection.keep_card(model, clone)
    ```
    """
    facts = card(model)
    fields = ("classes", "head_classes", "multi_label", "base")
    kept = {key: facts[key] for key in fields if key in facts}
    update_card(copy, head_trained=head_is_trained(model), **kept)


def class_names(model: keras.Model, head: str | None = None) -> list[str]:
    """Return the class names, or class numbers where none were given.

    Args:
        model: A model of this library.
        head: The head, of one with heads for several data sets; the first when
            None. Streams with a head each have the same classes; those of a
            data set's head that the card does not name are numbers.

    Raises:
        SpecError: If the model names other classes than it has outputs.
        UnknownNameError: If there is no such head.
    """
    return stated_classes(model, head) or [
        str(number) for number in range(_outputs(model, head))
    ]


def stated_classes(model: keras.Model, head: str | None = None) -> list[str]:
    """Return the class names that a model was given; none where it has numbers.

    Raises:
        SpecError: If the model names other classes than it has outputs.
        UnknownNameError: If there is no such head.
    """
    output, count = _output_of(model, head), _outputs(model, head)
    names = _names_of(card(model), output, _output_of(model, None))
    if names and len(names) != count:
        raise SpecError(
            f"The model {model.name!r} has {count} outputs and names "
            f"{len(names)} classes: its head was changed. Say what its outputs "
            "mean with keras_twostream.inspection.update_card(model, "
            "classes=[...]), or load the network with `classes=[...]`."
        )
    return list(names)


def _outputs(model: keras.Model, head: str | None) -> int:
    """Return the number of a head's classes."""
    output = _output_of(model, head)
    tensors = model.output if output is None else model.output[output]
    return keras.tree.flatten(tensors)[0].shape[-1]


def _output_of(model: keras.Model, head: str | None) -> str | None:
    """Return the name of a head's first output; None of the only one."""
    # A model of someone's own class has none before its first call.
    outputs = getattr(model, "output", None)
    names = list(outputs) if isinstance(outputs, dict) else []
    if head is None:
        return names[0] if names else None
    for name in names:
        if is_output_of(name, head):
            return name
    raise UnknownNameError(
        f"{model.name} has no head {head!r}.{did_you_mean(head, names)}"
    )


def is_output_of(output: str | None, head: str) -> bool:
    """Return whether a head, or its part of one stream, gives an output."""
    return output in (head, *(f"{stream}_{head}" for stream in STREAMS))


def _names_of(
    facts: Mapping[str, Any], output: str | None, first: str | None
) -> Sequence[str]:
    """Return the class names of an output from the model's card."""
    for head, names in (facts.get("head_classes") or {}).items():
        if is_output_of(output, head):
            return names
    named = facts.get("classes_of") or first
    if output not in (named, *STREAMS, FUSED):
        return ()  # the card names the classes of the first data set
    return facts.get("classes") or ()


# === Heads ===


def head_is_trained(model: keras.Model) -> bool:
    """Return whether the classifier came trained, or was trained since."""
    return not head_trouble(model)


def head_trouble(model: keras.Model) -> str:
    """Return the reason why a classifier cannot name actions.

    Returns:
        "is random" or the like, or "" for a trained head.

    Raises:
        SpecError: If it is no model of layers from inputs to outputs.
    """
    check_functional(model)
    if not all(map(_is_finite, model.weights)):
        return "rests on numbers that are not finite: its training diverged"
    heads = _heads(model)
    inputs = stream_layers(model).values()
    if _stepped(model) or all(layer.trained(heads) for layer in inputs):
        return ""
    if any(layer.trained_heads for layer in inputs):
        return "is another one than the one that was trained"
    return "is random"


def _stepped(model: keras.Model) -> bool:
    """Return whether an optimizer has changed the model's weights."""
    optimizer = getattr(model, "optimizer", None)
    # On several devices int() refuses the counter itself.
    return optimizer is not None and bool(
        keras.ops.convert_to_numpy(optimizer.iterations) > 0
    )


def _is_finite(weight: Any) -> bool:
    # In NumPy: JAX would compile this for every shape.
    return bool(np.isfinite(keras.ops.convert_to_numpy(weight.value)).all())


def head_layers(model: keras.Model) -> set[str]:
    """Return the names of the layers that give class scores.

    These are the last layers with weights on the way to each output: linear
    layers, or the matrices of Actions ~ Transformations. Walking back from
    the outputs binds plugins to no naming rule. A layer is a head if one of
    its variables has an axis of classes; other layers with weights, such as
    attention over segments, are passed, and a learned fusion of scores is a
    head with heads before it.
    """
    return {layer.name for layer in _heads(model)}


def _heads(model: keras.Model) -> list[Any]:
    """Return the layers that `head_layers` names."""
    check_functional(model)
    classes = {x.shape[-1] for x in keras.tree.flatten(model.outputs)}
    heads: list[Any] = []
    seen: set[int] = set()
    stack = [
        operation_of(output) for output in keras.tree.flatten(model.outputs)
    ]
    while stack:
        layer = stack.pop()
        if layer is None or id(layer) in seen:
            continue
        seen.add(id(layer))
        if isinstance(layer, keras.Model):  # a network inside this one
            check_functional(layer)
            stack.extend(map(operation_of, layer.outputs))
            continue
        is_head = _has_classes(layer, classes)
        if is_head:
            heads.append(layer)
        if not is_head or _fuses_scores(layer, classes):
            stack.extend(operation_of(x) for x in inputs_of(layer))
    return heads


def _fuses_scores(layer: Any, classes: set[int]) -> bool:
    """Return whether several score vectors come in."""
    shapes = [tensor.shape for tensor in inputs_of(layer)]
    return len(shapes) > 1 and all(shape[-1] in classes for shape in shapes)


def _has_classes(layer: Any, classes: set[int]) -> bool:
    """Return whether a variable ends in classes or has a matrix for each."""
    shapes = [tuple(weight.shape) for weight in getattr(layer, "weights", ())]
    return any(
        shape and shape[0 if len(shape) == 3 else -1] in classes
        for shape in shapes
    )


# === Taps ===


def tap_names(model: keras.Model) -> list[str]:
    """Return every name that `taps` accepts, in the order of the network."""
    streams = stream_layers(model)
    return [_tap_name(layer.name, streams) for layer in model.layers]


def feature_taps(model: keras.Model) -> list[str]:
    """Return the taps that the classifier of each stream sees.

    Returns:
        The name of the activation before each head, without dropout; for
        `taps`.

    Raises:
        UnknownNameError: If no layer of the model gives class scores.
    """
    streams = stream_layers(model)
    classes = {x.shape[-1] for x in keras.tree.flatten(model.outputs)}
    found = {
        _tap_name(_layer_before(head, model).name, streams)
        for head in _heads(model)
        if not _fuses_scores(head, classes)
    }
    if not found:
        raise UnknownNameError(f"{model.name} has no classifier: name a tap.")
    return sorted(found)


def _layer_before(head: Any, model: keras.Model) -> Any:
    """Return the layer whose activation a head takes."""
    passed = (keras.layers.Dropout, FoldTime, UnfoldTime)
    layer = operation_of(inputs_of(head)[0])
    while isinstance(layer, passed) or layer not in model.layers:
        layer = operation_of(inputs_of(layer)[0])
    return layer


def taps(model: keras.Model, names: Sequence[str]) -> keras.Model:
    """Return a model that gives named activations.

    Args:
        model: A loaded model.
        names: Stream, dot and the paper's name, as "rgb.res5" or
            "flow.conv1".

    Returns:
        A model with the same inputs that returns a dict from name to
        activation. Maps are `(B, T, H, W, C)` and features of each step
        `(B, T, C)`, also where the network itself folds time into its batch;
        features of the whole clip are `(B, C)`.

    Raises:
        SpecError: If `names` is a single name instead of a list, or empty, or
            the model is none of layers from inputs to outputs.
        UnknownNameError: If the model has no such activation.

    Example:

    ```python
    features = keras_twostream.taps(model, ["rgb.res5", "flow.res5"])
    features.predict_on_batch(clips)["rgb.res5"].shape
    ```
    """
    if isinstance(names, str):
        raise SpecError(
            f"`names` must be a list: [{names!r}]. Received: names={names!r}"
        )
    if not names:
        raise SpecError(f"`names` must name a tap. Received: names={names!r}")
    check_functional(model)
    return keras.Model(
        model.inputs, {name: _output(model, name) for name in names}
    )


def _output(model: keras.Model, name: str) -> Any:
    by_name = {layer.name: layer for layer in model.layers}
    layer = by_name.get(str(name).replace(".", "_"))
    if layer is None:
        raise UnknownNameError(
            f"{model.name} has no activation named {name!r}."
            f"{did_you_mean(name, tap_names(model))}"
        )
    return keras.tree.map_structure(unfolded, layer.output)


def unfolded(tensor: Any) -> Any:
    """Return a tensor with an axis of time, if time is in its batch."""
    steps = folded_steps(tensor)
    return tensor if steps is None else UnfoldTime(steps)(tensor)


def folded_steps(tensor: Any) -> int | None:
    """Return the steps of a clip that a tensor has in its batch.

    Returns:
        T where the tensor is `(B * T, ...)`, None where it is `(B, ...)`.
    """
    inputs = [tensor]
    while inputs:
        layer = operation_of(inputs[0])
        if isinstance(layer, UnfoldTime):
            return None
        inputs = sources_of(inputs[0])
        if isinstance(layer, FoldTime):
            return inputs[0].shape[1]
    return None


def _tap_name(layer_name: str, streams: dict[str, StreamInput]) -> str:
    stream, _, rest = layer_name.partition("_")
    return f"{stream}.{rest}" if stream in streams and rest else layer_name


def _stream_layers(layer: Any) -> Iterator[StreamInput]:
    if isinstance(layer, StreamInput):
        yield layer
    for child in getattr(layer, "layers", ()):
        yield from _stream_layers(child)
