"""Loading of a model from a WeightSpec: build, fetch, match, assign."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_twostream import inspection, registry
from keras_twostream.errors import SpecError, TwoStreamError, WeightsError
from keras_twostream.inspection import head_layers
from keras_twostream.pretrained import _catalogue, _tensors
from keras_twostream.pretrained._adapt import cross_modality
from keras_twostream.pretrained._spec import OURS, WeightSpec
from keras_twostream.pretrained._variables import assign, variables
from keras_twostream.pretrained.keymaps import HEAD
from keras_twostream.regions import RegionSpec
from keras_twostream.spec import STREAMS

logger = logging.getLogger("keras_twostream")
# Apart, since `train` does what its messages advise.
advice = logging.getLogger("keras_twostream.advice")
# What `ClipSpec.replace` changes with a field, where the weight states both.
_DEPENDENT = {
    "flow_algorithm": "flow_parameters",
    "flow_length": "flow_offset",
    "stacking": "flow_offset",
}


def load_spec(
    spec: WeightSpec,
    options: Mapping[str, Any],
    classes: Sequence[str] | None = None,
) -> keras.Model:
    """Return the model of a weight, with the user's options.

    Returns:
        The model, its card filled in.

    Raises:
        WeightsError: If the file cannot be fetched, verified or matched.
    """
    entry = registry.model_entry(spec.architecture)
    merged = _merged(spec, options, entry.options)
    model = _built(spec, entry.builder, merged, options)
    heads = head_layers(model)
    # The file's own too, which has other names for other data sets.
    heads |= _heads_elsewhere(
        heads, merged.get("heads"), spec.options.get("heads")
    )
    keep_head = _head_fits(spec, merged, options, classes)
    tensors = _tensors.tensors(spec, model, heads, keep_head)
    keep_head = _assign(spec, model, heads, tensors, keep_head)
    trained = keep_head and (spec.head_trained or HEAD in spec.adaptation)
    if keep_head:
        _check_classes(spec, model)
    names = classes or (spec.classes if keep_head else None)
    if keep_head and spec.head_classes:
        inspection.update_card(model, head_classes=dict(spec.head_classes))
    inspection.update_card(
        model,
        weights=spec.name,
        base=_lineage(spec),
        head_trained=trained,
        multi_label=keep_head and spec.multi_label,
        data_terms=spec.data_terms,
    )
    if not trained:
        _announce(spec, model, keep_head)
    return name_classes(model, names)


def _lineage(spec: WeightSpec) -> str:
    """Return the name or address of a weight, for models based on it."""
    if spec in _catalogue.list_weights(spec.architecture):
        return spec.name
    # A folder's path means nothing elsewhere; its base does.
    return spec.base if spec.folder else spec.source


def _built(
    spec: WeightSpec,
    builder: Callable[..., keras.Model],
    options: Mapping[str, Any],
    asked: Mapping[str, Any],
) -> keras.Model:
    try:
        return builder(**options)
    except TwoStreamError:
        raise
    except (TypeError, ValueError, ArithmeticError, KeyError) as error:
        if asked:
            raise SpecError(
                f"{spec.architecture} cannot be built with {dict(asked)}: "
                f"{error}"
            ) from error
        raise WeightsError(
            f"{spec.name} ({spec.source}) states options that build no "
            f"{spec.architecture}: {dict(options)} ({error}). Tell its "
            "publisher, or update keras_twostream."
        ) from error


def _check_classes(spec: WeightSpec, model: keras.Model) -> None:
    count = len(inspection.class_names(model))
    if spec.classes is not None and len(spec.classes) != count:
        raise WeightsError(
            f"{spec.name} ({spec.source}) names {len(spec.classes)} classes "
            f"for {count} outputs. Tell its publisher."
        )


def name_classes(
    model: keras.Model, classes: Sequence[str] | None
) -> keras.Model:
    """Set the names of a model's classes, and return the model."""
    if classes is not None:
        inspection.update_card(model, classes=list(classes))
    return model


def _merged(
    spec: WeightSpec, options: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, Any]:
    merged = {**spec.options, **options}
    if "num_classes" in options and "heads" in spec.options:
        merged["heads"] = options.get("heads")  # one new head for all
    if options.get("regions"):
        regions = RegionSpec.from_json(spec.options.get("regions") or {})
        merged["regions"] = regions.replace(**options["regions"]).to_json()
    fields = _clip_fields(spec, options)
    if fields and "clip_spec" in known:
        merged["clip_spec"] = {**fields, **(options.get("clip_spec") or {})}
    return merged


def _clip_fields(
    spec: WeightSpec, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the weight's ClipSpec, without fields of the user's options."""
    asked = {**options, **(options.get("clip_spec") or {})}
    changed = {"streams", *options} | {
        dependent
        for field, dependent in _DEPENDENT.items()
        if field in asked and asked[field] != spec.clip_spec.get(field)
    }
    kept = {k: v for k, v in spec.clip_spec.items() if k not in changed}
    if "streams" in asked and "stream_weights" in kept:
        before = spec.clip_spec.get("streams", STREAMS)
        by_stream = dict(zip(before, kept["stream_weights"], strict=False))
        kept["stream_weights"] = [
            by_stream.get(stream, 1.0) for stream in asked["streams"]
        ]
    return kept


def _head_fits(
    spec: WeightSpec,
    merged: Mapping[str, Any],
    options: Mapping[str, Any],
    classes: Sequence[str] | None,
) -> bool:
    """Return whether the weight's head has the classes that the user wants."""
    if merged.get("heads") != spec.options.get("heads"):
        return False
    if classes is not None:
        return spec.classes is not None and list(classes) == list(spec.classes)
    if HEAD in spec.adaptation:
        # Image classes are no default for a video network: ask for them.
        return options.get("num_classes") == spec.adaptation[HEAD]
    if spec.layout != OURS and not spec.head_trained:
        return False
    return options.get("num_classes") in (None, _count(spec))


def _count(spec: WeightSpec) -> int | None:
    """Return the number of classes, None where the builder fixes it."""
    known = registry.model_entry(spec.architecture).options
    return spec.options.get("num_classes", known.get("num_classes"))


def _assign(
    spec: WeightSpec,
    model: keras.Model,
    heads: set[str],
    tensors: dict[str, Any],
    keep_head: bool,
) -> bool:
    """Assign all, or all but the head; return if the head was assigned."""
    targets = variables(model)
    in_head = {key for key in targets if _layer(key) in heads}
    if not spec.head_trained and not in_head & set(tensors):
        keep_head = False
    if not keep_head:
        targets = {k: v for k, v in targets.items() if k not in in_head}
        tensors = {k: v for k, v in tensors.items() if _layer(k) not in heads}
    if spec.layout != OURS:
        # Conversion accounted for every key; what it left out stays fresh.
        targets = {k: v for k, v in targets.items() if k in tensors}
    tensors = _without_dropped_streams(model, tensors)
    try:
        assign(targets, _of_more_frames(targets, tensors))
    except WeightsError as error:
        raise WeightsError(f"{spec.name} ({spec.source}): {error}") from error
    return keep_head


def _heads_elsewhere(
    heads: set[str],
    here: Mapping[str, int] | None,
    there: Mapping[str, int] | None,
) -> set[str]:
    """Return the names of head layers in a model for other data sets.

    Args:
        heads: Their names in this model.
        here: Classes by data set of this model's heads; None for one head.
        there: Those of the other model.
    """
    stems = set()
    for name in heads:
        for data_set in here or ():
            name = name.removesuffix(f"_{data_set}")
        stems.add(name)
    if not there:
        return stems
    return {f"{stem}_{data_set}" for stem in stems for data_set in there}


def _layer(key: str) -> str:
    return key.rpartition(".")[0]


def _without_dropped_streams(
    model: keras.Model, tensors: dict[str, Any]
) -> dict[str, Any]:
    kept = set(inspection.stream_layers(model))
    dropped = {"rgb", "flow"} - kept
    if dropped:
        dropped.add("fused")  # layers that join both
    return {
        key: value
        for key, value in tensors.items()
        if key.partition("_")[0] not in dropped
    }


def _of_more_frames(
    targets: Mapping[str, Any], tensors: dict[str, Any]
) -> dict[str, Any]:
    """Repeat kernels of one rgb image for a model that stacks several."""
    wide = dict(tensors)
    for key in tensors.keys() & targets.keys():
        if not _sees_one_image(tensors[key].shape):
            continue
        channels = targets[key].shape[-2]
        if channels > 3 and channels % 3 == 0:
            wide[key] = cross_modality(tensors[key], channels, how="tile")
    return wide


def _sees_one_image(shape: Sequence[int]) -> bool:
    return len(shape) >= 4 and shape[-2] == 3


def _announce(spec: WeightSpec, model: keras.Model, keep_head: bool) -> None:
    state = "the classifier is a fresh one, with random weights"
    if keep_head:
        state = "its classifier is untrained, as it was saved"
    advice.warning(
        "%s: %s. Train it (model.fit) before you predict: %s has %d outputs.",
        spec.name,
        state,
        model.name,
        len(inspection.class_names(model)),
    )
