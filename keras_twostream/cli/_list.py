"""`keras-twostream list`: the available models and weights."""

import ast
import importlib.util
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from keras_twostream import pretrained, registry
from keras_twostream.cli import _console, _words
from keras_twostream.cli._options import debug_option, json_option
from keras_twostream.errors import UnknownNameError, did_you_mean
from keras_twostream.pretrained import _facts

_Listing = dict[str, list[pretrained.WeightSpec]]


@click.command("list")
@click.argument("pattern", default="*")
@json_option
@debug_option
def list_command(pattern: str, as_json: bool) -> None:
    """Name the models and their weights: what they know, and how well.

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
        _console.print_json(_document(models))
        return
    _console.out.print(_table(models))
    _console.out.print(
        "\n[green]●[/green] [dim]names actions as it is  ○ needs training "
        "first  -  keras-twostream info NAME tells more[/dim]"
    )


def _matching(pattern: str) -> _Listing:
    """Return matching models with all weights, others with matching ones."""
    whole = registry.list_models(pattern)
    listing: _Listing = {name: pretrained.list_weights(name) for name in whole}
    for weight in pretrained.list_weights(pattern):
        if weight.architecture not in whole:
            listing.setdefault(weight.architecture, []).append(weight)
    return dict(sorted(listing.items()))


def _document(models: _Listing) -> dict[str, Any]:
    rows = [
        {
            "name": name,
            "summary": _summary(name),
            "source": registry.model_source(name),
            "weights": [_facts.facts(weight) for weight in weights],
        }
        for name, weights in models.items()
    ]
    return {"models": rows}


def _table(models: _Listing) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, weights in models.items():
        table.add_row(f"[bold]{name}[/bold]", _summary(name))
        for weight in weights:
            mark = "[green]●[/green]" if weight.head_trained else "○"
            table.add_row(f"  {mark} {weight.name}", _words_of(weight))
        if not weights:
            table.add_row("", "[dim]no public weights; train it anew[/dim]")
    return table


def _words_of(weight: pretrained.WeightSpec) -> Text:
    default = "default; " if weight.default else ""
    return Text(default + _words.weight(weight), style="dim")


def _summary(name: str) -> str:
    """Return the first line of the model's file, without importing it."""
    if registry.model_source(name) != "keras_twostream":
        return f"from {registry.model_source(name)}"
    spec = importlib.util.find_spec(f"keras_twostream.models._{name}")
    if spec is None or spec.origin is None:
        return ""
    text = Path(spec.origin).read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
