"""`keras-twostream live`: the action in front of a camera."""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from keras_twostream._printing import counted, percent, readable
from keras_twostream._stopwatch import Stopwatch
from keras_twostream.cli import _console, _files, _model
from keras_twostream.cli._options import (
    debug_option,
    default_model_option,
    device_option,
    engine_option,
    file_option,
    flow_option,
    head_option,
    precision_option,
    yes_option,
)
from keras_twostream.errors import VideoError
from keras_twostream.pretrained import _default_weights

Sink = Callable[[Any], None]  # takes each LivePrediction


@click.command("live")
@click.argument("source")
@default_model_option
@head_option
@yes_option
@click.option(
    "--hop",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Seconds from one answer to the next; half a clip by default.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    help="Stop after this time; never by default.",
)
@click.option(
    "--patience",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Wait this long for a source that went away.",
)
@click.option(
    "--pace",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Speed at which a file is played; 0 for every window of it.",
)
@file_option("--video", "video", "Write what is shown to a video.")
@click.option("--window", is_flag=True, help="Show it in a window; q ends.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON document per line, one for each window.",
)
@flow_option
@engine_option
@precision_option
@device_option
@debug_option
def live_command(
    source: str,
    name: str | None,
    head: str | None,
    yes: bool,
    algorithm: str | None,
    engine: str,
    precision: str,
    as_json: bool,
    video: Path | None,
    window: bool,
    seconds: float | None,
    **options: Any,
) -> None:
    """Name the action in front of a camera, while it happens.

    SOURCE is the number of a camera (0 is the first), an address
    (rtsp://..., http://...), or a video file, which is played at its own pace.
    """
    if window:
        check_window()
    if video is not None:
        _files.check_writable(video.parent, by="")
        _refuse_replacing(video, source)
    place = int(source) if source.isdecimal() else os.path.expanduser(source)
    _check_source(place)
    name = name or _default_weights.agreed_weights(yes=yes).name
    loaded = _model.load(name, algorithm, Stopwatch(), head, precision)
    loaded.introduce()

    from keras_twostream.scoring.streaming import stream

    answers = stream(
        place,
        loaded.model,
        flow=algorithm,
        hop=options["hop"],
        pace=options["pace"] or None,
        patience=options["patience"],
        engine=engine,
        seconds=seconds,
    )
    tally = _Tally()
    try:
        with contextlib.ExitStack() as stack:
            sinks: list[Sink] = [_print_json if as_json else _print, tally.add]
            if video is not None or window:
                sinks.append(stack.enter_context(_pictures(video, window)))
            ended = _follow(answers, sinks)
        if ended is not None:
            raise ended
        if not tally.count:
            _console.err.print("No answer: no window was full in time.")
    except VideoError as error:
        _console.complain(str(error))
        click.get_current_context().exit(1)
    finally:
        tally.report()


def _refuse_replacing(video: Path, source: str) -> None:
    """Refuse to write the video over the file that is played."""
    from keras_twostream import _files as whole_files
    from keras_twostream.visual import video_path

    if not source.isdecimal():
        whole_files.refuse_replacing([video_path(video)], [source])


def _check_source(place: int | str) -> None:
    """End the command, before weights are fetched, if a file is not there.

    Raises:
        SpecError: If it is an address of an unknown kind.
    """
    from keras_twostream.data.video.live import Line
    from keras_twostream.data.video.opening import check_file

    try:
        if Line(place).is_file:
            check_file(str(place))
    except VideoError as error:
        _console.complain(str(error))
        click.get_current_context().exit(1)


def _follow(answers: Any, sinks: list[Sink]) -> BaseException | None:
    """Give each answer to all sinks, until they end or a window closes.

    Returns:
        What ended the answers early, which leaves a whole video: Ctrl-C, by
        which a camera's user ends the command, or a source that went away.
    """
    with contextlib.closing(answers):
        try:
            for answer in answers:
                for sink in sinks:
                    sink(answer)
        except StopIteration:  # the window was closed
            return None
        except (KeyboardInterrupt, VideoError) as error:
            return error
    return None


# === Lines ===


def _print_json(answer: Any) -> None:
    _console.print_json(answer.to_line(), indent=None)


def _print(answer: Any) -> None:
    ((name, share),) = answer.top(1)
    second = answer.windows[0, 1]
    _console.out.print(
        f"{second:8.1f} s  {percent(share):>6}  {readable(name)}"
        f"   {answer.latency * 1000:.0f} ms late",
        markup=False,
    )


class _Tally:
    """The numbers of a stream, reported at its end.

    Attributes:
        count: Answers so far.
    """

    def __init__(self) -> None:
        self.count, self._dropped = 0, 0
        self._latency, self._worst, self._work = 0.0, 0.0, 0.0

    def add(self, answer: Any) -> None:
        """Count one answer."""
        self.count += 1
        self._latency += answer.latency
        self._work += answer.ms_per_frame
        self._worst = max(self._worst, answer.latency)
        self._dropped = answer.dropped

    def report(self) -> None:
        """Print the means to standard error."""
        if not self.count:
            return
        _console.err.print(
            f"{counted(self.count, 'window')}, "
            f"{self._work / self.count:.1f} ms of work a frame, "
            f"{1000 * self._latency / self.count:.0f} ms late on average and "
            f"{1000 * self._worst:.0f} ms at most, "
            f"{counted(self._dropped, 'frame')} dropped"
        )


# === Pictures ===


def check_window() -> None:
    """Refuse `--window` where OpenCV can open none.

    Raises:
        click.UsageError: Without a display, or a build without windows.
    """
    from keras_twostream._opencv import cv2

    built = re.search(r"GUI:\s*(\w+)", cv2.getBuildInformation())
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    linux = sys.platform.startswith("linux")
    if linux and not any(os.environ.get(name) for name in displays):
        reason = "There is no display here"
    elif built is None or built[1] == "NONE":
        reason = "This build of OpenCV has no windows (opencv-python has)"
    else:
        return
    raise click.UsageError(f"{reason}. Write a file with --video, or lines.")


@contextlib.contextmanager
def _pictures(video: Path | None, window: bool) -> Iterator[Sink]:
    """Give a function that draws each answer, into a file and a window.

    The file begins with the first answer.
    """
    from keras_twostream import visual

    broadcast = visual.Broadcast()
    with contextlib.ExitStack() as stack:
        write: Callable[[Any, float], None] | None = None

        def draw(answer: Any) -> None:
            nonlocal write
            picture = broadcast.draw(
                answer.story(), answer.picture, answer.motion
            )
            if video is not None:
                write = write or stack.enter_context(_written(video))
                write(picture, float(answer.windows[0, 1]))
            if window:
                _show(picture)

        yield draw


_RATE = 10  # pictures per second in a written video
_LONGEST = 60.0  # seconds that one picture is shown in it


@contextlib.contextmanager
def _written(video: Path) -> Iterator[Callable[[Any, float], None]]:
    """Give a function that adds a picture, for as long as it is shown."""
    from keras_twostream import visual

    with visual.video_writer(video, _RATE, visual.SIZE) as (place, append):
        last: list[Any] = []
        owed = 0.0  # pictures that time has passed for, and are not written

        def write(picture: Any, second: float) -> None:
            nonlocal owed
            if last:
                owed += min(max(second - last[1], 0.0), _LONGEST) * _RATE
                for _ in range(round(owed)):
                    append(last[0])
                owed -= round(owed)
            last[:] = [picture, second]

        yield write
        append(last[0])
    _console.err.print(str(place), markup=False, soft_wrap=True)


def _show(picture: Any) -> None:
    """Show a picture in the window; end where it was closed, or q pressed."""
    from keras_twostream._opencv import cv2

    title = "keras-twostream"
    cv2.imshow(title, picture[..., ::-1])
    pressed = cv2.waitKey(1) & 0xFF
    if pressed in (ord("q"), 27):
        raise StopIteration
    if cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1:
        raise StopIteration
