"""A model's answer about a video."""

import dataclasses
from typing import Any

import numpy as np

from keras_twostream.errors import UnknownNameError, did_you_mean
from keras_twostream.timeline import THRESHOLD, Segment, States, stretches


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A model's answer about a video.

    Attributes:
        source: The video file, or "frames".
        model: Name of the weights, or of the architecture.
        classes: Names of the classes, C of them.
        probabilities: (C,) of the whole video, all streams together; they
            add up to 1 unless the model names several classes at once.
        streams: (C,) of the whole video by stream, where the model scores
            its streams apart; empty otherwise.
        windows: (N, 2) start and end of each window, in seconds.
        timeline: (N, C) probabilities of each window.
        stream_timelines: (N, C) by stream.
        truncated: Whether the file ends before it should.
        seconds: Seconds spent on decode, flow and network.
        states: States before and after the action, in the window where the
            model is surest; None unless it is Actions ~ Transformations.
    """

    source: str
    model: str
    classes: tuple[str, ...]
    probabilities: np.ndarray
    streams: dict[str, np.ndarray]
    windows: np.ndarray
    timeline: np.ndarray
    stream_timelines: dict[str, np.ndarray]
    truncated: bool
    seconds: dict[str, float]
    states: States | None = None

    @property
    def duration(self) -> float:
        """Seconds that the windows cover."""
        return float(self.windows[-1, 1])

    def top(
        self, count: int = 5, stream: str | None = None
    ) -> list[tuple[str, float]]:
        """Return the likeliest classes of the whole video, with probabilities.

        Args:
            count: Number of classes.
            stream: "rgb" or "flow" alone; all streams together when None.

        Returns:
            (name, probability), the likeliest first.

        Raises:
            UnknownNameError: If that stream was not scored apart.
        """
        scores = self._scores(stream)
        best = np.argsort(-scores, kind="stable")[:count]
        return [(self.classes[i], float(scores[i])) for i in best]

    def _scores(self, stream: str | None) -> np.ndarray:
        if stream is None:
            return self.probabilities
        if stream not in self.streams:
            raise UnknownNameError(
                f"{self.model} has no scores of {stream!r} alone."
                f"{did_you_mean(stream, self.streams)}"
            )
        return self.streams[stream]

    def per_second(self) -> np.ndarray:
        """Return (S, C) probabilities of each second, S rounded up.

        Those of a second are the mean over the windows that overlap it,
        weighted by the time they share with it, or over all windows where
        none overlaps it.
        """
        seconds = np.arange(max(1, int(np.ceil(self.duration - 1e-6))))
        unseen = self.timeline.mean(axis=0)
        # Starts and ends ascend: the windows that see a second are a slice.
        first = np.searchsorted(self.windows[:, 1], seconds, "right")
        behind = np.searchsorted(self.windows[:, 0], seconds + 1)
        return np.stack(
            [
                self._mean(int(second), slice(i, j)) if i < j else unseen
                for second, i, j in zip(seconds, first, behind, strict=True)
            ]
        )

    def _mean(self, second: int, seen: slice) -> np.ndarray:
        starts, ends = self.windows[seen].T
        shared = np.minimum(second + 1, ends) - np.maximum(second, starts)
        return np.average(self.timeline[seen], axis=0, weights=shared)

    def segments(self, threshold: float = THRESHOLD) -> list[Segment]:
        """Return the parts of the video that show one action.

        A segment is a run of windows whose best class is the same and has at
        least the threshold's probability, joined over gaps shorter than a
        window. Two windows that overlap meet half-way between their centres.

        Args:
            threshold: Least probability of the action in a window.

        Returns:
            Segments in order, which do not overlap; none where the model is
            sure of nothing.

        Raises:
            SpecError: If the threshold is not between 0 and 1.

        Example:

        ```python
        for segment in prediction.segments(threshold=0.7):
            print(segment.start, segment.end, segment.label, segment.score)
        ```
        """
        found = stretches(self.windows, self.timeline, threshold)
        return [
            Segment(start, end, self.classes[winner], score)
            for start, end, winner, score in found
        ]

    def to_json(
        self, top: int = 5, threshold: float = THRESHOLD
    ) -> dict[str, Any]:
        """Return the prediction as JSON-compatible values.

        Args:
            top: Number of classes to name for the whole video.
            threshold: Least probability of an action in a segment's windows.
        """
        windows = zip(self.windows, self.timeline, strict=True)
        per_second = enumerate(self.per_second())
        return {
            "source": self.source,
            "model": self.model,
            "top": _ranked(self.top(top)),
            "streams": {
                stream: _ranked(self.top(top, stream))
                for stream in self.streams
            },
            "windows": [
                {
                    "start": round(float(start), 3),
                    "end": round(float(end), 3),
                    **self._best(scores),
                }
                for (start, end), scores in windows
            ],
            "segments": [
                {
                    "start": round(segment.start, 3),
                    "end": round(segment.end, 3),
                    "label": segment.label,
                    "score": round(segment.score, 4),
                }
                for segment in self.segments(threshold)
            ],
            "per_second": [
                {"second": second, **self._best(scores)}
                for second, scores in per_second
            ],
            **self._states(),
            "truncated": self.truncated,
            "seconds": {
                part: round(value, 3) for part, value in self.seconds.items()
            },
        }

    def _states(self) -> dict[str, Any]:
        if self.states is None:
            return {}
        states = self.states
        return {
            "states": {
                "action": self.classes[states.action],
                "precondition": [round(x, 3) for x in states.precondition],
                "effect": [round(x, 3) for x in states.effect],
            }
        }

    def _best(self, scores: np.ndarray) -> dict[str, Any]:
        best = int(np.argmax(scores))
        return {
            "action": self.classes[best],
            "probability": round(float(scores[best]), 4),
        }

    def __str__(self) -> str:
        named = ", ".join(f"{name} {p:.1%}" for name, p in self.top(3))
        return f"{self.source}: {named}"


def _ranked(top: list[tuple[str, float]]) -> list[dict[str, Any]]:
    return [{"action": n, "probability": round(p, 4)} for n, p in top]
