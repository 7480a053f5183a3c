"""Small pieces of HTML, as notebooks show them.

Every text is escaped, since names of files and classes come from strangers.
"""

import html
from collections.abc import Iterable, Sequence

from keras_twostream._printing import printable

_CELL = "text-align:left;padding:2px 12px 2px 0"


class Markup(str):
    """HTML that is not escaped again."""

    __slots__ = ()


def escaped(value: object) -> Markup:
    """Return a value as HTML, with control characters made visible."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(printable(value)))


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> Markup:
    """Return a table; cells are text, or markup."""
    lines = [_row("th", head)] if head else []
    lines += [_row("td", row) for row in rows]
    return Markup(f"<table>{''.join(lines)}</table>")


def bar(share: float, colour: tuple[int, int, int], words: str) -> Markup:
    """Return a bar as long as a share of 1, with words beside it.

    Args:
        share: A share, 0..1.
        colour: RGB, 0..255.
        words: Text to the right.
    """
    full = "display:inline-block;width:120px;background:#8884;height:8px"
    part = f"display:block;width:{share:.1%};background:rgb{colour};height:8px"
    return Markup(
        f'<span style="{full}"><span style="{part}"></span></span> '
        f"{escaped(words)}"
    )


def _row(tag: str, cells: Iterable[object]) -> str:
    inside = "".join(
        f'<{tag} style="{_CELL}">{escaped(cell)}</{tag}>' for cell in cells
    )
    return f"<tr>{inside}</tr>"
