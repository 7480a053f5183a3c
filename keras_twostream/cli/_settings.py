"""Settings of a command from a TOML file; flags win."""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from keras_twostream.errors import TwoStreamError, did_you_mean
from keras_twostream.spec import check_clip_fields

# Several numbers, as in 112,112 and (112, 112).
NUMBERS = re.compile(r"\(?\s*-?[\d.]+(\s*,\s*-?[\d.]+)+\s*\)?")
NONE = ("none", "None", "null")


def config_option(table: str):
    """Add `--config FILE`: a TOML file whose keys are the flags' names.

    Args:
        table: Table of the file with the settings; the whole file where it has
            no table of that name.
    """

    def read(ctx: click.Context, _: click.Parameter, path: Path | None):
        if path is None:
            return
        values = _table_of(_read_toml(path), table, path)
        names = _names_of_flags(ctx.command)
        unknown = sorted(set(values) - set(names))
        if unknown:
            raise click.BadParameter(
                f"{path} sets {unknown[0]!r}, which is not a flag."
                f"{did_you_mean(unknown[0], names)}"
            )
        ctx.default_map = {
            names[key]: _as_flag(value) for key, value in values.items()
        }

    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=read,
        metavar="FILE",
        help="TOML file with flags as keys; flags given here win.",
    )


def _table_of(values: dict[str, Any], table: str, path: Path) -> dict[str, Any]:
    """Return the command's table, or the file, dashes as underscores."""
    if table in values:
        # Tables of other commands, and a run's own "command", may be there.
        stray = [
            key
            for key, value in values.items()
            if key != "command" and not isinstance(value, Mapping)
        ]
        if stray:
            raise click.BadParameter(
                f"{path} sets {stray[0]!r} above [{table}], where it does not "
                f"count. Put it below [{table}]."
            )
        values = values[table]
    return {key.replace("-", "_"): value for key, value in values.items()}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.BadParameter(f"{path} is not TOML: {error}.") from error


def assignments(
    pairs: Iterable[str], flag: str, parse: Callable[[str], Any] | None = None
) -> dict[str, Any]:
    """Parse `name=value` pairs.

    Raises:
        click.BadParameter: If a pair has no equals sign.
    """
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise click.BadParameter(
                f"{flag} takes name=value. Received: {pair!r}"
            )
        name = name.strip().replace("-", "_")
        values[name] = (parse or parse_value)(text.strip())
    return values


def pairs_option(
    flag: str,
    name: str,
    text: str,
    *,
    metavar: str = "NAME=VALUE",
    parse: Callable[[str], Any] | None = None,
    check: Callable[[dict[str, Any]], None] = lambda values: None,
):
    """Return a decorator that adds `assignments`, given one by one.

    Args:
        flag: The flag.
        name: The parameter's name.
        text: The flag's help.
        metavar: The form of a value.
        parse: Function that parses what is behind the equals sign.
        check: Function that refuses wrong names and values.
    """

    def read(_, __, pairs: tuple[str, ...]) -> dict[str, Any]:
        values = assignments(pairs, flag, parse)
        try:
            check(values)
        except TwoStreamError as error:
            raise click.BadParameter(str(error)) from error
        return values

    return click.option(
        flag, name, multiple=True, metavar=metavar, callback=read, help=text
    )


def clip_option(name: str, text: str):
    """Return a decorator that adds `--spec NAME=VALUE`, fields of the clip.

    Args:
        name: The parameter's name.
        text: The flag's help.
    """
    return pairs_option("--spec", name, text, check=check_clip_fields)


def parse_text(text: str) -> str:
    """Return text without TOML's quotes; a folder named 2024 stays one."""
    value = parse_value(text)
    return value if isinstance(value, str) else text


def parse_value(text: str) -> Any:
    """Parse a TOML value such as 26, [112, 112] or true, or a JSON table.

    Several numbers may come without their brackets. "none" gives None, and
    other text stays as it is.
    """
    if text in NONE:
        return None
    if NUMBERS.fullmatch(text):
        text = f"[{text.strip('()')}]"
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return _json_table(text)


def _json_table(text: str) -> Any:
    try:
        return json.loads(text) if text.startswith("{") else text
    except ValueError:
        return text


def _names_of_flags(command: click.Command) -> dict[str, str]:
    """Map each flag in TOML's spelling to its click parameter."""
    return {
        flag.lstrip("-").replace("-", "_"): parameter.name
        for parameter in command.params
        for flag in parameter.opts
    }


def _as_flag(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return [f"{key}={_as_text(item)}" for key, item in value.items()]


def _as_text(value: Any) -> str:
    """Return text for `parse_value`; "none" stands for None, not in TOML."""
    if isinstance(value, str) and value in NONE:
        return value
    return json.dumps(value, ensure_ascii=False)
