"""Model cards: what people read before they download."""

import json
import re
from collections.abc import Mapping
from typing import Any

PLACEHOLDER = "local:."

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def card_text(config: Mapping[str, Any], address: str = PLACEHOLDER) -> str:
    """A README.md with the Hub's metadata, from a folder's config.

    Args:
        config: As in config.json, with `datasets` if they are on the Hub.
        address: What the usage snippet loads, as "hf://user/repo".

    Returns:
        YAML between lines of dashes, then Markdown.
    """
    lines = [
        "---",
        *_metadata(config),
        "---",
        "",
        f"# {_title(config)}",
        "",
        *_introduction(config),
        *_usage(config, address),
        *_expectations(config),
        *_clip(config),
        *_classes(config),
        *_metrics(config),
        *_terms(config),
    ]
    return "\n".join(lines).rstrip() + "\n"


# === Metadata (YAML) ===


def _metadata(config: Mapping[str, Any]) -> list[str]:
    lines = [
        f"license: {_quoted(config['license'])}",
        "library_name: keras",
        "pipeline_tag: video-classification",
        "tags:",
        "- keras_twostream",
        "- action-recognition",
        "- optical-flow",
        f"- {config['architecture']}",
    ]
    if _REPOSITORY.fullmatch(config.get("base", "")):
        lines.append(f"base_model: {_quoted(config['base'])}")
    if config.get("datasets"):
        lines += ["datasets:", *_items(config["datasets"])]
    if config.get("metrics"):
        lines += _model_index(config)
    return lines


def _model_index(config: Mapping[str, Any]) -> list[str]:
    lines = ["model-index:", f"- name: {config['architecture']}", "  results:"]
    for row in config["metrics"]:
        dataset = _quoted(row.get("dataset", "unnamed"))
        name = row.get("name", "accuracy")
        protocol = row.get("protocol", "")
        lines += [
            "  - task:",
            "      type: video-classification",
            "    dataset:",
            f"      name: {dataset}",
            f"      type: {dataset}",
            f"      split: {_quoted(row.get('split', 'test'))}",
            "    metrics:",
            f"    - type: {_quoted(name)}",
            f"      value: {json.dumps(row.get('value'))}",
            f"      name: {_quoted(f'{name} ({protocol})')}",
        ]
    return lines


def _items(values: Any) -> list[str]:
    return [f"- {_quoted(value)}" for value in values]


def _quoted(value: Any) -> str:
    """A YAML string; JSON's quoting is a part of YAML's."""
    return json.dumps(str(value), ensure_ascii=False)


# === Text (Markdown) ===


def _title(config: Mapping[str, Any]) -> str:
    return config.get("name") or config["architecture"]


def _introduction(config: Mapping[str, Any]) -> list[str]:
    lines = []
    if config.get("note"):
        lines += [config["note"], ""]
    if config.get("paper"):
        lines += [f"Network: {config['paper']}.", ""]
    origin = {
        "trained": "Trained with keras_twostream",
        "converted": "Converted from other software",
        "inflated": "Inflated from images to video, not trained on video",
    }[config["origin"]]
    base = f", from {config['base']}" if config.get("base") else ""
    return [*lines, f"{origin}{base}.", ""]


def _usage(config: Mapping[str, Any], address: str) -> list[str]:
    if config["head_trained"]:
        lines = [
            f'model = kts.load("{address}")',
            'print(kts.predict("video.mp4", model))',
        ]
    else:
        lines = [
            f'model = kts.load("{address}", num_classes=51)',
            "print(kts.clip_spec(model))  # the clips to train it on",
        ]
    head = ["## Use", "", "```python", "import keras_twostream as kts", ""]
    return [*head, *lines, "```", ""]


_INFLATED = (
    "The layers know still images: in the middle of a clip without motion "
    "they give the image network's features. What motion means is yet to be "
    "learned."
)
_CONVERTED = (
    "The layers know images, those of a flow stream too, whose first one is "
    "adapted to flow's channels."
)
_UNTRAINED = (
    "The classifier starts at random: train it before you predict. No "
    "accuracy comes with these weights."
)
_UNMEASURED = (
    "It names the classes below. No accuracy is stated: measure it on videos "
    "of your own before you rely on it."
)


def _expectations(config: Mapping[str, Any]) -> list[str]:
    lines = ["## What to expect", ""]
    if config["head_trained"]:
        measured = "It names the classes below, as well as measured there."
        lines.append(measured if config.get("metrics") else _UNMEASURED)
    else:
        known = {"inflated": _INFLATED, "converted": _CONVERTED}
        lines += [known.get(config["origin"], ""), _UNTRAINED]
    return [*lines, ""]


def _clip(config: Mapping[str, Any]) -> list[str]:
    spec = config.get("clip_spec") or {}
    wanted = (
        "streams",
        "clip_length",
        "temporal_stride",
        "frame_rate",
        "short_side",
        "crop",
        "flow_length",
        "flow_algorithm",
        "flow_bound",
    )
    rows = [f"| {key} | {spec[key]} |" for key in wanted if key in spec]
    if not rows:
        return []
    return ["## What it eats", "", "| | |", "|---|---|", *rows, ""]


def _classes(config: Mapping[str, Any]) -> list[str]:
    names = config.get("classes")
    if not names:
        return []
    shown = ", ".join(names[:60]) + (", ..." if len(names) > 60 else "")
    return ["## Classes", "", f"{len(names)}: {shown}", ""]


def _metrics(config: Mapping[str, Any]) -> list[str]:
    rows = config.get("metrics") or ()
    if not rows:
        return []
    header = ("dataset", "split", "name", "value", "protocol")
    lines = ["## Results", "", _row(header), _row(["---"] * len(header))]
    lines += [_row([row.get(key, "") for key in header]) for row in rows]
    return [*lines, ""]


def _row(cells: Any) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _terms(config: Mapping[str, Any]) -> list[str]:
    return [
        "## Terms",
        "",
        f"Weights: {config['license']}. Training data: {config['data_terms']}",
        "",
    ]
