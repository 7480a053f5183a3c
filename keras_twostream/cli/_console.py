"""Output of commands: results to standard output, the rest to error."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from keras_twostream._printing import printable
from keras_twostream.cli import _advice

GOES_ON = "The same command goes on where this one ended."


class _Console(Console):
    """A console on which the name of a file or class cannot move the cursor."""

    def print(self, *objects: Any, **options: Any) -> None:
        plain = (
            printable(x, keep="\n\t") if isinstance(x, str) else x
            for x in objects
        )
        super().print(*plain, **options)


out = _Console(highlight=False)
err = _Console(stderr=True, highlight=False)


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print text, with control characters of foreign names as escapes."""
    click.echo(printable(text, keep="\n\t"), err=err, nl=nl)


def complain(reason: str) -> None:
    """Print to standard error the reason why one file or place failed."""
    reason = _advice.in_flags(reason)
    err.print(reason, style="red", markup=False, soft_wrap=True)


def if_stopped(words: str) -> None:
    """Say in the last line, if the command is stopped, how to go on."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta["if_stopped"] = words


def last_line() -> str:
    """Return the last line of a command that is stopped."""
    context = click.get_current_context(silent=True)
    words = "" if context is None else context.meta.get("if_stopped", "")
    return f"Stopped. {words}".rstrip()


def print_json(document: Any, *, indent: int | None = 2) -> None:
    """Print a JSON document on standard output.

    Args:
        document: JSON-compatible values.
        indent: Spaces of a level; None puts the document on one line.
    """
    click.echo(json.dumps(document, indent=indent))


class _Bars(Progress):
    """Bars on a terminal; in a log, a line every half minute."""

    EVERY = 30.0  # seconds

    def __init__(self, *columns: Any, **options: Any) -> None:
        super().__init__(*columns, **options)
        self._due = time.monotonic() + self.EVERY

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        if not self.disable or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self.EVERY
        task = self._tasks[task_id]
        share = "" if task.total is None else f", {task.percentage:.0f} %"
        err.print(f"{task.description}{share}", markup=False)


def progress() -> Progress:
    """Return bars on standard error; lines where that is not a terminal."""
    return _Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Close standard error while a library writes its own messages.

    TensorFlow's C++ reports absent GPUs when it is imported, whatever its log
    level. Python's own errors are raised and therefore still visible. Under
    `--debug` nothing is closed.
    """
    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get("debug"):
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
