"""Write the pages of architectures and results from what the package says.

    keras-twostream weights networks --anew
    python docs/write_architectures.py

Tables of stages and figures come from the facts of built networks, which the
first command renews. A test holds the pages to what the second writes.
"""

import csv
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_twostream import list_models, list_weights, training
from keras_twostream._printing import scaled
from keras_twostream.cli import _networks
from keras_twostream.outlines import Stage
from keras_twostream.registry import model_entry
from keras_twostream.visual import network_figure

PAGES = Path(__file__).parent / "architectures"
RESULTS = Path(__file__).parents[1] / "weights" / "results.csv"

# The papers' own tests, as commands; RUN is a trained run or a weight's name.
PROTOCOLS = {
    "action_transformation": "evaluate RUN --data LIST --protocol whole",
    "c3d": "features RUN --data TRAIN --svm TEST --tap rgb.fc6 "
    "--clips all --step 8 --out features",
    "context_fovea": "evaluate RUN --data LIST --clips 20 --crops 4-crop",
    "fstcn": "evaluate RUN --data LIST --clips 10 --crops 18-crop",
    "i3d": "evaluate RUN --data LIST --option clip_length=250 --clips 1",
    "r2plus1d": "evaluate RUN --data LIST --clips 10",
    "spatiotemporal_multiplier": "evaluate RUN --data LIST "
    "--option clip_length=25 --option pool_window=7 "
    "--clips 1 --crops whole_mirrored",
    "spatiotemporal_resnet": "evaluate RUN --data LIST "
    "--option clip_length=25 --option pool_window=7 "
    "--clips 1 --crops whole_mirrored",
    "temporal_segment": "evaluate RUN --data LIST --option clip_length=25 "
    "--clips 1 --crops 10-crop",
    "two_stream_fusion": "evaluate RUN --data LIST --clips 20 "
    "--crops whole_mirrored",
}
INDEX = """# Architectures

With the paper's own options; multiply-adds are those of one clip.

| name | what | parameters | multiply-adds | paper |
|---|---|---:|---:|---|
"""
EVERY_RESULT = """---
hide: [navigation, toc]  # seven columns need the room
---

# Results

Every accuracy that is known of a weight, and the protocol behind it.
*published* is the authors' number, *measured* is ours. As a file:
[results.csv](https://github.com/keras-twostream/keras-twostream/blob/main/weights/results.csv).

"""
RESULT_COLUMNS = (
    "| weight | data, split | streams | metric | value | protocol | source |\n"
    "|---|---|---|---|---|---|---|"
)
FRAMES = "evaluate RUN --data LIST --clips 25 --crops 10-crop"


def pages() -> dict[str, str]:
    """Return the text of each page by its file's name."""
    names = [
        name
        for name in list_models()
        if model_entry(name).builder.__module__.startswith("keras_twostream.")
    ]
    return {
        "index.md": _index(names),
        "../results.md": EVERY_RESULT + "\n".join(_table(_rows())) + "\n",
        **{f"{name}.md": _page(name) for name in names},
        **{f"figures/{name}.svg": _figure(name) for name in names},
    }


def _index(names: list[str]) -> str:
    rows = [
        f"| [`{name}`]({name}.md) | {_first_line(name)} | "
        f"{_costs(_networks.facts(name))} | {model_entry(name).paper} |"
        for name in names
    ]
    return INDEX + "\n".join(rows) + "\n"


def _costs(facts: dict[str, Any]) -> str:
    adds = scaled(facts["flops"] / 2)
    return f"{facts['parameters'] / 1e6:.1f} M | {adds}"


def _page(name: str) -> str:
    parts = [
        f"# {name}",
        model_entry(name).paper + ".",
        "```text\n" + _module_text(name) + "\n```",
        _network(name),
        "## Options\n\n" + "\n".join(_options(name)),
        "## Weights\n\n" + "\n".join(_weights(name)),
        "## Accuracy\n\n" + "\n".join(_results(name)),
        "## Training\n\n" + _recipe(name),
        "## The paper's test\n\n```sh\nkeras-twostream "
        + PROTOCOLS.get(name, FRAMES)
        + "\n```",
    ]
    if name == "action_tubes":
        parts[-1] = (
            "## The paper's test\n\n```sh\nkeras-twostream detect VIDEO "
            "--model RUN\n```"
        )
    return "\n\n".join(parts) + "\n"


# === The network ===


def _figure(name: str) -> str:
    return network_figure(_stages(name), f"The stages of {name}")


def _network(name: str) -> str:
    """Return figure, cost and table of the network as its paper has it."""
    facts = _networks.facts(name)
    cost = (
        f"{facts['parameters']:,} trainable parameters; "
        f"{scaled(facts['flops'] / 2)} multiply-adds, that is "
        f"{scaled(facts['flops'], 'FLOPs')}, for one clip with the "
        "default options. Shapes are steps × height × width × channels; "
        "the number at the right of a box is its multiply-adds."
    )
    return "\n\n".join(
        [
            "## The network",
            f"![The stages of {name}](figures/{name}.svg)",
            cost,
            "\n".join(_stage_rows(_stages(name))),
        ]
    )


def _stages(name: str) -> list[Stage]:
    return [Stage.from_json(x) for x in _networks.facts(name)["stages"]]


def _stage_rows(stages: list[Stage]) -> Iterator[str]:
    """Yield a table; streams of equal shape share a row."""
    yield "| stage | output | parameters | multiply-adds |"
    yield "|---|---|---:|---:|"
    rows: dict[Any, list[Stage]] = {}
    for stage in stages:
        rows.setdefault((stage.name, stage.shape), []).append(stage)
    for (name, shape), alike in rows.items():
        alike.sort(key=lambda stage: stage.stream, reverse=True)
        streams = ", ".join(x.stream for x in alike if x.stream)
        yield (
            f"| `{name}`{f' ({streams})' if streams else ''} | "
            f"{' × '.join(map(str, shape))} | "
            f"{_sum(f'{x.parameters:,}' for x in alike)} | "
            f"{_sum(scaled(x.macs) for x in alike)} |"
        )


def _sum(terms: Iterator[str]) -> str:
    """Return numbers joined by plus, one where all are alike, "" for zeros."""
    numbers = [x for x in terms if x != "0"]
    if len(numbers) > 1 and len(set(numbers)) == 1:
        return f"{len(numbers)} × {numbers[0]}"
    return " + ".join(numbers)


# === What the package says ===


def _module_text(name: str) -> str:
    module = importlib.import_module(model_entry(name).builder.__module__)
    return inspect.getdoc(module) or ""


def _first_line(name: str) -> str:
    return _module_text(name).splitlines()[0].rstrip(".")


def _options(name: str) -> Iterator[str]:
    """A table of the builder's arguments and what its docstring says."""
    yield "| option | default | meaning |"
    yield "|---|---|---|"
    meanings = _arguments(inspect.getdoc(model_entry(name).builder) or "")
    for option, default in model_entry(name).options.items():
        meaning = meanings.get(option, "").replace("|", "\\|")
        shown = "" if default is inspect.Parameter.empty else f"`{default!r}`"
        yield f"| `{option}` | {shown} | {meaning} |"


def _arguments(docstring: str) -> dict[str, str]:
    """From argument to its meaning, of a docstring in Google's style."""
    section = docstring.partition("Args:\n")[2]
    section = re.split(r"\n\n(?=\S)", section)[0]
    found = re.split(r"^ {4}(\w+): ", section, flags=re.MULTILINE)[1:]
    return {
        option: " ".join(text.split())
        for option, text in zip(found[::2], found[1::2], strict=True)
    }


def _weights(name: str) -> Iterator[str]:
    weights = list_weights(name)
    if not weights:
        yield "No public weights are known."
        return
    yield "| weight | origin | licence | trained head | pin |"
    yield "|---|---|---|---|---|"
    for weight in weights:
        head = "yes" if weight.head_trained else "no"
        yield (
            f"| `{weight.name}` | {weight.origin} | {weight.license} | "
            f"{head} | {weight.pin} |"
        )


def _results(name: str) -> Iterator[str]:
    rows = [row for row in _rows() if row["architecture"] == name]
    if not rows:
        yield "No row of this network has a number yet."
        return
    yield from _table(rows)


def _rows() -> list[dict[str, str]]:
    with RESULTS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _table(rows: list[dict[str, str]]) -> Iterator[str]:
    yield RESULT_COLUMNS
    for row in rows:
        yield (
            f"| `{row['weight']}` | {row['dataset']}, {row['split']} | "
            f"{row['streams']} | {row['metric']} | {row['value']} | "
            f"{row['protocol']} | {row['source']} |"
        )


def _recipe(name: str) -> str:
    if name not in training.list_recipes():
        return "It has no recipe of its own and is trained by `finetune`."
    recipe = training.load_recipe(name)
    stages = len(recipe.staged())
    text = f"Recipe `{name}`: {recipe.source}."
    if stages > 1:
        text += f" It has {stages} stages, which `train` runs in order."
    notes = " ".join(recipe.notes.split())
    others = "\n".join(
        f"- `{other}`: {training.load_recipe(other).source}."
        for other in _further_recipes(name)
    )
    return "\n\n".join(part for part in (text, notes, others) if part)


def _further_recipes(name: str) -> list[str]:
    """Return recipes that are named after this network and no longer one."""
    owners = sorted(list_models(), key=len, reverse=True)

    def owner(recipe: str) -> str | None:
        begins = (x for x in owners if recipe.startswith(f"{x}_"))
        return next(begins, None)

    known = set(list_models())
    return [
        recipe
        for recipe in training.list_recipes()
        if recipe not in known and owner(recipe) == name
    ]


def main() -> None:
    """Write the pages."""
    (PAGES / "figures").mkdir(parents=True, exist_ok=True)
    for file, text in pages().items():
        (PAGES / file).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
