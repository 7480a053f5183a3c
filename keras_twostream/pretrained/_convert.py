"""Conversion of foreign tensors: renamed, transposed and adapted.

Every tensor is accounted for."""

import fnmatch
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_twostream.errors import WeightsError, did_you_mean
from keras_twostream.pretrained import _adapt
from keras_twostream.pretrained._variables import check_keys
from keras_twostream.pretrained.keymaps import HEAD, LAYOUTS, KeyMap
from keras_twostream.spec import STREAMS

Tensors = Mapping[str, np.ndarray]


def key_map(layout: str) -> KeyMap:
    """Return the key map of a layout.

    Raises:
        WeightsError: If there is none of this name.
    """
    if layout not in LAYOUTS:
        raise WeightsError(
            f"There is no layout named {layout!r}."
            f"{did_you_mean(layout, LAYOUTS)}"
        )
    return LAYOUTS[layout]


def canonical(tensors: Tensors, layout: str) -> dict[str, np.ndarray]:
    """Return arrays by our keys without stream, in Keras's axis order.

    Args:
        tensors: Arrays by the file's keys.
        layout: Name of the key map.

    Returns:
        A dict from "conv1.kernel", "head.bias", ... to arrays.
    """
    rules = key_map(layout)
    values = {}
    for key, name in rules.rename(tensors).items():
        array = np.asarray(tensors[key])
        if rules.torch:
            array = _unflattened(array, rules.flattened.get(name))
            array = _adapt.from_torch(array)
        values[name] = array
    return rules.finish(values)


def adapt(
    sources: Mapping[str, Tensors],
    shapes: Mapping[str, tuple[int, ...]],
    heads: Iterable[str],
    adaptation: Mapping[str, Any],
    frames: int = 1,
) -> dict[str, np.ndarray]:
    """Match canonical tensors to the variables of a model.

    Args:
        sources: Canonical tensors by stream; "" serves every stream.
        shapes: Shape of each variable wanted, by key.
        heads: Names of the model's head layers.
        adaptation: A WeightSpec's: `time`, `channels`, `fold_gamma`;
            `fresh`, patterns of keys that keep their initial values, and
            `widened`, of those that do so where they have more inputs than
            the source.
        frames: Frames that the rgb stream stacks at a step. A kernel of one
            is tiled for them, whatever `channels` is for flow.

    Returns:
        Arrays by key, without the fresh ones.

    Raises:
        WeightsError: If a variable has no source, or a source no variable.
    """
    if adaptation.get("fold_gamma"):
        sources = {s: _adapt.fold_gamma(dict(t)) for s, t in sources.items()}
    fresh = adaptation.get("fresh", ())
    heads = set(heads)
    sources = _without_absent(sources, shapes)
    wanted = [key for key in shapes if not _matches(key, fresh)]
    tensors, used, widened = {}, set(), set()
    for key in wanted:
        stream, name = _source_of(key, sources, heads)
        if name is None:
            continue
        used.add((stream, name))
        array = sources[stream][name]
        if _is_widened(key, array.shape, shapes[key], adaptation):
            widened.add(key)
            continue
        how = dict(adaptation)
        if key.startswith("rgb_") and shapes[key][-2:-1] == (3 * frames,):
            how["channels"] = "tile"
        tensors[key] = _adapt.fit(array, shapes[key], key, how)
    rest = _left_over(sources, used, adaptation)
    check_keys(set(wanted) - widened, [*tensors, *rest])
    return tensors


def _without_absent(
    sources: Mapping[str, Tensors], keys: Iterable[str]
) -> dict[str, Tensors]:
    """Drop one file's tensors of streams that the model lacks."""
    absent = set(STREAMS) - {key.partition("_")[0] for key in keys}
    return {
        stream: {
            name: array
            for name, array in tensors.items()
            if name.partition("_")[0] not in absent
        }
        for stream, tensors in sources.items()
    }


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _is_widened(
    key: str,
    source: tuple[int, ...],
    wanted: tuple[int, ...],
    adaptation: Mapping[str, Any],
) -> bool:
    if not _matches(key, adaptation.get("widened", ())):
        return False
    # A dense kernel may come as a convolution over the map it flattens.
    more = math.prod(wanted) > math.prod(source)
    return source[-1] == wanted[-1] and more


def _source_of(
    key: str, sources: Mapping[str, Tensors], heads: set[str]
) -> tuple[str, str | None]:
    """Return a variable's source tensor, by the longest matching ending."""
    layer, _, variable = key.rpartition(".")
    stream = layer.partition("_")[0]
    stream = stream if stream in sources else ""
    tensors = sources.get(stream, {})
    if layer in heads:
        for name in (f"{layer.partition('_')[0]}_{HEAD}", HEAD):
            if f"{name}.{variable}" in tensors:
                return stream, f"{name}.{variable}"
        return stream, None
    rest = layer
    while rest:
        if f"{rest}.{variable}" in tensors:
            return stream, f"{rest}.{variable}"
        rest = rest.partition("_")[2]
    return stream, None


def _left_over(
    sources: Mapping[str, Tensors],
    used: set[tuple[str, str]],
    adaptation: Mapping[str, Any],
) -> list[str]:
    """Return the source tensors not used, except the head and `unused`."""
    patterns = (f"{HEAD}.*", f"*_{HEAD}.*", *adaptation.get("unused", ()))
    return [
        f"{stream}:{name}" if stream else name
        for stream, tensors in sources.items()
        for name in tensors
        if (stream, name) not in used and not _matches(name, patterns)
    ]


def _unflattened(
    array: np.ndarray, volume: tuple[int, ...] | None
) -> np.ndarray:
    """Return a dense kernel after a flattened volume as a convolution."""
    if volume is None or array.ndim != 2:
        return array
    return array.reshape(len(array), *volume)
