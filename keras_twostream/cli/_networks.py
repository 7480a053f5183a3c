"""Facts of a network that need it built: its clip, size, cost and taps.

Building takes a backend, which takes seconds to import. So the facts of the
catalogue's networks are kept beside it, in `networks.json`; others are built.
"""

import functools
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_twostream import _files, pretrained, registry
from keras_twostream.cli import _words
from keras_twostream.pretrained import _catalogue, _folder
from keras_twostream.pretrained._spec import OURS

KEPT = "networks.json"
_OF_LOAD = ("weights", "classes")  # which `load` takes beside the builder's


def facts(name: str) -> dict[str, Any]:
    """Return the facts of an architecture, a weight or a folder.

    Raises:
        UnknownNameError: If there is none of this name.
    """
    if ":" not in name and (entry := _kept().get(_key(name))):
        return entry
    return described(build(name))


def check_options(name: str, options: Iterable[str]) -> None:
    """Refuse names of options that a network of the catalogue lacks.

    Those of plugins are known to their builders alone, which need a backend.

    Args:
        name: A name that `load` takes.
        options: Names of options.

    Raises:
        UnknownNameError: If there is no network or option of a name.
    """
    if name.startswith("hf:"):
        return
    if name.startswith("local:"):
        config = Path(name.removeprefix("local:")) / _folder.CONFIG
        architecture = _folder.read_config(config).get("architecture", "")
    else:
        architecture = architecture_of(name)
    if entry := _kept().get(_key(architecture)):
        known = (*entry["options"], *_OF_LOAD)
        registry.refuse_unknown_options(architecture, options, known)


def options() -> set[str]:
    """Return the options of all networks of the catalogue."""
    return {name for entry in _kept().values() for name in entry["options"]}


def architecture_of(name: str) -> str:
    """Return the architecture of a name, without importing it.

    Raises:
        UnknownNameError: If there is none of this name.
    """
    if "." in name:
        return pretrained.weight_spec(name).architecture
    if name not in registry.list_models():
        registry.model_entry(name)  # says so, with the closest names
    return name


def build(name: str) -> Any:
    """Build the model without its weights, unless it lies in a folder."""
    if ":" in name:
        from keras_twostream import hub

        return hub.load(name)
    if "." not in name:
        return registry.model_entry(name).builder()
    spec = pretrained.weight_spec(name)
    entry = registry.model_entry(spec.architecture)
    options = dict(spec.options)
    if "clip_spec" in entry.options:
        options["clip_spec"] = {
            **spec.clip_spec,
            **(options.get("clip_spec") or {}),
        }
    return entry.builder(**options)


def described(model: Any) -> dict[str, Any]:
    """Return the facts of a built model as JSON-compatible values."""
    from keras_twostream import costs, inspection, outlines

    card = inspection.card(model)
    entry = registry.model_entry(card["architecture"])
    measured = costs.costs(model)
    return _plain(
        {
            "architecture": card["architecture"],
            "paper": entry.paper,
            "options": entry.options,
            "built_with": _changed(entry.options, card["options"]),
            "clip": _words.clip(inspection.clip_spec(model)),
            "clip_spec": inspection.clip_spec(model).to_json(),
            "parameters": measured.parameters,
            "parameters_by_stream": _by_stream(model),
            "weight_bytes": measured.weight_bytes,
            "activation_bytes": measured.activation_bytes,
            "flops": measured.flops,
            "stages": [
                stage.to_json() for stage in outlines.stages(model, measured)
            ],
            "taps": inspection.tap_names(model),
            "classes": card.get("classes"),
        }
    )


def _changed(
    defaults: Mapping[str, Any], built: Mapping[str, Any]
) -> dict[str, Any]:
    """Return options that differ from the builder's own."""
    defaults = _plain(defaults)
    return {k: v for k, v in built.items() if v != defaults.get(k)}


def _by_stream(model: Any) -> dict[str, int]:
    """Count trainable parameters of the layers named after a stream."""
    sizes: dict[str, int] = {}
    for weight in model.trainable_weights:
        stream = weight.path.partition("_")[0]
        if stream in ("rgb", "flow", "fused"):
            size = math.prod(weight.shape)
            sizes[stream] = sizes.get(stream, 0) + size
    return sizes if len(sizes) > 1 else {}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


# === Kept facts ===


@functools.cache
def _kept() -> Mapping[str, dict[str, Any]]:
    path = _place()
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _place() -> Path:
    return _catalogue.catalogue_folder() / KEPT


def _key(name: str) -> str:
    """Return the name of a network's facts: a hash of what shapes it."""
    architecture = architecture_of(name)
    shape: list[Any] = [architecture]
    if "." in name:
        spec = pretrained.weight_spec(name)
        shape += [dict(spec.options), dict(spec.clip_spec)]
    text = json.dumps(_plain(shape), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{architecture}-{digest}"


def keep(*, anew: bool = False) -> Iterator[str]:
    """Write the facts of the catalogue's networks; yield names as built.

    Each is written when it is built, so that a stopped run goes on.
    """
    names = {_key(name): name for name in _names()}
    known = {} if anew else {k: v for k, v in _kept().items() if k in names}
    for key, name in names.items():
        if key not in known:
            known[key] = described(build(name))
            _files.write_text(_place(), _text(known))
            yield name
    _kept.cache_clear()


def _text(known: Mapping[str, Any]) -> str:
    """Return the facts as JSON, a line for each network."""
    lines = [
        f"{json.dumps(key)}: {json.dumps(known[key])}" for key in sorted(known)
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _names() -> Iterator[str]:
    for name in registry.list_models():
        if registry.model_source(name) == OURS:
            yield name
    for spec in pretrained.list_weights():
        if spec.provider == OURS:
            yield spec.name
