"""The errors of the library, by name.

Every error the library raises on purpose derives from `TwoStreamError`, so a
caller can catch them all. Each message says the rule that was broken, what
was received, and what to do next. This module imports nothing else of the
package.
"""

import difflib
import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any


class TwoStreamError(Exception):
    """Base of every error that keras_twostream raises on purpose."""


class SpecError(TwoStreamError, ValueError):
    """A clip, a model option or an input without the stated form."""


class UnknownNameError(TwoStreamError, KeyError):
    """A model, weight, stream or layer name that does not exist."""

    def __str__(self) -> str:
        # KeyError prints the repr of its argument, which hides line breaks.
        return str(self.args[0]) if self.args else ""


class VideoError(TwoStreamError, OSError):
    """A video file that cannot be read, or that ends before it should."""


class MissingLibraryError(TwoStreamError, ImportError):
    """An optional package or a system library that is not installed."""


class WeightsError(TwoStreamError):
    """Weights that cannot be found, verified or matched to a model."""


class UntrainedHeadError(TwoStreamError, RuntimeError):
    """A request for named actions to a model whose classifier is random."""


class RegistrationError(TwoStreamError, ValueError):
    """A name registered twice, or a plugin that cannot be loaded."""


def check_choice(
    name: str,
    value: Any,
    choices: Iterable[Any],
    error: type[TwoStreamError] = SpecError,
    otherwise: str = "",
) -> None:
    """Refuse a value that is none of the choices.

    Args:
        name: The argument's or the field's name.
        value: The value that the user gave.
        choices: The values that are allowed.
        error: The error's class.
        otherwise: Words about what else is allowed, behind the choices.

    Raises:
        TwoStreamError: Raised as `error`, if the value is no choice.
    """
    choices = list(choices)
    if value in choices:
        return
    words = [choice for choice in choices if isinstance(choice, str)]
    close = _closest(value, words) if isinstance(value, str) else ""
    several = "one of " if choices[1:] else ""
    raise error(
        f"`{name}` must be {several}{', '.join(map(str, choices))}{otherwise}. "
        f"Received: {name}={value!r}.{close}"
    )


def check_seconds(name: str, value: Any) -> None:
    """Refuse a length of time that is no finite number above 0.

    Raises:
        SpecError: If it is not as above.
    """
    if not _is_number(value) or value <= 0:
        raise SpecError(
            f"`{name}` must be seconds, more than 0. Received: {name}={value!r}"
        )


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Refuse a value that is no whole number, or below the least.

    Raises:
        SpecError: If it is not as above.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < least:
        raise SpecError(
            f"`{name}` must be a whole number, {least} or more. "
            f"Received: {name}={value!r}"
        )


def check_dict(name: str, value: Any) -> None:
    """Refuse a value that is no dict.

    Raises:
        SpecError: If it is not as above.
    """
    if not isinstance(value, Mapping):
        raise SpecError(f"`{name}` must be a dict. Received: {name}={value!r}")


def check_number(
    name: str,
    value: Any,
    low: float = 0.0,
    high: float = math.inf,
    *,
    ends: bool = False,
) -> None:
    """Refuse a value that is no finite number between two.

    Args:
        name: The argument's name.
        value: The value that the user gave.
        low: The lower end.
        high: The upper end.
        ends: Whether the ends themselves will do.

    Raises:
        SpecError: If it is not as above.
    """
    inside = _is_number(value) and low <= value <= high
    if inside and (ends or value not in (low, high)):
        return
    words = f"be {low:g} or more" if ends else f"be greater than {low:g}"
    if high < math.inf:
        words = f"lie between {low:g} and {high:g}"
    if not _is_number(value):
        words += ", and be a finite number"
    raise SpecError(f"`{name}` must {words}. Received: {name}={value!r}")


def _is_number(value: Any) -> bool:
    """Return whether a value is a finite number."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and -math.inf < value < math.inf


def check_fields(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names that are no fields.

    Raises:
        SpecError: If there is no field of a name.
    """
    known = list(known)
    for name in names:
        if name not in known:
            raise SpecError(
                f"{kind} has no field {name!r}.{did_you_mean(name, known)}"
            )


def did_you_mean(name: Any, choices: Iterable[str]) -> str:
    """Return a sentence with the closest of `choices`, or all of a few.

    Returns:
        A sentence that starts with a space, or an empty string.
    """
    choices = sorted(choices)
    if close := _closest(str(name), choices):
        return close
    if choices and len(choices) <= 20:
        return f" Choices: {', '.join(choices)}."
    return ""


def _closest(name: str, choices: Iterable[str]) -> str:
    plain = {_plain(choice): choice for choice in choices}
    close = difflib.get_close_matches(_plain(name), plain, cutoff=0.5)
    if not close:
        return ""
    return f" Did you mean {' or '.join(plain[match] for match in close)}?"


def _plain(name: str) -> str:
    """Return a name in lower case, with underscores for hyphens and spaces."""
    return name.lower().replace("-", "_").replace(" ", "_")
