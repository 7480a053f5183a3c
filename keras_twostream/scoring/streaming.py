"""Prediction while a video is still being filmed.

A thread reads the source and keeps the newest frames, as many as a window
has. Windows are scored one after the other, each of the newest frames: where
the network is slower than the camera, frames are dropped, and the answer is
never late by more than a window's work.
"""

import dataclasses
import math
import threading
import time
from collections.abc import Iterator

import keras
import numpy as np

from keras_twostream._stopwatch import Stopwatch
from keras_twostream.data.cutting.rolling import Rolling, Ticker
from keras_twostream.data.cutting.windowing import SHORTEST_HOP
from keras_twostream.data.video.live import Line, LiveSource, arrivals
from keras_twostream.errors import check_seconds
from keras_twostream.prediction import Prediction
from keras_twostream.scoring import predicting
from keras_twostream.scoring.engines import Engine, check_engine
from keras_twostream.spec import ClipSpec

_LOSS = 2.0  # seconds without a frame; no window spans more


@dataclasses.dataclass(frozen=True, repr=False)
class LivePrediction(Prediction):
    """The answer about the newest window of a stream.

    Attributes:
        picture: (H, W, 3) uint8, the newest frame of the window.
        motion: (H, W, 2) the newest field of flow, in pixels at the spec's
            size; None before any.
        latency: Seconds from the arrival of the newest frame to the answer.
        ms_per_frame: Milliseconds of work, for each frame since the last
            window.
        dropped: Frames so far that were in no window.
    """

    picture: np.ndarray | None = None
    motion: np.ndarray | None = None
    latency: float = 0.0
    ms_per_frame: float = 0.0
    dropped: int = 0

    def to_line(self, top: int = 5) -> dict:
        """Return the answer as JSON-compatible values, short enough to log."""
        whole = self.to_json(top)
        return {
            "start": whole["windows"][0]["start"],
            "end": whole["windows"][0]["end"],
            "top": whole["top"],
            "streams": whole["streams"],
            "latency": round(self.latency, 4),
            "ms_per_frame": round(self.ms_per_frame, 2),
            "dropped": self.dropped,
        }


def stream(
    source: LiveSource,
    model: keras.Model | str | None = None,
    *,
    head: str | None = None,
    flow: str | None = None,
    hop: float | None = None,
    pace: float | None = 1.0,
    patience: float = 30.0,
    engine: str = "auto",
    seconds: float | None = None,
) -> Iterator[LivePrediction]:
    """Name the actions of a camera or a stream while it runs.

    A window is as long as the model's clip, or ten seconds where the model
    samples whole videos. A camera or an address that goes away is opened
    again, after waits that double.

    Args:
        source: The number of a camera, an address (rtsp://, http://), or a
            video file, which is played at its own pace.
        model: A model whose head is trained, or a name for `load`; by
            default the weights that `predict` takes.
        head: The head to ask, as in `predict`.
        flow: Optical flow algorithm; the model's own when None.
        hop: Seconds from one window to the next, if the machine is fast
            enough; when None half a window, and 0.2 s or more.
        pace: Seconds of a file that are played in one second; None reads it
            as fast as it is scored, and drops nothing.
        patience: Seconds after which a source that went away is given up.
        engine: As in `predict`. "auto" takes ONNX Runtime if the network was
            exported before, and "onnxruntime" exports it before the source is
            opened.
        seconds: Time after which the stream ends, from the opening of the
            source; None follows it to its end.

    Yields:
        A `LivePrediction` for each window: a prediction of that window, with
        its latency and the newest frame.

    Raises:
        UntrainedHeadError: If the model's classifier is random.
        VideoError: If the source cannot be opened, or is lost for good.
        SpecError: If an argument is not as above, or the model cannot be
            exported for ONNX Runtime.
        UnknownNameError: If the model has no such head.
        MissingLibraryError: If ONNX Runtime is asked for and not installed.

    Example:

    ```python
    for answer in keras_twostream.stream(0, model):
        print(answer.top(1), f"{answer.latency:.2f} s late")
    ```
    """
    check_engine(engine)
    model, spec = predicting.ready(model, flow, head=head)
    for name, value in (("hop", hop), ("seconds", seconds)):
        if value is not None:
            check_seconds(name, value)
    line = Line(source, pace, patience)
    watcher = _Watcher(model, spec, line.name, engine)
    return _answers(line, watcher, hop, seconds)


def _answers(
    line: Line, watcher: "_Watcher", hop: float | None, seconds: float | None
) -> Iterator[LivePrediction]:
    watcher.warm_up()
    paced = not (line.is_file and line.pace is None)
    buffer = _Buffer(line, watcher.spec, hop, seconds)
    windows = buffer.newest() if paced else buffer.every()
    try:
        for window in windows:
            yield watcher.answer(window, buffer.rolling)
    finally:
        buffer.stop()


@dataclasses.dataclass(frozen=True)
class _Window:
    """A window of frames, ready to be scored."""

    first: int
    frames: list[np.ndarray]
    picture: np.ndarray
    moment: float  # at which the newest frame arrived
    fresh: int  # frames since the last window
    dropped: int


class _Buffer:
    """The newest frames of a source, and the windows made of them."""

    def __init__(
        self,
        line: Line,
        spec: ClipSpec,
        hop: float | None,
        seconds: float | None = None,
    ) -> None:
        self._line = line
        self._end = math.inf if seconds is None else time.monotonic() + seconds
        self.rolling = Rolling(spec, line.rate)
        rate, length = self.rolling.rate, self.rolling.length
        if hop is None:
            hop = max(length / rate / 2, SHORTEST_HOP)
        self._hop = max(1, round(hop * rate))
        self._ticker = Ticker(rate)
        self._before: np.ndarray | None = None
        self._latest: tuple[np.ndarray, float] | None = None
        self._due, self._seen, self._dropped = 0, -1, 0
        self._state = threading.Condition()
        self._ended, self._stopped = False, False
        self._error: Exception | None = None

    def every(self) -> Iterator[_Window]:
        """Yield every window, reading as fast as they are taken."""
        for arrival in arrivals(self._line, self._is_over):
            for _ in self._pushed(arrival):
                if self._ready():
                    yield self._window()

    def newest(self) -> Iterator[_Window]:
        """Yield the newest window whenever one is asked for."""
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        while True:
            with self._state:
                self._state.wait_for(
                    lambda: self._ready() or self._ended, self._left()
                )
                if not self._ready() or self._is_over():
                    break
                window = self._window()
            yield window
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Let the reader end."""
        self._stopped = True

    def _is_over(self) -> bool:
        return self._stopped or time.monotonic() >= self._end

    def _left(self) -> float | None:
        """Return the seconds until the end, if there is one."""
        if math.isinf(self._end):
            return None
        return max(0.0, self._end - time.monotonic())

    def _read(self) -> None:
        try:
            for arrival in arrivals(self._line, self._is_over):
                with self._state:
                    for _ in self._pushed(arrival):
                        pass
                    self._state.notify_all()
        except Exception as error:  # raised where windows are taken
            self._error = error
        finally:
            with self._state:
                self._ended = True
                self._state.notify_all()

    def _pushed(self, arrival) -> Iterator[None]:
        """Push a frame at each of its ticks."""
        small = self.rolling.fit(arrival.image)
        before, now = self._ticker.ticks(arrival.second)
        if before + now > _LOSS * self._ticker.rate or not arrival.joined:
            self.rolling.skip(before + now - 1)
            self._seen, before, now = self.rolling.newest, 0, 1
        for _ in range(before):
            if self._before is not None:
                self.rolling.push(self._before)
                yield
        self._before, self._latest = small, (arrival.image, arrival.moment)
        for _ in range(now):
            self.rolling.push(small)
            yield

    def _ready(self) -> bool:
        return self.rolling.is_full and self.rolling.newest >= self._due

    def _window(self) -> _Window:
        first, frames = self.rolling.snapshot()
        picture, moment = self._latest or (frames[-1], time.monotonic())
        planned = max(self._seen, self._due - self.rolling.length) + 1
        self._dropped += max(0, first - planned)
        fresh = self.rolling.newest - max(self._seen, first - 1)
        self._seen = self.rolling.newest
        self._due = self._seen + self._hop
        return _Window(first, frames, picture, moment, fresh, self._dropped)


class _Watcher:
    """A model that answers about windows."""

    def __init__(
        self, model: keras.Model, spec: ClipSpec, name: str, engine: str
    ) -> None:
        self._model, self.spec, self._name = model, spec, name
        self._runtime = Engine(engine, predicting.kept_scorer(model), clips=1)

    def warm_up(self) -> None:
        """Compile before the first frame, so that it need not wait."""
        # An export is compared with Keras on this clip, so it is not empty.
        rng, spec = np.random.default_rng(0), self.spec
        shape = 1, spec.clip_length, *spec.crop
        levels = {
            stream: rng.uniform(0, 255, (*shape, spec.channels(stream)))
            for stream in spec.streams
        }
        self._scores(
            {
                stream: values.astype(
                    np.uint8 if stream == "rgb" else "float32"
                )
                for stream, values in levels.items()
            }
        )

    def _scores(self, clip: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        scores = self._runtime.scores(clip)
        return {name: np.asarray(rows) for name, rows in scores.items()}

    def answer(self, window: _Window, rolling: Rolling) -> LivePrediction:
        """Score one window."""
        watch, begun = Stopwatch(), time.monotonic()
        with watch("flow"):
            clip = rolling.clip(window.first, window.frames)
        with watch("network"):
            logits = self._scores(clip)
        end = window.first + len(window.frames)
        spans = np.array([[window.first, end]]) / rolling.rate
        plain = predicting.prediction_of(
            self._name, self._model, self.spec, spans, logits
        )
        done = time.monotonic()
        return LivePrediction(
            **{
                **vars(plain),
                "seconds": watch.seconds,
                "engine": self._runtime.used,
            },
            picture=window.picture,
            motion=rolling.motion(),
            latency=done - window.moment,
            ms_per_frame=1000 * (done - begun) / max(1, window.fresh),
            dropped=window.dropped,
        )
