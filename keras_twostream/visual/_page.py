"""A prediction in HTML, as a notebook shows it."""

from keras_twostream._html import Markup, bar, escaped, table
from keras_twostream._printing import percent, readable
from keras_twostream.timeline import Segment
from keras_twostream.visual import _theme
from keras_twostream.visual._parts import action_colour
from keras_twostream.visual._story import Story

_LISTED = 20  # segments


def page(
    story: Story, segments: list[Segment], note: str = "", count: int = 5
) -> Markup:
    """Return the likeliest classes, a strip of time, and the segments.

    Args:
        story: Scores over time.
        segments: Segments of the video.
        note: A sentence about the file, if there is one.
        count: Number of classes.
    """
    head = f"{story.name} · {story.subtitle} · {story.duration:.1f} s"
    parts = [
        f"<b>{escaped(head)}</b>",
        _scores(story, count),
        _strip(story),
        _times(segments),
    ]
    if note:
        parts.append(f"<i>{escaped(note)}</i>")
    return Markup(f"<div>{''.join(parts)}</div>")


def _scores(story: Story, count: int) -> Markup:
    streams, alone = story.streams, len(story.streams) == 1
    titles = [
        _theme.ONLY_TITLE if alone else _theme.STREAM_TITLES[stream]
        for stream in streams
    ]
    rows = [
        [
            story.label(number),
            *(_bar(story, stream, number) for stream in streams),
        ]
        for number in story.ranked(count)
    ]
    return table(["action", *titles], rows)


def _bar(story: Story, stream: str, number: int) -> Markup:
    score = float(story.whole[stream][number])
    return bar(score, _theme.STREAM_COLOURS[stream], percent(score))


def _strip(story: Story) -> Markup:
    """Return coloured stretches of time, named when the mouse rests."""
    whole, pieces = story.duration or 1.0, []
    for start, end, winner, score in story.stretches():
        red, green, blue = action_colour(story.colours[winner])
        words = f"{start:.1f} - {end:.1f} s: {story.label(winner)}"
        style = (
            f"position:absolute;left:{start / whole:.2%};"
            f"width:{(end - start) / whole:.2%};height:14px;"
            f"background:rgba({red},{green},{blue},{0.3 + 0.7 * score:.2f})"
        )
        title = escaped(f"{words} {percent(score)}")
        pieces.append(f'<div title="{title}" style="{style}"></div>')
    return Markup(
        '<div style="position:relative;height:14px;background:#8884;'
        f'margin:6px 0;max-width:640px">{"".join(pieces)}</div>'
    )


def _times(segments: list[Segment]) -> Markup:
    rows = [
        [
            f"{segment.start:.1f} - {segment.end:.1f} s",
            readable(segment.label),
            percent(segment.score),
        ]
        for segment in segments[:_LISTED]
    ]
    if len(segments) > _LISTED:
        rows.append([f"and {len(segments) - _LISTED} more", "", ""])
    return (
        table(["seconds", "action", "probability"], rows) if rows else Markup()
    )
