"""An `Explanation` of a score, and its pictures."""

import base64
import dataclasses
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream import _files, _html, visual
from keras_twostream._printing import percent, readable
from keras_twostream.errors import VideoError
from keras_twostream.explaining._projection import FrameMaps

MOMENTS = 8  # frames on the sheet

# Second, frame and motion of a video's frames, from the start.
Footage = Callable[[], Iterator[tuple[float, np.ndarray, np.ndarray]]]


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Explanation:
    """The reasons why a model sees an action in a video.

    Attributes:
        source: The video file, "frames" or "clip".
        model: Name of the weights, or of the architecture.
        label: The action that is explained.
        method: "grad_cam" or "occlusion".
        probability: Probability of the action in the whole video.
        logit: Fused logit of the action, mean of the windows.
        neutral_logit: The same when no stream says anything.
        contributions: Share of each stream in `logit - neutral_logit`; they
            add up to it.
        maps: (T, H, W) float32 of each stream, 0..1, on the video's own
            frames; 1 is where the stream looks most in the whole video. A
            map is made when it is asked for.
        windows: (N, 2) first and last second of each window.
        timelines: (N,) share of each stream in the windows.
        rate: Frames per second.
    """

    source: str
    model: str
    label: str
    method: str
    probability: float
    logit: float
    neutral_logit: float
    contributions: dict[str, float]
    maps: FrameMaps
    windows: np.ndarray
    timelines: dict[str, np.ndarray]
    rate: float
    footage: Footage

    def centre(self, stream: str, frame: int) -> tuple[float, float] | None:
        """Return the centre of what a stream looks at in a frame.

        Args:
            stream: "rgb" or "flow".
            frame: Number of the frame.

        Returns:
            (x, y) as shares of width and height; None where it looks at
            nothing.
        """
        small = self.maps.small[stream][frame]
        total = float(small.sum())
        if not total > 0:
            return None
        y, x = (
            float(small.sum(axis=other) @ (np.arange(count) + 0.5)) / count
            for other, count in zip((1, 0), small.shape, strict=True)
        )
        return x / total, y / total

    def save_video(self, path: str | os.PathLike) -> Path:
        """Write an annotated video: the maps over frame and motion.

        Args:
            path: File to write; its suffix follows the encoder that FFmpeg
                has, .mp4 or .webm.

        Returns:
            The path written.

        Raises:
            VideoError: If the source can no longer be read.
            SpecError: If the video would take the source's place.
        """
        _files.refuse_replacing([visual.video_path(path)], [self.source])
        return visual.heat_video(
            path, self._reasons(), self._moments(), self.rate
        )

    def save_sheet(self, path: str | os.PathLike) -> Path:
        """Write a PNG: eight moments with their maps, and the shares.

        Args:
            path: File to write.

        Returns:
            The path.

        Raises:
            VideoError: If the source can no longer be read.
            SpecError: If the sheet would take the source's place.
        """
        _files.refuse_replacing([path], [self.source])
        return visual.heat_sheet(path, self._reasons(), self._few(MOMENTS))

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as JSON-compatible values.

        Maps appear as their centres, in the middle of each second.
        """
        shares = {s: values.tolist() for s, values in self.timelines.items()}
        return {
            "source": self.source,
            "model": self.model,
            "label": self.label,
            "method": self.method,
            "probability": round(self.probability, 4),
            "logit": round(self.logit, 4),
            "neutral_logit": round(self.neutral_logit, 4),
            "contributions": _rounded(self.contributions),
            "windows": [
                {
                    "start": round(float(start), 3),
                    "end": round(float(end), 3),
                    "contributions": _rounded(
                        {stream: shares[stream][i] for stream in shares}
                    ),
                }
                for i, (start, end) in enumerate(self.windows)
            ],
            "per_second": list(self._per_second()),
        }

    def _per_second(self) -> Iterator[dict[str, Any]]:
        frames = len(next(iter(self.maps.small.values())))
        for second in range(int(np.ceil(frames / self.rate))):
            frame = min(round((second + 0.5) * self.rate), frames - 1)
            centres = {s: self.centre(s, frame) for s in self.maps}
            yield {
                "second": second,
                "centres": {
                    stream: None if at is None else [round(x, 3) for x in at]
                    for stream, at in centres.items()
                },
            }

    def __str__(self) -> str:
        shares = ", ".join(
            f"{stream} {share:+.2f}"
            for stream, share in self.contributions.items()
        )
        return (
            f"{self.source}: {self.label} {percent(self.probability)} "
            f"({shares})"
        )

    def __repr__(self) -> str:
        return f"<Explanation by {self.method} of {self}>"

    def _repr_html_(self) -> str:
        """Return a table of the shares, and four moments, for notebooks."""
        shares = [[k, f"{x:+.2f}"] for k, x in self.contributions.items()]
        title = _html.escaped(f"{self.label} {percent(self.probability)}")
        table = _html.table(["stream", "share of the score"], shares)
        return f"<b>{title}</b>{table}{self._picture()}"

    def _picture(self) -> str:
        """Return an HTML image; nothing if the source can no longer be read."""
        try:
            image = visual.heat_image(self._reasons(), self._few(4))
        except VideoError:
            return ""
        file = io.BytesIO()
        image.reduce(2).save(file, format="JPEG", quality=85)
        text = base64.b64encode(file.getvalue()).decode("ascii")
        return f'<img src="data:image/jpeg;base64,{text}">'

    def _reasons(self) -> visual.Reasons:
        method = self.method.replace("_", "-")
        return visual.Reasons(
            name=Path(self.source).name,
            subtitle=f"{self.model}, {method}",
            headline=(readable(self.label), percent(self.probability)),
            contributions=self.contributions,
            total=(
                f"score {self.logit:+.2f}, without any stream "
                f"{self.neutral_logit:+.2f}"
            ),
            seconds=self.windows.mean(axis=1),
            timelines=self.timelines,
        )

    def _moments(self) -> Iterator[Any]:
        frames = len(next(iter(self.maps.small.values())))
        moments = zip(range(frames), self.footage(), strict=False)
        for number, moment in moments:
            small = {s: maps[number] for s, maps in self.maps.small.items()}
            yield (*moment, small)

    def _few(self, count: int) -> list[Any]:
        frames = len(next(iter(self.maps.small.values())))
        chosen = set(np.linspace(0, frames - 1, count).round().astype(int))
        return [m for i, m in enumerate(self._moments()) if i in chosen]


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in values.items()}
