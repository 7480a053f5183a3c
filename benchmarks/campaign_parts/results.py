"""Outcomes of a campaign, one line of JSON each, that a new call goes on."""

import collections
import json
from pathlib import Path
from typing import Any

LOST = (
    *("crash", "hang", "raw", "executed", "wrote outside"),
    *("half", "wrong", "nameless", "not resumed", "other result"),
)


class Results:
    """A file of outcomes.

    Args:
        path: The file; made if missing.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        text = path.read_text("utf-8") if path.exists() else ""
        lines = [line for line in text.split("\n") if line.endswith("}")]
        rows = [json.loads(line) for line in lines]
        # A case that was lost may have been tried again: the last counts.
        self._last: dict[tuple[str, int], dict[str, Any]] = {}
        for row in rows:
            self._last[row["sample"], row["number"]] = row

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The outcomes, one for each case."""
        return list(self._last.values())

    def has(self, sample: str, number: int) -> bool:
        """Return whether a case was tried, and not lost."""
        row = self._last.get((sample, number))
        return row is not None and row["verdict"] not in LOST

    def add(self, **row: Any) -> None:
        """Append a case."""
        self._last[row["sample"], row["number"]] = row
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def verdicts(self, sample: str) -> dict[str, int]:
        """Return how often each verdict was given on a sample."""
        of_it = [x["verdict"] for x in self.rows if x["sample"] == sample]
        return dict(collections.Counter(of_it))
