"""Text of a prediction for the terminal."""

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from keras_twostream._printing import percent, readable
from keras_twostream.prediction import Prediction
from keras_twostream.spec import STREAM_WORDS
from keras_twostream.timeline import THRESHOLD, States

_BAR = 16  # width in characters


def report(
    prediction: Prediction,
    top: int,
    truth: str | None = None,
    threshold: float = THRESHOLD,
) -> Group:
    """Return the likeliest actions and their times, as rich prints them.

    Args:
        prediction: The prediction of one video.
        top: Number of actions.
        truth: The true action, where it is known.
        threshold: Least probability of an action in a segment's windows.
    """
    parts: list[RenderableType] = [
        Text.assemble(
            (prediction.source, "bold"), (f"  {prediction.model}", "dim")
        ),
        _table(prediction, top),
    ]
    if truth is not None:
        right = prediction.top(1)[0][0] == truth
        mark = "[green]right[/green]" if right else "[red]wrong[/red]"
        parts.append(
            Text.from_markup(f"  truth: {escape(readable(truth))} ({mark})")
        )
    if prediction.truncated:
        parts.append(Text("  The file ends before it should.", style="yellow"))
    if prediction.states is not None:
        parts.append(Text(_states(prediction, prediction.states)))
    parts.append(Text(_when(prediction, threshold)))
    return Group(*parts)


def time_spent(seconds: Mapping[str, float]) -> Table:
    """Return a table of the time spent, the total last."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim")
    table.add_column(justify="right")
    for part, value in seconds.items():
        table.add_row(part, f"{value:.2f} s")
    table.add_row("in all", f"[bold]{sum(seconds.values()):.2f} s[/bold]")
    return table


def _table(prediction: Prediction, top: int) -> Table:
    apart = list(prediction.streams) if len(prediction.streams) > 1 else []
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("action", min_width=22)
    table.add_column("probability", min_width=_BAR + 7)
    for stream in apart:
        table.add_column(f"{STREAM_WORDS[stream]} head", justify="right")
    for place in prediction.best(top):
        name = readable(prediction.classes[place])
        heads = [percent(prediction.streams[s][place]) for s in apart]
        score = float(prediction.probabilities[place])
        table.add_row(escape(name), _bar(score), *heads)
    return table


def _bar(score: float) -> str:
    filled = round(_BAR * score)
    return (
        f"[green]{'━' * filled}[/green][dim]{'─' * (_BAR - filled)}[/dim] "
        f"{percent(score):>6}"
    )


def _when(prediction: Prediction, threshold: float) -> str:
    """Return one line for each segment."""
    segments = prediction.segments(threshold)
    if not segments:
        return f"  No action reaches {percent(threshold)} in any window."
    return "\n".join(
        f"  {_clock(segment.start)} - {_clock(segment.end)}  "
        f"{readable(segment.label)} {percent(segment.score)}"
        for segment in segments
    )


def _states(prediction: Prediction, states: States) -> str:
    """Return the end of the state before, and the start of the one after."""
    name = readable(prediction.classes[states.action])
    before, after = (
        f"{start:.1f} - {end:.1f} s"
        for start, end in (states.precondition, states.effect)
    )
    return f"  {name}: before it {before}, after it {after}"


def _clock(second: float) -> str:
    minutes, rest = divmod(round(second, 1), 60)
    return f"{int(minutes)}:{rest:04.1f}"
