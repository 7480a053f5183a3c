"""Facts of a weight: its classes, accuracy, size and terms of use."""

from collections.abc import Mapping
from typing import Any

from keras_twostream._printing import percent
from keras_twostream.pretrained._spec import UNSPECIFIED, WeightSpec

_PINS = {
    "whole hash": "pinned",
    "part of it": "pinned by a part of its hash",
    "first download": "hash unknown, its first download is held to",
}


def facts(spec: WeightSpec) -> dict[str, Any]:
    """Return the facts of a weight as JSON-compatible values."""
    return {
        "name": spec.name,
        "task": spec.task,
        "data": spec.data,
        "streams": list(spec.streams),
        "origin": spec.origin,
        "head_trained": spec.head_trained,
        "classes": spec.num_classes,
        "accuracy": headline(spec),
        "size": size(spec),
        "license": spec.license,
        "data_terms": spec.data_terms,
        "pin": spec.pin,
        "address_inferred": spec.address_inferred,
        "source": spec.source,
        "default": spec.default,
        "provider": spec.provider,
        "metrics": [dict(row) for row in spec.metrics],
        "note": spec.note,
    }


def headline(spec: WeightSpec) -> dict[str, Any] | None:
    """Return the result that stands for a weight: of all its streams.

    Of several, the first that is not a top-5 accuracy.
    """
    rows = [
        {**row, "source": source_of(spec, row)}
        for row in spec.metrics
        if _is_share(row.get("value"))
        and "top-5" not in str(row.get("name", ""))
    ]
    return max(rows, key=_breadth, default=None)


def source_of(spec: WeightSpec, metric: Mapping[str, Any]) -> str:
    """Return "published" for others' results, "measured" for our own."""
    ours = "measured" if spec.origin == "trained" else "published"
    return str(metric.get("source", ours))


def size(spec: WeightSpec) -> int:
    """Return the bytes of all files; 0 where one is not known."""
    sizes = [file.size for file in spec.all_files]
    return sum(sizes) if all(sizes) else 0


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _breadth(row: Mapping[str, Any]) -> int:
    # A row that names no streams is of all of them.
    return str(row.get("streams", "rgb+flow")).count("+")


# === Words ===


def knows(spec: WeightSpec) -> str:
    """Say what a weight knows, as "400 actions of Kinetics-400"."""
    of = "" if spec.data == UNSPECIFIED else f" of {spec.data}"
    if not spec.head_trained:
        return f"features{of}; train a classifier"
    count = f"{spec.num_classes} " if spec.num_classes else ""
    return f"{count}actions{of}"


def terms(spec: WeightSpec) -> str:
    """Name the licence, or say that there is none."""
    return "no licence" if spec.license == UNSPECIFIED else spec.license


def data_terms(spec: WeightSpec) -> str:
    """Say on which terms the training data may be used, if that is known."""
    if spec.data_terms == UNSPECIFIED:
        return "terms of its data not stated"
    return f"data: {spec.data_terms}"


def accuracy(spec: WeightSpec) -> str:
    """Say how right a weight is, by which protocol; "" where unknown."""
    row = headline(spec)
    if row is None:
        return ""
    where = " ".join(
        str(row[key]) for key in ("dataset", "split") if row.get(key)
    )
    how = f": {row['protocol']}" if row.get("protocol") else ""
    return (
        f"{percent(row['value'])} {row.get('name', 'accuracy')}"
        f"{where and ' on '}{where} ({row['source']}{how})"
    )


def megabytes(spec: WeightSpec) -> str:
    """Say how large the files are."""
    known = size(spec)
    return f"{known / 1e6:.1f} MB" if known else "size unknown"


def pinned(spec: WeightSpec) -> str:
    """Say how sure the bytes are, and whether the address is."""
    words = _PINS[spec.pin]
    if spec.address_inferred:
        words += "; its address is inferred and was never seen"
    return words
