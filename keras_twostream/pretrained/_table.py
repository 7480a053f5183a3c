"""Tables of weights, for notebooks and the catalogue's results.csv."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from keras_twostream import _html
from keras_twostream.pretrained import _facts
from keras_twostream.pretrained._spec import WeightSpec

RESULTS = "results.csv"
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

# Columns narrow enough for a terminal; a notebook shows all.
_SHOWN = ("weight", "knows", "streams", "size", "license")


class WeightTable(list[WeightSpec]):
    """A list of WeightSpecs that reads as a table."""

    def __repr__(self) -> str:
        rows = [_cells(spec) for spec in self]
        if not rows:
            return "No weights."
        return "\n".join(
            _aligned([dict(zip(_SHOWN, _SHOWN, strict=True)), *rows])
        )

    def _repr_html_(self) -> str:
        rows = [_cells(spec) for spec in self]
        head = [*rows[0]] if rows else []
        return _html.table(head, [[*row.values()] for row in rows])


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
            "source": _facts.source_of(spec, metric),
            "license": spec.license,
        }


def _cells(spec: WeightSpec) -> dict[str, str]:
    return {
        "weight": spec.name + (" (default)" if spec.default else ""),
        "task": spec.task,
        "knows": _facts.knows(spec),
        "streams": " + ".join(spec.streams),
        "accuracy": _facts.accuracy(spec),
        "size": _facts.megabytes(spec),
        "license": spec.license,
        "pin": _facts.pinned(spec),
    }


def _aligned(rows: list[dict[str, str]]) -> Iterator[str]:
    """Yield the rows as lines of columns as wide as their longest cell."""
    widths = {key: max(len(row[key]) for row in rows) for key in _SHOWN}
    for row in rows:
        yield "  ".join(row[k].ljust(w) for k, w in widths.items()).rstrip()
