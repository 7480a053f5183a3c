"""`keras-twostream list`: the available models and weights."""

import ast
import importlib.util
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from keras_twostream import pretrained, registry
from keras_twostream.cli import _console, _words
from keras_twostream.cli._options import debug_option, json_option
from keras_twostream.errors import UnknownNameError, did_you_mean


@click.command("list")
@click.argument("pattern", default="*")
@json_option
@debug_option
def list_command(pattern: str, as_json: bool) -> None:
    """Name the models and their weights.

    PATTERN is shell-style, such as "*resnet*", for models or for weights.
    """
    models = _matching(pattern)
    if not models:
        names = registry.list_models()
        weights = [weight.name for weight in pretrained.list_weights()]
        raise UnknownNameError(
            f"No model or weight matches {pattern!r}."
            f"{did_you_mean(pattern, [*names, *weights])}"
        )
    if as_json:
        _console.print_json({"models": models})
        return
    _console.out.print(_table(models))
    _console.out.print(
        "\n[green]●[/green] [dim]names actions as it is  ○ needs training "
        "first  -  keras-twostream info NAME tells more[/dim]"
    )


def _matching(pattern: str) -> list[dict[str, Any]]:
    """Return matching models with all weights, others with matching ones."""
    whole = registry.list_models(pattern)
    found: dict[str, list[pretrained.WeightSpec]] = {
        name: pretrained.list_weights(name) for name in whole
    }
    for weight in pretrained.list_weights(pattern):
        if weight.architecture not in whole:
            found.setdefault(weight.architecture, []).append(weight)
    return [_describe(name, found[name]) for name in sorted(found)]


def _describe(
    name: str, weights: list[pretrained.WeightSpec]
) -> dict[str, Any]:
    return {
        "name": name,
        "summary": _summary(name),
        "source": registry.model_source(name),
        "weights": [_weight(weight) for weight in weights],
    }


def _weight(weight: pretrained.WeightSpec) -> dict[str, Any]:
    return {
        "name": weight.name,
        "origin": weight.origin,
        "head_trained": weight.head_trained,
        "classes": len(weight.classes or ()),
        "size": weight.size,
        "license": weight.license,
        "default": weight.default,
        "provider": weight.provider,
        "note": weight.note,
    }


def _table(models: list[dict[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for model in models:
        table.add_row(f"[bold]{model['name']}[/bold]", model["summary"])
        for weight in model["weights"]:
            mark = "[green]●[/green]" if weight["head_trained"] else "○"
            table.add_row(f"  {mark} {weight['name']}", _facts(weight))
        if not model["weights"]:
            table.add_row("", "[dim]no public weights; train it anew[/dim]")
    return table


def _facts(weight: dict[str, Any]) -> str:
    facts = [weight["origin"], weight["license"]]
    if weight["size"]:
        facts.append(_words.size(weight["size"]))
    if weight["default"]:
        facts.append("default")
    return f"[dim]{', '.join(facts)}[/dim]"


def _summary(name: str) -> str:
    """Return the first line of the model's file, without importing it."""
    if registry.model_source(name) != "keras_twostream":
        return f"from {registry.model_source(name)}"
    spec = importlib.util.find_spec(f"keras_twostream.models._{name}")
    if spec is None or spec.origin is None:
        return ""
    text = Path(spec.origin).read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
