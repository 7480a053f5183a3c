"""A model's answer about a video."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_twostream._printing import SHARE_DIGITS, percent, printable
from keras_twostream.errors import (
    MissingLibraryError,
    SpecError,
    UnknownNameError,
    check_count,
    did_you_mean,
)
from keras_twostream.spec import FUSED, ClipSpec
from keras_twostream.timeline import THRESHOLD, Segment, States, stretches

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from keras_twostream.visual import Story

FRAMES = "frames"  # the source of a prediction that came from no file


@dataclasses.dataclass(frozen=True, repr=False)
class Prediction:
    """A model's answer about a video.

    In a notebook it shows itself: scores, times, segments.

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
        seconds: Seconds spent on decode, flow and network, which in a long
            video work at the same time.
        states: States before and after the action, in the window where the
            model is surest; None unless it is Actions ~ Transformations. They
            say which frames the answer rests on; the change may begin later
            and end sooner.
        spec: The model's clip, with the flow algorithm that was asked for.
        engine: The runtime of the network, "keras" or "onnxruntime".
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
    spec: ClipSpec | None = None
    engine: str = "keras"

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
            SpecError: If `count` is no whole number of 1 or more.
            UnknownNameError: If that stream was not scored apart.
        """
        scores = self._scores(stream)
        best = self.best(count, stream)
        return [(self.classes[i], float(scores[i])) for i in best]

    def best(self, count: int = 5, stream: str | None = None) -> list[int]:
        """Return the numbers of the likeliest classes, as `top` does names.

        Two classes may have one name.
        """
        check_count("count", count)
        ranks = np.argsort(-self._scores(stream), kind="stable")
        return ranks[:count].tolist()

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
        parts = stretches(self.windows, self.timeline, threshold)
        return [
            Segment(start, end, self.classes[winner], score)
            for start, end, winner, score in parts
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
                    "score": round(segment.score, SHARE_DIGITS),
                }
                for segment in self.segments(threshold)
            ],
            "per_second": [
                {"second": second, **self._best(scores)}
                for second, scores in per_second
            ],
            **self._states(),
            "truncated": self.truncated,
            "engine": self.engine,
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
            "probability": round(float(scores[best]), SHARE_DIGITS),
        }

    # === As it is shown ===

    def __str__(self) -> str:
        named = ", ".join(f"{name} {percent(p)}" for name, p in self.top(3))
        return printable(f"{self.source}: {named} (by {self.model})")

    def __repr__(self) -> str:
        ((name, share),) = self.top(1)
        return printable(
            f"<Prediction {Path(self.source).name!r}: {name} {percent(share)},"
            f" {self.duration:.1f} s in {len(self.windows)} windows>"
        )

    def _repr_html_(self) -> str:
        from keras_twostream import visual

        note = "The file ends before it should." if self.truncated else ""
        return visual.page(self.story(), self.segments(), note)

    def plot(self, count: int = 5) -> "Figure":
        """Return a figure: the likeliest classes, and their time.

        Args:
            count: Number of classes.

        Returns:
            A Matplotlib figure, which a notebook shows; `savefig` writes it.

        Raises:
            SpecError: If `count` is no whole number of 1 or more.
        """
        from keras_twostream import visual

        check_count("count", count)
        return visual.plot(self.story(), count)

    def to_dataframe(self, stream: str | None = None) -> "DataFrame":
        """Return the windows as a table of pandas.

        Args:
            stream: "rgb" or "flow" alone; all streams together when None.

        Returns:
            A DataFrame of probabilities: one row per window, with its start
            and end in seconds as index, and one column per class.

        Raises:
            UnknownNameError: If that stream was not scored apart.
            MissingLibraryError: If pandas is not installed.

        Example:

        ```python
        table = prediction.to_dataframe()
        table.idxmax(axis=1)  # the action of each window
        ```
        """
        scores = self.timeline
        if stream is not None:
            self._scores(stream)
            scores = self.stream_timelines[stream]
        try:
            import pandas
        except ImportError as error:
            raise MissingLibraryError(
                "A table needs pandas, which is not installed: pip install "
                "pandas. `to_json` and `timeline` need nothing else."
            ) from error
        return pandas.DataFrame(
            scores,
            index=pandas.MultiIndex.from_arrays(
                self.windows.T, names=["start", "end"]
            ),
            columns=pandas.Index(self.classes, name="action"),
        )

    # === Pictures ===

    def save_video(
        self,
        path: str | os.PathLike,
        *,
        sheet: str | os.PathLike | None = None,
        **options: Any,
    ) -> Path:
        """Write an annotated video: frames, motion, scores, time.

        Args:
            path: File to write: H.264 in .mp4, or VP9 in .webm where FFmpeg
                has no H.264; the suffix follows.
            sheet: File for a contact sheet, drawn in the same pass.
            **options: `source`: the video, if it is not where it was, or the
                (T, H, W, 3) frames that were given; `truth`: the true action;
                `progress`: a function called with frames done and in all.

        Returns:
            The path written.

        Raises:
            VideoError: If the file cannot be read.
            SpecError: If it was predicted from frames, and none are given, or
                a picture would take the place of the video.
            MissingLibraryError: If FFmpeg can write neither format.

        Example:

        ```python
        prediction.save_video("answer.mp4")
        ```
        """
        return self._draw(video=path, sheet=sheet, **options)["video"]

    def save_sheet(self, path: str | os.PathLike, **options: Any) -> Path:
        """Write a contact sheet: moments, motion, scores, time, as a PNG.

        Args:
            path: File to write.
            **options: As of `save_video`.

        Returns:
            The path written.

        Raises:
            VideoError: If the file cannot be read.
            SpecError: If it was predicted from frames, and none are given, or
                the sheet would take the place of the video.
        """
        return self._draw(sheet=path, **options)["sheet"]

    def _draw(
        self,
        *,
        source: str | os.PathLike | np.ndarray | None = None,
        truth: str | None = None,
        progress: Callable[[float, float], None] | None = None,
        **files: Any,
    ) -> dict[str, Path]:
        from keras_twostream import visual

        if self.spec is None or (source is None and self.source == FRAMES):
            raise SpecError(
                "This prediction knows no video to draw. Give it: "
                "save_video(path, source=...), a file or the frames."
            )
        return visual.draw(
            self.story(truth),
            self.source if source is None else source,
            self.spec,
            progress=progress,
            **files,
        )

    def story(self, truth: str | None = None) -> "Story":
        """Return the scores as the pictures tell them."""
        from keras_twostream import visual

        return visual.Story(
            name=Path(self.source).name,
            classes=self.classes,
            windows=self.windows,
            timelines={**self.stream_timelines, FUSED: self.timeline},
            whole={**self.streams, FUSED: self.probabilities},
            subtitle=self.model,
            truth=truth,
            states=self.states,
        )


def _ranked(top: list[tuple[str, float]]) -> list[dict[str, Any]]:
    return [
        {"action": n, "probability": round(p, SHARE_DIGITS)} for n, p in top
    ]
