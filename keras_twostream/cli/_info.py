"""`keras-twostream info`: a model, its inputs and its cost."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from keras_twostream import _files, pretrained, registry
from keras_twostream.cli import _console, _words
from keras_twostream.cli._files import model_name
from keras_twostream.cli._options import debug_option, json_option

_PLUMBING = ("input", "fold", "unfold")
_FEWEST_STAGES, _MOST_STAGES = 4, 16


@click.command("info")
@click.argument("name")
@click.option("--recipe", is_flag=True, help="Print how the paper trains it.")
@json_option
@debug_option
def info_command(name: str, recipe: bool, as_json: bool) -> None:
    """Describe a model or a weight.

    NAME is as `keras-twostream list` prints it, or a run's or model's folder.
    """
    if recipe:
        _print_recipe(name, as_json)
        return
    with _console.quiet():
        facts = _facts(model_name(name))
    if as_json:
        _console.print_json(facts)
        return
    _console.out.print(_table(facts))


def _facts(name: str) -> dict[str, Any]:
    from keras_twostream import costs, inspection

    model = _build(name)
    card = inspection.card(model)
    architecture = card["architecture"]
    measured = costs.costs(model)
    return {
        "name": name,
        "paper": registry.model_entry(architecture).paper,
        "options": _plain(registry.model_entry(architecture).options),
        "built_with": _changed(architecture, card["options"]),
        "clip": _words.clip(inspection.clip_spec(model)),
        "clip_spec": inspection.clip_spec(model).to_json(),
        "parameters": measured.parameters,
        "parameters_by_stream": _by_stream(model),
        "weight_bytes": measured.weight_bytes,
        "activation_bytes": measured.activation_bytes,
        "flops": measured.flops,
        "taps": inspection.tap_names(model),
        "classes": card.get("classes"),
        "weights": [_weight(w) for w in _weights(name, architecture)],
    }


def _build(name: str) -> Any:
    """Build the model without its weights, unless it lies in a folder."""
    if ":" in name:
        from keras_twostream import hub

        return hub.load(name)
    if "." not in name:
        return registry.model_entry(name).builder()
    from keras_twostream import inspection

    spec = pretrained.weight_spec(name)
    entry = registry.model_entry(spec.architecture)
    options = dict(spec.options)
    if "clip_spec" in entry.options:
        options["clip_spec"] = {
            **spec.clip_spec,
            **(options.get("clip_spec") or {}),
        }
    model = entry.builder(**options)
    inspection.update_card(model, classes=spec.classes)
    return model


def _weights(name: str, architecture: str) -> list[pretrained.WeightSpec]:
    pattern = architecture if "." not in name or ":" in name else name
    return pretrained.list_weights(pattern)


def _weight(weight: pretrained.WeightSpec) -> dict[str, Any]:
    return {
        "name": weight.name,
        "origin": weight.origin,
        "license": weight.license,
        "data_terms": weight.data_terms,
        "source": weight.source,
        "size": weight.size,
        "head_trained": weight.head_trained,
        "metrics": [dict(row) for row in weight.metrics],
        "note": weight.note,
    }


def _by_stream(model: Any) -> dict[str, int]:
    """Count trainable parameters of the layers named after a stream."""
    found: dict[str, int] = {}
    for weight in model.trainable_weights:
        stream = weight.path.partition("_")[0]
        if stream in ("rgb", "flow", "fused"):
            size = math.prod(weight.shape)
            found[stream] = found.get(stream, 0) + size
    return found if len(found) > 1 else {}


def _changed(architecture: str, built: Mapping[str, Any]) -> dict[str, Any]:
    """Return options that differ from the builder's own."""
    defaults = _plain(registry.model_entry(architecture).options)
    return {k: v for k, v in built.items() if v != defaults.get(k)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


# === Printing ===


def _table(facts: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    rows = {
        "name": Text(facts["name"], style="bold"),
        "paper": facts["paper"],
        "eats": facts["clip"],
        "parameters": _parameters(facts),
        "memory": (
            f"{_words.size(facts['weight_bytes'])} of weights, and "
            f"{_words.size(facts['activation_bytes'])} of activations to "
            "train on one clip, in float32"
        ),
        "arithmetic": f"{_words.scaled(facts['flops'], 'FLOP')} for one clip",
        "taps": "; ".join(_main_taps(facts["taps"])),
        "options": _options(facts["options"]),
        "built with": _options(facts["built_with"], without="clip_spec"),
        "knows": ", ".join(map(_words.readable, facts["classes"] or ())),
        "weights": "\n".join(_weight_lines(facts["weights"])) or "none",
    }
    for title, words in rows.items():
        if words:
            table.add_row(
                title, Text(words) if isinstance(words, str) else words
            )
    return table


def _parameters(facts: Mapping[str, Any]) -> str:
    streams = facts["parameters_by_stream"].items()
    apart = ", ".join(f"{stream} {count:,}" for stream, count in streams)
    return f"{facts['parameters']:,}" + (f" ({apart})" if apart else "")


def _main_taps(names: Iterable[str]) -> list[str]:
    """Return the stages of each stream, without the layers between them."""
    stages: dict[str, list[str]] = {}
    for name in names:
        stream, dot, stage = name.partition(".")
        if dot and stage not in _PLUMBING:
            stages.setdefault(stream, []).append(stage)
    return [f"{s}.{{{_few(inside)}}}" for s, inside in sorted(stages.items())]


def _few(stages: list[str]) -> str:
    named = [stage for stage in stages if "_" not in stage]
    named = named if len(named) >= _FEWEST_STAGES else stages
    if len(named) > _MOST_STAGES:
        half = _MOST_STAGES // 2
        named = [*named[:half], "...", *named[-half:]]
    return ", ".join(named)


def _options(options: Mapping[str, Any], without: str = "") -> str:
    shown = {k: v for k, v in options.items() if k != without}
    return ", ".join(f"{key}={value!r}" for key, value in shown.items())


def _weight_lines(weights: Iterable[Mapping[str, Any]]) -> list[str]:
    return [
        f"{weight['name']}: {weight['origin']}, {weight['license']}; "
        f"data: {weight['data_terms']}"
        for weight in weights
    ]


def _print_recipe(name: str, as_json: bool) -> None:
    with _console.quiet():
        from keras_twostream import training
    values = training.load_recipe(name.partition(".")[0]).to_dict()
    if as_json:
        _console.print_json(values)
        return
    _console.say(_files.to_toml(values))
