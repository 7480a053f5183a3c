"""A network's figure as SVG: stages from top to bottom, streams abreast.

The drawing needs nothing but text, is the same on every machine, and follows
the reader's choice of a light or a dark page.
"""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from keras_twostream._printing import scaled
from keras_twostream.visual._theme import (
    BACKGROUND,
    MUTED,
    STREAM_COLOURS,
    TEXT,
    Colour,
)

WIDTH, HEIGHT = 176, 42  # of a box, in pixels
ACROSS, DOWN = 52, 24  # between two boxes
MARGIN, HEAD = 18, 34
SIGN = 10  # radius of the sign where streams meet

Box = tuple[float, float]  # its centre across, and its upper edge


def network_figure(stages: Sequence[Any], title: str) -> str:
    """Return the figure of a network.

    Returns:
        An SVG document.
    """
    boxes, width, height = _layout(stages)
    words = "; ".join(
        f"{stage.key} gives {dimensions(stage.shape)}" for stage in stages
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        'role="img" aria-labelledby="title words">'
    )
    lines = [
        head,
        f'<title id="title">{html.escape(title)}</title>',
        f'<desc id="words">{html.escape(words)}</desc>',
        f"<style>{_style()}</style>",
        '<rect class="page" width="100%" height="100%" rx="8"/>',
        *_heads(stages, boxes),
        *_arrows(stages, boxes),
        *(_box(stage, *boxes[stage.key]) for stage in stages),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def dimensions(shape: Iterable[int]) -> str:
    """Return a shape in words: 5 × 56 × 56 × 256."""
    return " × ".join(map(str, shape))


def multiply_adds(count: int) -> str:
    """Return a number of multiply-adds with its unit, "" for none."""
    return scaled(count) if count else ""


# === Places ===


def _layout(
    stages: Sequence[Any],
) -> tuple[dict[str, Box], float, float]:
    """Return each stage's box, and the width and height of the figure."""
    rows = _rows(stages)
    lanes = _lanes(stages, rows)
    streams = [s for s in dict.fromkeys(x.stream for x in stages) if s]
    streams.sort(key=list(STREAM_COLOURS).index)
    widths = {
        stream: max(len(x) for (s, _), x in lanes.items() if s == stream)
        for stream in streams
    }
    step = WIDTH + ACROSS
    total = sum(widths.values())
    begins = {
        stream: sum(widths[s] for s in streams[:number])
        for number, stream in enumerate(streams)
    }
    boxes: dict[str, Box] = {}
    for (stream, row), keys in lanes.items():
        begin, room = begins.get(stream, 0), widths.get(stream, total)
        for lane, key in enumerate(keys):
            middle = begin + (room - len(keys)) / 2 + lane
            boxes[key] = (
                MARGIN + middle * step + WIDTH / 2,
                MARGIN + HEAD + row * (HEIGHT + DOWN),
            )
    width = 2 * MARGIN + total * step - ACROSS
    height = 2 * MARGIN + HEAD + (max(rows.values()) + 1) * (HEIGHT + DOWN)
    return boxes, width, height - DOWN


def _rows(stages: Sequence[Any]) -> dict[str, int]:
    """Return the row of each stage: below all that it reads.

    A stage stands beside the one of the other stream that meets it. One that
    belongs to no stream stands in the middle, and has its row for itself.
    """
    rows = {stage.key: 0 for stage in stages}
    while True:
        _sink(stages, rows)
        crowded = {
            other.key
            for stage in stages
            for other in stages
            if not stage.stream and other.stream
            if rows[stage.key] == rows[other.key]
        }
        if not crowded:
            return rows
        for key in crowded:
            rows[key] += 1


def _sink(stages: Sequence[Any], rows: dict[str, int]) -> None:
    """Move stages down until each is below all that it reads."""
    streams = {stage.key: stage.stream for stage in stages}
    for _ in stages:  # the longest path has no more stages
        before = dict(rows)
        for stage in stages:
            for source, _ in stage.sources:
                meeting = {stage.stream, streams[source]}
                beside = len(meeting) == 2 and "" not in meeting
                row = rows[source] + (not beside)
                rows[stage.key] = max(rows[stage.key], row)
        if rows == before:
            return


def _lanes(
    stages: Sequence[Any], rows: Mapping[str, int]
) -> dict[tuple[str, int], list[str]]:
    """Return the stages that share a stream and a row, from left to right."""
    lanes: dict[tuple[str, int], list[str]] = {}
    for stage in stages:
        lanes.setdefault((stage.stream, rows[stage.key]), []).append(stage.key)
    return lanes


# === Marks ===


def _heads(stages: Sequence[Any], boxes: Mapping[str, Box]) -> Iterator[str]:
    """Yield the title over each stream."""
    for stream in dict.fromkeys(stage.stream for stage in stages):
        if stream:
            places = [boxes[x.key] for x in stages if x.stream == stream]
            middle = sum({x for x, _ in places}) / len({x for x, _ in places})
            yield _text(middle, MARGIN + 14, stream, "head", "middle")


def _box(stage: Any, centre: float, top: float) -> str:
    left, right = centre - WIDTH / 2, centre + WIDTH / 2
    rectangle = (
        f'<rect class="{stage.stream or "fused"}" x="{left:.1f}" '
        f'y="{top:.1f}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
    )
    cost = multiply_adds(stage.macs)
    return (
        rectangle
        + _text(left + 10, top + 17, stage.name.replace("_", " "), "name")
        + (_text(right - 10, top + 17, cost, "small", "end") if cost else "")
        + _text(left + 10, top + 33, dimensions(stage.shape), "small")
    )


def _arrows(stages: Sequence[Any], boxes: Mapping[str, Box]) -> Iterator[str]:
    yield (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>'
    )
    for stage in stages:
        for source, sign in stage.sources:
            start, end = boxes[source], boxes[stage.key]
            way = _way(start, end, list(boxes.values()))
            yield f'<path class="arrow" marker-end="url(#tip)" d="{way}"/>'
            if sign:
                yield _sign(start, end, sign)


def _way(start: Box, end: Box, boxes: Sequence[Box]) -> str:
    """Return the path of an arrow that crosses no box on its way."""
    (x0, top0), (x1, top1) = start, end
    if top0 == top1:
        side = WIDTH / 2 if x1 > x0 else -WIDTH / 2
        return f"M{x0 + side:.1f} {_middle(top0)}H{x1 - side:.1f}"
    y0, last = top0 + HEIGHT, top1 - DOWN
    if not _blocked(x0, top0, top1, boxes):
        return f"M{x0:.1f} {y0:.1f}V{last:.1f}{_bend(x0, last, x1)}"
    if not _blocked(x1, top0, top1, boxes):
        return f"M{x0:.1f} {y0:.1f}{_bend(x0, y0, x1)}V{top1:.1f}"
    side = max(x0, x1) + WIDTH / 2
    return (
        f"M{x0 + WIDTH / 2:.1f} {_middle(top0)}H{side + MARGIN / 2:.1f}"
        f"V{_middle(top1)}H{x1 + WIDTH / 2:.1f}"
    )


def _bend(x0: float, y: float, x1: float) -> str:
    """Return a curve from one lane to another, between two rows."""
    half = y + DOWN / 2
    return f"C{x0:.1f} {half:.1f} {x1:.1f} {half:.1f} {x1:.1f} {y + DOWN:.1f}"


def _blocked(
    x: float, above: float, below: float, boxes: Sequence[Box]
) -> bool:
    """Return whether a box lies in a lane between two rows."""
    return any(
        above < top < below and abs(x - middle) < WIDTH / 2
        for middle, top in boxes
    )


def _sign(start: Box, end: Box, sign: str) -> str:
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1] + HEIGHT) / 2
    circle = f'<circle class="sign" cx="{x:.1f}" cy="{y:.1f}" r="{SIGN}"/>'
    return circle + _text(x, y + 5, sign, "name", "middle")


def _middle(top: float) -> str:
    return f"{top + HEIGHT / 2:.1f}"


def _text(
    x: float, y: float, words: str, kind: str, anchor: str = "start"
) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" '
        f'text-anchor="{anchor}">{html.escape(words)}</text>'
    )


# === Colours ===


def _style() -> str:
    day = _rules((255, 255, 255), (27, 36, 48), (84, 96, 110), 0.28)
    night = _rules(BACKGROUND, TEXT, MUTED, 0.22)
    return (
        "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,"
        "'DejaVu Sans',sans-serif;font-size:12px}"
        ".head{font-weight:700;font-size:15px}.name{font-weight:600}"
        f".arrow{{fill:none;stroke-width:1.5}}{day}"
        f"@media(prefers-color-scheme:dark){{{night}}}"
    )


def _rules(page: Colour, text: Colour, muted: Colour, share: float) -> str:
    streams = "".join(
        f".{stream}{{fill:rgb{colour};fill-opacity:{share};stroke:rgb{colour}}}"
        for stream, colour in STREAM_COLOURS.items()
    )
    return (
        f".page{{fill:rgb{page}}}text{{fill:rgb{text}}}.small{{fill:rgb{muted}}}"
        f".arrow{{stroke:rgb{muted}}}.tip{{fill:rgb{muted}}}"
        f".sign{{fill:rgb{page};stroke:rgb{muted}}}{streams}"
    ).replace(", ", ",")
