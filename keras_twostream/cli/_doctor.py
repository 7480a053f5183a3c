"""`keras-twostream doctor`: an examination of a data set."""

from pathlib import Path

import click

from keras_twostream.cli import _console
from keras_twostream.cli._options import (
    bound_option,
    debug_option,
    json_option,
    root_option,
)

_SHOWN = 5  # files named for each problem; --json has them all


@click.command("doctor")
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@root_option
@click.option("--deep", is_flag=True, help="Decode every frame.")
@bound_option
@json_option
@debug_option
def doctor_command(
    path: Path, root: str | None, deep: bool, bound: float, as_json: bool
) -> None:
    """Examine videos, flow, a cache or a list, and say what to do.

    The exit status is 1 when something has to be done.
    """
    from keras_twostream.data.doctor import examine

    report = examine(path, root=root, deep=deep, bound=bound)
    if as_json:
        _console.print_json(report.to_json())
    else:
        _show(report)
    if not report.healthy:
        click.get_current_context().exit(1)


def _show(report) -> None:
    _say(f"{report.path}: {report.layout}", "bold")
    for name, value in report.facts.items():
        _say(f"  {name.replace('_', ' ')}: {_words(value)}")
    for finding in report.findings:
        colour = "red" if finding.problem else "yellow"
        _say(
            f"{'Problem' if finding.problem else 'Remark'}: {finding.text}",
            colour,
        )
        for place in finding.where[:_SHOWN]:
            _say(f"    {place}")
        if len(finding.where) > _SHOWN:
            _say(f"    ... and {len(finding.where) - _SHOWN} more (--json)")
        _say(f"  {finding.advice}")
    if report.healthy:
        _say("No problem was found.", "green")


def _words(value) -> str:
    if isinstance(value, dict):
        shown = [f"{key} {count}" for key, count in value.items()]
        more = [f"and {len(shown) - 12} more"] if len(shown) > 12 else []
        return ", ".join(shown[:12] + more)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _say(text: str, style: str | None = None) -> None:
    _console.out.print(text, style=style, markup=False, soft_wrap=True)
