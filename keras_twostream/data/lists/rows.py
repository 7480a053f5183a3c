"""Text files, their lines and tables, with uniform errors."""

import codecs
import contextlib
import csv
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from keras_twostream.data.lists.files import VIDEO_SUFFIXES
from keras_twostream.errors import SpecError, TwoStreamError

LARGEST_LIST = 2**28  # bytes; the list of Kinetics-700 has 2**25
# Exceptions that parsing a damaged text raises.
_BROKEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    csv.Error,
)
_DELIMITERS = ",;\t"

Row = TypeVar("Row")
Parsed = TypeVar("Parsed")


@contextlib.contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn every error of a block into one that names the file or line.

    Raises:
        SpecError: In place of any error about the content.
    """
    try:
        yield
    except TwoStreamError as error:
        text = str(error)
        raise SpecError(text if place in text else f"{place}: {text}") from None
    except _BROKEN as error:
        raise SpecError(
            f"{place} cannot be understood ({type(error).__name__}: "
            f"{str(error)[:200]}). Correct it, or name its `format`."
        ) from error


def parse_rows(
    path: Path,
    rows: Iterable[tuple[int, Row]],
    parse: Callable[[Row], Parsed],
    unit: str = "line",
) -> list[Parsed]:
    """Return `parse` of each row; an error names the row's line.

    Raises:
        SpecError: If a row cannot be parsed.
    """
    parsed = []
    for number, row in rows:
        with explained(f"{path}, {unit} {number}"):
            parsed.append(parse(row))
    return parsed


def text_of(path: Path) -> str:
    """Return the content of a text file in UTF-8, or in UTF-16 with a mark.

    Raises:
        SpecError: If it is no text file, a video, or in another encoding.
    """
    if path.suffix.lower() in VIDEO_SUFFIXES:
        raise SpecError(
            f"{path} is a video. Give a list of videos, or a folder with one "
            "folder of videos per class."
        )
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no regular file"
        raise SpecError(f"{path} is {kind}. Give a text file.")
    if path.stat().st_size > LARGEST_LIST:
        raise SpecError(
            f"{path} has more than {LARGEST_LIST} bytes, which no list has. "
            "It was not read."
        )
    content = path.read_bytes()
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    try:
        text = content.decode(
            "utf-16" if content.startswith(marks) else "utf-8-sig"
        )
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{path} is not text in UTF-8 ({error}). Save it as UTF-8."
        ) from error
    if "\0" in text:
        raise SpecError(f"{path} is not text: it holds zero bytes.")
    return text


def lines(path: Path) -> list[tuple[int, str]]:
    """Return the number and text of each line that is not blank."""
    numbered = enumerate(text_of(path).splitlines(), 1)
    return [(n, line.strip()) for n, line in numbered if line.strip()]


def xml_of(path: Path) -> ElementTree.Element:
    """Return the root of an XML file.

    Raises:
        SpecError: If it is cut off, or declares entities, which may grow
            without end.
    """
    text = text_of(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise SpecError(f"{path} declares entities, which no list needs.")
    with explained(str(path)):
        try:
            return ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise SpecError(f"{path} is no whole XML: {error}.") from error


def header_of(line: str) -> list[str]:
    """Return the names in the first line of a table, in lower case."""
    names = next(csv.reader([line], delimiter=_delimiter(line)), [])
    return [name.strip().strip('"').lower() for name in names]


def table(
    path: Path, once: Collection[str] = ()
) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a CSV file with a header, by their lines.

    The delimiter is a comma, a semicolon or a tab, according to the header.
    Names are in lower case, and missing fields of a short row are empty.

    Args:
        path: The file.
        once: Names that the header may hold once.

    Raises:
        SpecError: If a row has more fields than the header, or a quote that
            its line does not close, or a name stands twice.
    """
    text = io.StringIO(text_of(path), newline=None)
    numbered = [(n, line) for n, line in enumerate(text, 1) if line.strip()]
    first = numbered[0][1].rstrip("\n") if numbered else ""
    header, delimiter = header_of(first), _delimiter(first)
    twice = [name for name in once if header.count(name) > 1]
    if twice:
        raise SpecError(
            f"{path} has two columns {twice[0]!r}. Rename or remove one."
        )
    rows = []
    for number, line in numbered[1:]:
        fields = _fields(line.rstrip("\n"), delimiter, f"{path}, line {number}")
        if len(fields) > len(header):
            raise SpecError(
                f"{path}, line {number}: {len(fields)} fields, and the header "
                f"has {len(header)}. A value that holds a comma is written in "
                'quotes: "running, fast".'
            )
        fields += [""] * (len(header) - len(fields))
        if any(fields):
            row = dict(zip(header, map(str.strip, fields), strict=True))
            rows.append((number, row))
    return rows


def _fields(line: str, delimiter: str, place: str) -> list[str]:
    """Return the fields of a line; spaces may follow a quote."""
    if '"' not in line:
        return line.split(delimiter)
    options: Any = {"skipinitialspace": True, "strict": True}
    with contextlib.suppress(csv.Error):
        return next(csv.reader([line], delimiter=delimiter, **options))
    line = re.sub(rf'" +(?={delimiter}|$)', '"', line)
    try:
        return next(csv.reader([line], delimiter=delimiter, **options))
    except csv.Error as error:
        raise SpecError(
            f"{place}: a quote is not closed in its line ({error}). Close it, "
            "or remove it. A value stands in one line, and a quote within a "
            'quoted one is doubled: "the ""big"" jump".'
        ) from error


def _delimiter(line: str) -> str:
    """Return the most frequent delimiter of a header, a comma by default."""
    return max(_DELIMITERS, key=line.count)
