"""One case in a process of its own, forked from a warm parent, and watched."""

import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from keras_twostream.errors import TwoStreamError

MEMORY = 2**30  # bytes that a case may take beyond its parent's
CPU_SECONDS = 20
WALL_SECONDS = 90
_EXECUTES = (
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "pickle.find_class",
    "subprocess.Popen",
)
_WRITES = {  # and which argument is the path that changes
    "os.link": 1,
    "os.mkdir": 0,
    "os.remove": 0,
    "os.rename": 1,
    "os.symlink": 1,
}


class Outcome(NamedTuple):
    """What a case came to.

    Attributes:
        verdict: "returned", "refused", "raw", "crash", "hang", "executed" or
            "wrote outside".
        value: What the work returned, or the error's text.
        seconds: Processor time of the case.
    """

    verdict: str
    value: Any
    seconds: float


class Running(NamedTuple):
    """A case under way: its process, and the pipe that it reports through."""

    child: int
    pipe: int
    folder: Path
    bounded: bool


def run_case(
    work: Callable[[], Any], folder: Path, *, bounded: bool = True
) -> Outcome:
    """Run a function in a child process, and wait for it.

    Args:
        work: The function; it returns JSON-compatible values.
        folder: Where it may write; it becomes the working directory.
        bounded: Whether memory and time are limited.
    """
    return finish(start(work, folder, bounded=bounded))


def start(
    work: Callable[[], Any], folder: Path, *, bounded: bool = True
) -> Running:
    """Start a case, see `run_case`."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _be_the_child(work, folder, writing, bounded)
    os.close(writing)
    return Running(child, reading, folder, bounded)


def finish(case: Running) -> Outcome:
    """Return the outcome of a case that was started."""
    report, ended = _listen(case.pipe, WALL_SECONDS if case.bounded else None)
    os.close(case.pipe)
    if not ended:
        os.kill(case.child, signal.SIGKILL)
    _, status, usage = os.wait4(case.child, 0)
    seconds = usage.ru_utime + usage.ru_stime
    return _judged(report, ended, status, seconds, case.folder)


def _listen(pipe: int, seconds: float | None) -> tuple[bytes, bool]:
    """Return what was said until the pipe closed, and whether it did."""
    report, end = b"", time.monotonic() + (seconds or float("inf"))
    while True:
        left = None if seconds is None else max(0.0, end - time.monotonic())
        if not select.select([pipe], [], [], left)[0]:
            return report, False
        block = os.read(pipe, 65536)
        if not block:
            return report, True
        report += block


def _judged(
    report: bytes, ended: bool, status: int, seconds: float, folder: Path
) -> Outcome:
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if not ended or number == signal.SIGXCPU:
        return Outcome("hang", "", seconds)
    if number or not report:
        name = signal.Signals(number).name if number else f"status {status}"
        return Outcome("crash", f"{name} {_last_words(folder)}", seconds)
    verdict, value = json.loads(report)
    return Outcome(verdict, value, seconds)


def _last_words(folder: Path) -> str:
    try:
        return _output(folder).read_text(errors="replace")[-300:]
    except OSError:
        return ""


def _output(folder: Path) -> Path:
    return folder.parents[1] / "output.txt"  # the case's disk may be full


# === In the child ===


def _be_the_child(
    work: Callable[[], Any], folder: Path, pipe: int, bounded: bool
) -> None:
    """Do the work, tell the parent, and end, whatever happens."""
    status = 1
    try:
        _be_quiet(folder)
        if bounded:
            _limit()
        seen = _watch(folder) if bounded else []
        answer = _answer(work)
        if seen:
            answer = seen[0]
        _send(pipe, answer)
        status = 0
    finally:
        os._exit(status)


def _send(pipe: int, answer: tuple[str, Any]) -> None:
    data = json.dumps(answer).encode()
    while data:
        data = data[os.write(pipe, data) :]


def _answer(work: Callable[[], Any]) -> tuple[str, Any]:
    try:
        return "returned", work()
    except TwoStreamError as error:
        return "refused", str(error)
    except BaseException as error:
        return "raw", _raised(error)


def _raised(error: BaseException) -> str:
    """Return an error, and the innermost place in the package it passed."""
    place, frame = "", error.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        if "keras_twostream" in code.co_filename:
            name = Path(code.co_filename).name
            place = f"{name}:{frame.tb_lineno} {code.co_name}"
        frame = frame.tb_next
    return f"{type(error).__name__}: {str(error)[:300]} ({place})"


def _be_quiet(folder: Path) -> None:
    os.chdir(folder)
    tempfile.tempdir = str(folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    output = os.open(_output(folder), flags, 0o600)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.dont_write_bytecode = True


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    taken = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _watch(folder: Path) -> list[tuple[str, str]]:
    """Return a list that fills with what the case must not do."""
    seen: list[tuple[str, str]] = []
    inside = (str(folder), "/dev/")

    def outside(path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        return not os.path.abspath(os.fsdecode(path)).startswith(inside)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EXECUTES:
            seen.append(("executed", f"{event} {arguments!r}"[:300]))
        elif event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            if outside(arguments[0]):
                seen.append(("wrote outside", str(arguments[0])))
        elif event in _WRITES and outside(arguments[_WRITES[event]]):
            seen.append(("wrote outside", f"{event} {arguments!r}"[:300]))

    sys.addaudithook(hook)
    return seen
