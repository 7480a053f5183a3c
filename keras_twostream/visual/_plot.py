"""A figure of a prediction: scores of the whole video, and over time."""

import io
import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_twostream._printing import percent
from keras_twostream.spec import FUSED
from keras_twostream.visual import _theme
from keras_twostream.visual._parts import action_colour
from keras_twostream.visual._story import Story


class Plot(Figure):
    """A figure that notebooks show, whether pyplot was imported or not."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=110)
        return file.getvalue()


def plot(story: Story, count: int = 5) -> Plot:
    """Return a figure: bars of the likeliest classes, and curves over time."""
    figure = Plot(figsize=(10, 1.4 + 0.45 * count), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 3))
    _bars(left, story, story.ranked(count))
    _curves(right, story, story.ranked(count))
    curves = right.get_legend_handles_labels()
    figure.legend(*curves, loc="outside right upper", fontsize="small")
    figure.suptitle(f"{story.name}: {story.subtitle}", fontsize="medium")
    return figure


def _bars(axes: Axes, story: Story, shown: list[int]) -> None:
    streams = story.streams
    thickness = 0.8 / len(streams)
    for place, stream in enumerate(streams):
        heights = np.arange(len(shown)) + (place + 0.5) * thickness - 0.4
        scores = [float(story.whole[stream][number]) for number in shown]
        bars = axes.barh(
            heights,
            scores,
            thickness,
            color=_unit(_theme.STREAM_COLOURS[stream]),
            label=_title(stream, len(streams)),
        )
        words = [percent(score) for score in scores]
        axes.bar_label(bars, words, padding=3, fontsize="small")
    axes.set_yticks(range(len(shown)), [_wrapped(story, n) for n in shown])
    axes.set(xlim=(0, 1.15), xticks=[0, 0.5, 1], xlabel="probability")
    axes.invert_yaxis()
    axes.legend(fontsize="small", framealpha=0.6)


def _curves(axes: Axes, story: Story, shown: list[int]) -> None:
    centres = story.windows.mean(axis=1)
    for place, number in enumerate(shown):
        axes.plot(
            centres,
            story.timelines[FUSED][:, number],
            marker="o" if len(centres) < 20 else "",
            markersize=3,
            color=_unit(action_colour(place)),
            label=_wrapped(story, number),
        )
    axes.set(ylim=(-0.02, 1.02), xlim=(0, story.duration), xlabel="seconds")


def _wrapped(story: Story, number: int) -> str:
    return textwrap.fill(story.label(number), 28)


def _title(stream: str, streams: int) -> str:
    return _theme.ONLY_TITLE if streams == 1 else _theme.STREAM_TITLES[stream]


def _unit(colour: _theme.Colour) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
