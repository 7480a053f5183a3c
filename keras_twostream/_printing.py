"""Text from elsewhere, as a terminal may show it.

Class names, file names and messages of servers may hold characters that move
the cursor, recolour the screen or reverse the reading direction. They are
refused in names, and made visible in everything that is printed.
"""

from collections.abc import Iterable

from keras_twostream.errors import SpecError

SHARE_DIGITS = 4  # decimals of a probability in a document
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_JOINERS = "\u200c\u200d"  # between letters of Persian, Hindi, ...; in emoji


def printable(text: object, keep: str = "") -> str:
    """Return a text whose control characters are written as escapes.

    Args:
        text: Anything; its `str` is taken.
        keep: Control characters that stay, as a line break in a message.
    """
    return "".join(
        c if _is_plain(c) or c in keep else _escaped(c) for c in str(text)
    )


def readable(name: str) -> str:
    """Return the name of a class as a person would write it."""
    return name.replace("_", " ")


def counted(number: int, word: str) -> str:
    """Return a number of things in words: 1 tube, 2,000 tubes."""
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def percent(share: float) -> str:
    """Return a share of 1 in percent; the one form for people to read.

    It is rounded as documents hold it first, so that one says the same.
    """
    return f"{round(share, SHARE_DIGITS):.1%}"


def scaled(number: float, unit: str = "") -> str:
    """Format a large number with three digits and a prefix: 2.48 M."""
    for size, prefix in _UNITS:
        if number >= size:
            return f"{number / size:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}".rstrip()


def is_printable(text: str) -> bool:
    """Return whether a terminal shows a text as it is."""
    return all(map(_is_plain, text))


def check_names(names: Iterable[str]) -> None:
    """Refuse class names that a terminal or a page would not show as they are.

    Raises:
        SpecError: If one is empty or holds a control character.
    """
    for name in names:
        if not str(name).strip():
            raise SpecError("A name of a class is empty. Give it one.")
        if not is_printable(str(name)):
            raise SpecError(
                "A name of a class must not hold control characters. "
                f"Received: '{printable(name)}'. Rename it."
            )


def _is_plain(character: str) -> bool:
    return character.isprintable() or character in _JOINERS


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
