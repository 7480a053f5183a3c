"""Model cards, the descriptions of published weights."""

import hashlib
import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from keras_twostream._printing import printable
from keras_twostream.errors import TwoStreamError
from keras_twostream.pretrained import _catalogue
from keras_twostream.pretrained._spec import DETECTORS, UNSPECIFIED

PLACEHOLDER = "local:."
LIBRARY = "keras-twostream"

_TASK = "video-classification"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_AT_AN_EDGE = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])")  # emphasis
_SEAL = re.compile(r"<!-- keras-twostream card ([0-9a-f]{16}) -->\n\Z")


def card_text(config: Mapping[str, Any], address: str = PLACEHOLDER) -> str:
    """Return a README.md with the Hub's metadata, from a folder's config.

    Args:
        config: The config.json, with `datasets` if they are on the Hub.
        address: Address in the usage snippet, such as "hf://user/repo".

    Returns:
        YAML between lines of dashes, Markdown, and a seal that shows whether
        the card has been changed since.
    """
    lines = [
        "---",
        _metadata(config).to_yaml(),
        "---",
        "",
        f"# {_markdown(_title(config))}",
        "",
        *_introduction(config),
        *_usage(config, address),
        *_expectations(config),
        *_clip(config),
        *_classes(config),
        *_metrics(config),
        *_terms(config),
    ]
    text = "\n".join(lines).rstrip() + "\n\n"
    return f"{text}<!-- {LIBRARY} card {_digest(text)} -->\n"


def is_generated(text: str) -> bool:
    """Return whether a card is unchanged since `card_text` wrote it."""
    seal = _SEAL.search(text)
    return seal is not None and seal[1] == _digest(text[: seal.start()])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


# === Metadata (YAML) ===


def _metadata(config: Mapping[str, Any]) -> ModelCardData:
    known = config["license"] != UNSPECIFIED
    results = [_result(row) for row in config.get("metrics") or ()]
    return ModelCardData(
        license=printable(config["license"]) if known else None,
        library_name=LIBRARY,
        pipeline_tag=_TASK,
        tags=["action-recognition", "optical-flow", config["architecture"]],
        base_model=_base_repository(config.get("base") or ""),
        datasets=list(config.get("datasets") or ()) or None,
        model_name=config["architecture"] if results else None,
        eval_results=results or None,
        ignore_metadata_errors=True,
    )


def _result(row: Mapping[str, Any]) -> EvalResult:
    dataset = printable(row.get("dataset") or "unnamed")
    name = printable(row.get("name") or "accuracy")
    how = (row.get("streams"), row.get("protocol"))
    protocol = printable(", ".join(str(part) for part in how if part))
    return EvalResult(
        task_type=_TASK,
        dataset_type=dataset,
        dataset_name=dataset,
        dataset_split=printable(row.get("split") or "test"),
        metric_type=name,
        metric_value=row.get("value"),
        metric_name=f"{name} ({protocol})" if protocol else name,
    )


def _base_repository(base: str) -> str | None:
    """Return the Hub repository of the weights that training started from."""
    address = base.removeprefix("hf://").partition("@")[0]
    if _REPOSITORY.fullmatch(address):
        return address
    try:
        return _catalogue.weight_spec(base).repo_id or None
    except TwoStreamError:
        return None


# === Text (Markdown) ===


def _markdown(text: Any) -> str:
    """Return text escaped to show literally, without markup, on one line."""
    plain = html.escape(printable(" ".join(str(text).split())), quote=False)
    plain = re.sub(r"([\\`*\[\]|]|~(?=\S)|(?<=\S)~)", r"\\\1", plain)
    plain = _AT_AN_EDGE.sub(lambda run: r"\_" * len(run[0]), plain)
    return re.sub(r"^(\d*)([-+#=.)])(?=\s|[-=#]|$)", r"\1\\\2", plain)


def _title(config: Mapping[str, Any]) -> str:
    return config.get("name") or config["architecture"]


def _introduction(config: Mapping[str, Any]) -> list[str]:
    lines = []
    if config.get("note"):
        lines += [_markdown(config["note"]), ""]
    if config.get("paper"):
        lines += [f"Network: {_markdown(config['paper'])}.", ""]
    origin = {
        "trained": "Trained with keras_twostream",
        "converted": "Converted from other software",
        "inflated": "Inflated from images to video, not trained on video",
    }[config["origin"]]
    base = f", from {_markdown(config['base'])}" if config.get("base") else ""
    return [*lines, f"{origin}{base}.", ""]


def _usage(config: Mapping[str, Any], address: str) -> list[str]:
    if config["head_trained"] and config["architecture"] in DETECTORS:
        lines = [
            f'for tube in kts.detect("video.mp4", "{address}"):',
            "    print(tube.label, tube.seconds, tube.confidence)",
        ]
    elif config["head_trained"]:
        heads = list(config["options"].get("heads") or ())
        which = f', head="{heads[0]}"' if len(heads) > 1 else ""
        lines = [
            f'model = kts.load("{address}")',
            f'print(kts.predict("video.mp4", model{which}))',
        ]
    else:
        lines = [
            f'model = kts.load("{address}", num_classes=51)',
            "print(kts.clip_spec(model))  # the clips to train it on",
        ]
    head = ["## Use", "", f"`pip install {LIBRARY}`, then:", ""]
    head += ["```python", "import keras_twostream as kts", ""]
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
        measured = "It names the classes below, as well as its results say."
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
    rows = [_row((key, spec[key])) for key in wanted if key in spec]
    if not rows:
        return []
    return ["## The clip it takes", "", "| | |", "|---|---|", *rows, ""]


def _classes(config: Mapping[str, Any]) -> list[str]:
    rows = [("", config.get("classes") or ())]
    rows += [
        (f"{_markdown(head)}, ", names)
        for head, names in (config.get("head_classes") or {}).items()
    ]
    lines = []
    for head, names in rows:
        if names:
            shown = ", ".join(map(_markdown, names[:60]))
            shown += ", ..." if len(names) > 60 else ""
            lines += [f"{head}{len(names)}: {shown}", ""]
    return ["## Classes", "", *lines] if lines else []


def _metrics(config: Mapping[str, Any]) -> list[str]:
    rows = config.get("metrics") or ()
    if not rows:
        return []
    header = ["dataset", "split", "name", "value", "protocol"]
    if any(row.get("streams") for row in rows):
        header.insert(2, "streams")
    lines = ["## Results", "", _row(header), f"|{'---|' * len(header)}"]
    lines += [_row([row.get(key, "") for key in header]) for row in rows]
    return [*lines, ""]


def _row(cells: Iterable[Any]) -> str:
    return f"| {' | '.join(map(_markdown, cells))} |"


def _terms(config: Mapping[str, Any]) -> list[str]:
    weights, data = map(_markdown, (config["license"], config["data_terms"]))
    return [
        "## Terms",
        "",
        f"Weights: {weights}. Training data: {data}",
        "",
    ]
