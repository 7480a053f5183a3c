"""Advice of the library in flags of a command.

The library advises arguments of Python, such as `clip_spec={"crop": (8, 8)}`,
where a command has flags for the same. Facts stay as they are: only sentences
that ask for something are translated.
"""

import ast
import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import click

from keras_twostream.spec import ClipSpec

_ASKS = re.compile(
    r"\b(build|change|choose|give|keep|leave|name|pass|say|set|try|use)\b",
    re.IGNORECASE,
)
_CALLS = (
    (r"keras_twostream\.list_weights\([^()]*\)", "`keras-twostream list`"),
    (r"\bload\('(\w+)', weights=\.\.\.\)", r"--model \1"),
)
_ARGUMENT = re.compile(
    r"[\w.]+\([^()]*\)"  # a call, which stays
    r"|(?<![\w./\\'\"])`?(?P<name>[a-z_]+(\.[a-z_]+)?)="
    r"(?P<value>'[^']*'|\"[^\"]*\"|\([^()]*\)|\[[^][]*\]|\{[^{}]*\}"
    r"|\.\.\.|[\w.-]*\w)?`?"
    r"|`(?P<bare>[a-z_]+)`"
)


def in_flags(text: str, command: click.Command | None = None) -> str:
    """Return a message that advises flags where the command has them.

    Args:
        text: The message.
        command: The command; the one that is running when None.
    """
    if command is None:
        context = click.get_current_context(silent=True)
        if context is None:
            return text
        command = context.command
    for call, flag in _CALLS:
        text = re.sub(call, flag, text)
    sentences = re.split(r"((?<=[.;])\s)", text)
    flags = _flags(command)
    return "".join(_translated(sentence, flags) for sentence in sentences)


def _flags(command: click.Command) -> dict[str, str]:
    """Map arguments of Python to the flags of a command."""
    flags = {}
    for parameter in command.params:
        for flag in parameter.opts:
            if flag.startswith("--"):
                flags[parameter.name or ""] = flag
                flags[flag.lstrip("-").replace("-", "_")] = flag
    return flags


def _translated(sentence: str, flags: Mapping[str, str]) -> str:
    asks = _ASKS.search(sentence) and not sentence.startswith("Received")
    if "--" in sentence or not asks:
        return sentence  # it names the flag already, or asks for nothing

    def flag_of(match: re.Match) -> str:
        name = match["name"] or match["bare"] or ""
        flag = _flag(name, _plain(match["value"]), flags)
        if flag and match["bare"]:
            return f"`{flag}`"
        return flag or match[0]

    sentence = _ARGUMENT.sub(flag_of, sentence)
    return re.sub(r"\b[Ss]et (?=--set )", _use, sentence)


def _use(match: re.Match) -> str:
    return "Use " if match[0][0] == "S" else "use "


def _flag(name: str, value: Any, flags: Mapping[str, str]) -> str:
    """Return the flag for an argument, empty where there is none."""
    if name == "clip_spec" and "spec" in flags:
        fields = value if isinstance(value, Mapping) else {}
        pairs = [f"--spec {k}={_text(x)}" for k, x in fields.items()]
        return " ".join(pairs) or "--spec"
    if isinstance(value, Mapping):
        return ""  # no other flag takes one
    if name in flags:
        return f"{flags[name]} {_text(value)}".rstrip()
    for flag in ("spec", "input", "set", "option"):
        if flag in flags and name in _names(flag):
            return f"--{flag} {name}" + f"={_text(value)}" * (value != "")
    return ""


def _names(flag: str) -> set[str]:
    """Return what a flag NAME=VALUE sets."""
    from keras_twostream.cli import _networks
    from keras_twostream.training import _recipes

    if flag == "spec":
        return set(ClipSpec().to_json())
    if flag == "input":
        return set(_recipes.ENTRIES["input"])
    if flag == "option":
        return _networks.options()
    fields = {field.name for field in dataclasses.fields(_recipes.Recipe)}
    tables = _recipes.ENTRIES.items()
    return fields | {f"{table}.{x}" for table, names in tables for x in names}


def _plain(value: str | None) -> Any:
    """Return a value of Python's, or its text where it is none."""
    if not value or value == "...":
        return value or ""
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def _text(value: Any) -> str:
    """Return a value as a flag takes it."""
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)
