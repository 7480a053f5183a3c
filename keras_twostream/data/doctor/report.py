"""Findings of an examination, and their report."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Finding:
    """A problem of a data set, or a remark about it.

    Attributes:
        problem: Whether it is a problem to solve; otherwise it is a remark.
        text: Description of the finding.
        advice: Recommended action.
        where: The files, folders or names concerned.
    """

    problem: bool
    text: str
    advice: str
    where: tuple[str, ...] = ()


class Report:
    """The findings about one path.

    Attributes:
        path: The path that was examined.
        layout: Kind of data, in words.
        facts: Counts and settings, by name.
        findings: Findings in the order they were made.
    """

    def __init__(self, path: Path, layout: str) -> None:
        self.path, self.layout = path, layout
        self.facts: dict[str, Any] = {}
        self.findings: list[Finding] = []

    @property
    def healthy(self) -> bool:
        """Return whether there is no problem."""
        return not any(finding.problem for finding in self.findings)

    def problem(
        self, text: str, advice: str, where: Iterable[Any] = ()
    ) -> None:
        """Add a problem; does nothing where `where` is an empty list."""
        self._add(True, text, advice, where)

    def remark(self, text: str, advice: str, where: Iterable[Any] = ()) -> None:
        """Add a remark; does nothing where `where` is an empty list."""
        self._add(False, text, advice, where)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-compatible values."""
        return {
            "path": str(self.path),
            "layout": self.layout,
            "healthy": self.healthy,
            "facts": self.facts,
            "findings": [
                {**dataclasses.asdict(finding), "where": list(finding.where)}
                for finding in self.findings
            ],
        }

    def _add(self, problem: bool, text: str, advice: str, where) -> None:
        if isinstance(where, list) and not where:
            return
        self.findings.append(
            Finding(problem, text, advice, tuple(map(str, where)))
        )
