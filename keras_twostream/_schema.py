"""Checks of data that others wrote: TOML rows, config files, manifests."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_twostream.errors import (
    TwoStreamError,
    WeightsError,
    did_you_mean,
)

_OF_WEIGHTS = (
    "A folder of weights holds config.json and model.safetensors, as "
    "keras_twostream.save_pretrained writes them."
)


@dataclasses.dataclass(frozen=True)
class Rule:
    """The rule that one field must follow.

    Attributes:
        kind: Its type.
        item: The type of a list's items.
        choices: The values it may have.
        none: Whether it may be None.
        required: Whether it must be there.
        low: The least that a number, or a list's numbers, may be.
        high: The most.
        length: Number of items of a list.
    """

    kind: type
    item: type | None = None
    choices: tuple[str, ...] = ()
    none: bool = False
    required: bool = True
    low: float | None = None
    high: float | None = None
    length: int | None = None

    def broken_by(self, value: Any) -> str:
        """Return the fault of `value`, or an empty string."""
        if value is None and self.none:
            return ""
        if not _is(value, self.kind):
            return f"must be {self.kind.__name__}"
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}"
        if self.item and not all(_is(item, self.item) for item in value):
            return f"must be a list of {self.item.__name__}"
        if self.length is not None and len(value) != self.length:
            return f"must have {self.length} items"
        several = value if isinstance(value, list) else [value]
        if not all(map(self._in_bounds, several)):
            return f"must lie in {self.low}..{self.high}"
        return ""

    def _in_bounds(self, number: Any) -> bool:
        """Return whether a number lies in the bounds; nan never does."""
        if self.low is None or self.high is None:
            return True
        return bool(self.low <= number <= self.high)


def check(
    values: Any,
    rules: Mapping[str, Rule],
    path: Path | str,
    error: type[TwoStreamError] = WeightsError,
) -> dict[str, Any]:
    """Return the values, when each field follows its rule.

    Raises:
        TwoStreamError: Raised as `error`, if a field is unknown, missing
            or of a wrong type.
    """
    if not isinstance(values, Mapping):
        raise error(f"{path} must hold fields. Received: {_short(values)}")
    unknown = sorted(map(str, set(values) - set(rules)))
    if unknown:
        raise error(
            f"{path} has an unknown field {_short(unknown[0])}."
            f"{did_you_mean(unknown[0], rules)}"
        )
    for field, rule in rules.items():
        if field not in values:
            if rule.required:
                raise error(f"{path} lacks the field `{field}`.")
        elif problem := rule.broken_by(values[field]):
            raise error(
                f"`{field}` in {path} {problem}. "
                f"Received: {_short(values[field])}"
            )
    return dict(values)


def read_text(
    path: Path,
    max_bytes: int,
    error: type[TwoStreamError] = WeightsError,
    hint: str = _OF_WEIGHTS,
) -> str:
    """Return a small text file in UTF-8.

    Raises:
        TwoStreamError: Raised as `error`, if the file is missing, no
            regular file, too large or not UTF-8.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would never end
            raise error(f"{path} is not a file. It was not read.")
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as cause:
        raise error(f"Cannot read {path}: {cause.strerror}. {hint}") from cause
    if len(data) > max_bytes:
        raise error(
            f"{path} is larger than {max_bytes} bytes, which no file of its "
            "kind is. It was not read."
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise error(f"{path} is not UTF-8 text: {cause}.") from cause


def parse_json(
    text: str | bytes,
    path: Path | str,
    error: type[TwoStreamError] = WeightsError,
) -> Any:
    """Return the value that a JSON text holds.

    Raises:
        TwoStreamError: Raised as `error`, if it is damaged, or nested too
            deeply.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as cause:
        raise error(f"{path} is damaged: {cause}.") from cause


def _is(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, kind)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
