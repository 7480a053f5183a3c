"""`keras-twostream info`: a model, its inputs and its cost."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from keras_twostream import _files, pretrained
from keras_twostream._printing import scaled
from keras_twostream.cli import _console, _networks, _words
from keras_twostream.cli._files import model_name
from keras_twostream.cli._options import debug_option, json_option
from keras_twostream.pretrained import _facts as _facts_of
from keras_twostream.pretrained import _select

_PLUMBING = ("input", "fold", "unfold")
_FEWEST_STAGES, _MOST_STAGES = 4, 16


@click.command("info")
@click.argument("name")
@click.option(
    "--recipe", is_flag=True, help="Print the paper's training recipe."
)
@click.option(
    "--stages",
    is_flag=True,
    help="Print shapes, parameters and multiply-adds by stage.",
)
@click.option(
    "--figure",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.svg",
    help="Draw the network.",
)
@json_option
@debug_option
def info_command(
    name: str,
    recipe: bool,
    stages: bool,
    figure: Path | None,
    as_json: bool,
) -> None:
    """Describe a model or a weight.

    NAME is as `keras-twostream list` prints it, or a run's or model's folder.
    """
    if recipe:
        if stages or figure:
            raise click.UsageError(
                "--recipe prints the recipe alone. Leave out --stages and "
                "--figure."
            )
        _print_recipe(name, as_json)
        return
    if figure and figure.suffix.lower() != ".svg":
        raise click.UsageError(
            f"--figure draws SVG. Name a file that ends in .svg. Received: "
            f"{figure}"
        )
    with _console.quiet():
        facts = _facts(model_name(name))
        if figure:
            _draw(facts, figure)
    if as_json:
        weights = [_facts_of.facts(weight) for weight in facts["weights"]]
        _console.print_json({**facts, "weights": weights})
        return
    _console.out.print(_stage_table(facts) if stages else _table(facts))


def _facts(name: str) -> dict[str, Any]:
    document = dict(_networks.facts(name))
    architecture = document.pop("architecture")
    weights = _weights(name, architecture)
    if "." in name or ":" in name:
        document["classes"] = weights[0].classes
        document["head_classes"] = _head_classes(weights[0])
    return {"name": name, **document, "weights": weights}


def _architecture(name: str) -> str:
    if ":" in name:
        return _select.resolve(name, _select.DEFAULT, {}).architecture
    return _networks.architecture_of(name)


def _head_classes(weight: pretrained.WeightSpec) -> dict[str, list[str]]:
    """Return the classes of each head, numbers where they have no names."""
    first = dict.fromkeys(list(weight.heads)[:1], weight.classes)
    named = {**first, **weight.head_classes}
    return {
        head: list(named.get(head) or map(str, range(count)))
        for head, count in weight.heads.items()
    }


def _weights(name: str, architecture: str) -> list[pretrained.WeightSpec]:
    if ":" in name:
        return [_select.resolve(name, _select.DEFAULT, {})]
    if "." in name:
        return [pretrained.weight_spec(name)]
    return pretrained.list_weights(architecture)


# === Printing ===


def _table(facts: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    rows = {
        "name": Text(facts["name"], style="bold"),
        "paper": facts["paper"],
        "takes": facts["clip"],
        "parameters": _parameters(facts),
        "memory": (
            f"{_words.size(facts['weight_bytes'])} of weights, and "
            f"{_words.size(facts['activation_bytes'])} of activations to "
            "train on one clip, in float32"
        ),
        "arithmetic": f"{scaled(facts['flops'], 'FLOP')} for one clip",
        "taps": "; ".join(_main_taps(facts["taps"])),
        "options": _options(facts["options"]),
        "built with": _options(facts["built_with"], without="clip_spec"),
        "knows": _known(facts),
        "weights": "\n".join(_weight_lines(facts["weights"])) or "none",
    }
    for title, words in rows.items():
        if words:
            table.add_row(
                title, Text(words) if isinstance(words, str) else words
            )
    return table


def _stage_table(facts: Mapping[str, Any]) -> Table:
    """Return the stages of a network, and the sums of what they cost."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_footer=True)
    footers = (
        "all",
        "",
        f"{facts['parameters']:,}",
        scaled(facts["flops"] / 2),
    )
    heads = ("stage", "gives", "parameters", "multiply-adds")
    sides: tuple[JustifyMethod, ...] = ("left", "left", "right", "right")
    for head, foot, side in zip(heads, footers, sides, strict=True):
        table.add_column(head, foot, justify=side, no_wrap=True)
    for stage in facts["stages"]:
        name = ".".join(filter(None, (stage["stream"], stage["name"])))
        cells = (
            f"{stage['parameters']:,}" if stage["parameters"] else "",
            scaled(stage["macs"]) if stage["macs"] else "",
        )
        table.add_row(name, " × ".join(map(str, stage["shape"])), *cells)
    return table


def _known(facts: Mapping[str, Any]) -> str:
    """Name the classes, in a line for each head where there are several."""
    heads = facts.get("head_classes") or {"": facts["classes"] or ()}
    lines = (
        (head, ", ".join(map(_words.readable, names)))
        for head, names in heads.items()
    )
    return "\n".join(": ".join(filter(None, line)) for line in lines)


def _draw(facts: Mapping[str, Any], path: Path) -> None:
    from keras_twostream.outlines import Stage
    from keras_twostream.visual import network_figure

    stages = list(map(Stage.from_json, facts["stages"]))
    _files.write_text(path, network_figure(stages, facts["name"]))


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


def _weight_lines(weights: Iterable[pretrained.WeightSpec]) -> list[str]:
    return [
        f"{weight.name}: {_words.weight(weight)}; "
        f"{_facts_of.data_terms(weight)}"
        for weight in weights
    ]


def _print_recipe(name: str, as_json: bool) -> None:
    with _console.quiet():
        from keras_twostream import training
    if name not in training.list_recipes():
        name = _architecture(model_name(name))
    values = training.load_recipe(name).to_dict()
    if as_json:
        _console.print_json(values)
        return
    _console.say(_files.to_toml(values))
