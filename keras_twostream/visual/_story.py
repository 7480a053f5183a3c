"""The content of the pictures: actions over time, by stream."""

import dataclasses
import functools

import numpy as np

from keras_twostream._printing import readable
from keras_twostream.spec import FUSED
from keras_twostream.timeline import States, Stretch, stretches


@dataclasses.dataclass(frozen=True)
class Story:
    """Scores over the time of one video, ready to be drawn.

    Attributes:
        name: Name of the video.
        classes: Names of the C classes.
        windows: (N, 2) start and end of each window, in seconds.
        timelines: (N, C) probabilities of each window, by stream, the fused
            ones under "fused".
        whole: (C,) probabilities of the whole video, by stream.
        subtitle: A quiet line: the model.
        truth: The true action, where it is known.
        states: States before and after the action, if the model gives them.
    """

    name: str
    classes: tuple[str, ...]
    windows: np.ndarray
    timelines: dict[str, np.ndarray]
    whole: dict[str, np.ndarray]
    subtitle: str = ""
    truth: str | None = None
    states: States | None = None

    @property
    def duration(self) -> float:
        """Seconds that the windows cover."""
        return float(self.windows[-1, 1])

    @property
    def streams(self) -> list[str]:
        """The streams that have scores of their own, then the fused one."""
        apart = [name for name in self.timelines if name != FUSED]
        return [*apart, FUSED] if len(apart) > 1 else [FUSED]

    def at(self, second: float, stream: str = FUSED) -> np.ndarray:
        """Return (C,) probabilities at a moment, interpolated from windows."""
        centres = self.windows.mean(axis=1)
        after = int(np.searchsorted(centres, second).clip(1, len(centres)))
        if len(centres) == 1 or second >= centres[-1]:
            return self.timelines[stream][-1]
        before = after - 1
        share = (second - centres[before]) / (centres[after] - centres[before])
        share = float(np.clip(share, 0, 1))
        scores = self.timelines[stream]
        return scores[before] * (1 - share) + scores[after] * share

    def ranked(self, count: int) -> list[int]:
        """Return the likeliest classes of the whole video, in order."""
        best = np.argsort(-self.whole[FUSED], kind="stable")
        return best[:count].tolist()

    def shown(self, second: float, count: int) -> list[int]:
        """The classes whose bars are drawn, in order.

        They stay the same over the video as long as these few contain the
        answer of every window; otherwise they are the moment's own.
        """
        winners = set(np.argmax(self.timelines[FUSED], axis=1).tolist())
        ranked = self.ranked(count)
        if winners <= set(ranked):
            return ranked
        return np.argsort(-self.at(second), kind="stable")[:count].tolist()

    def stretches(self) -> list[Stretch]:
        """Return the times of each answer, however unsure."""
        return stretches(self.windows, self.timelines[FUSED])

    @functools.cached_property
    def colours(self) -> dict[int, int]:
        """Numbers of colours of the classes on the strip, in order of time.

        The first classes to appear have colours that differ.
        """
        winners = [stretch.winner for stretch in self.stretches()]
        return {w: n for n, w in enumerate(dict.fromkeys(winners))}

    def label(self, number: int) -> str:
        """Return the class's name as a person would write it."""
        return readable(self.classes[number])
