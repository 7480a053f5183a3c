"""Tables of weights, for notebooks and the catalogue's results.csv."""

import csv
import html
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from keras_twostream.pretrained._spec import WeightSpec

RESULTS = "results.csv"
_COLUMNS = ("weight", "data", "streams", "knows", "best result", "pin",
            "size", "license")  # fmt: skip
_RESULT_COLUMNS = (
    "weight",
    "architecture",
    "task",
    "streams",
    "trained_on",
    "dataset",
    "split",
    "metric",
    "value",
    "protocol",
    "source",
    "license",
)


class WeightTable(list[WeightSpec]):
    """A list of WeightSpecs that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        rows = [_cells(spec) for spec in self]
        lines = [_html_row("th", _COLUMNS)]
        lines += [_html_row("td", row.values()) for row in rows]
        return f"<table>{''.join(lines)}</table>"


def results_text(specs: Iterable[WeightSpec]) -> str:
    """Return every row's results as CSV, one per line, ordered by weight.

    `value` is a share of 1. `source` says whether the authors published it,
    or it was measured here.
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, _RESULT_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for spec in sorted(specs, key=lambda spec: spec.name):
        writer.writerows(_results(spec))
    return file.getvalue()


def _results(spec: WeightSpec) -> Iterator[dict[str, Any]]:
    for metric in spec.metrics:
        yield {
            "weight": spec.name,
            "architecture": spec.architecture,
            "task": spec.task,
            "streams": metric.get("streams", "+".join(spec.streams)),
            "trained_on": spec.data,
            "dataset": metric.get("dataset", ""),
            "split": metric.get("split", ""),
            "metric": metric.get("name", "accuracy"),
            "value": metric.get("value"),
            "protocol": metric.get("protocol", ""),
            "source": source_of(spec, metric),
            "license": spec.license,
        }


def source_of(spec: WeightSpec, metric: Mapping[str, Any]) -> str:
    """Return "published" for others' results, "measured" for our own."""
    ours = "measured" if spec.origin == "trained" else "published"
    return str(metric.get("source", ours))


def _cells(spec: WeightSpec) -> dict[str, str]:
    return {
        "weight": spec.name + (" (default)" if spec.default else ""),
        "data": spec.data,
        "streams": " + ".join(spec.streams),
        "knows": _knows(spec),
        "best result": _best(spec),
        "pin": spec.pin,
        "size": _size(spec),
        "license": spec.license,
    }


def _knows(spec: WeightSpec) -> str:
    if not spec.head_trained:
        return "features; train a classifier"
    return f"{len(spec.classes)} actions" if spec.classes else "actions"


def _best(spec: WeightSpec) -> str:
    if not spec.metrics:
        return ""
    metric = max(spec.metrics, key=lambda row: row.get("value") or 0)
    where = metric.get("dataset", "")
    return f"{metric.get('value')} {metric.get('name', '')}, {where}"


def _size(spec: WeightSpec) -> str:
    sizes = [file.size for file in spec.all_files]
    return f"{sum(sizes) / 1e6:.0f} MB" if all(sizes) else ""


def _html_row(tag: str, cells: Iterable[str]) -> str:
    inside = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
    return f"<tr>{inside}</tr>"
