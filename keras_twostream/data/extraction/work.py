"""Extraction of one video in one process, without Keras or TensorFlow."""

import dataclasses
import multiprocessing
import os
import signal
import threading
from collections.abc import MutableSequence

from keras_twostream._files import FULL, LOCKED, refusal
from keras_twostream._opencv import cv2
from keras_twostream.data.cache import addresses
from keras_twostream.data.cache.contract import Contract
from keras_twostream.data.cache.folder import Entry
from keras_twostream.data.cache.packing import pack_video
from keras_twostream.data.cache.remote_folder import packed_target
from keras_twostream.data.extraction.jobs import Job
from keras_twostream.data.video import packets
from keras_twostream.errors import MissingLibraryError, TwoStreamError

# Indices into the tally that processes share: bytes of the videos begun, their
# frames, frames done, and a flag to stop.
BEGUN, EXPECTED, DONE, STOP = range(4)

_shared: MutableSequence[int] = [0, 0, 0, 0]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a job: an entry or a reason for failure.

    Attributes:
        job: The job.
        entry: The video's manifest entry, None if it failed.
        reason: Reason for the failure.
        fatal: Whether every other job would fail in the same way.
    """

    job: Job
    entry: Entry | None = None
    reason: str = ""
    fatal: bool = False


class Stopped(Exception):
    """An exception that ends the run and discards unfinished work."""


def begin(shared: MutableSequence[int]) -> None:
    """Prepare a process to ignore Ctrl-C and to exit with its parent."""
    global _shared
    _shared = shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)  # the processes share the cores
    threading.Thread(target=_follow_parent, daemon=True).start()


def work_in_process(job: Job, contract: Contract, folder: str) -> Outcome:
    """Run `work` in a process that `begin` prepared."""
    return work(job, contract, folder, _shared)


def work_alone(job: Job, contract: Contract, folder: str) -> Outcome:
    """Run `work` in a process that shares no tally."""
    cv2.setNumThreads(1)
    return work(job, contract, folder, [0, 0, 0, 0])


def work(
    job: Job,
    contract: Contract,
    folder: str,
    tally: MutableSequence[int],
) -> Outcome:
    """Extract one video.

    Returns:
        The outcome, which holds any error.
    """

    def report(frames: int) -> None:
        _add(tally, DONE, frames)
        if tally[STOP]:
            raise Stopped

    try:
        with (
            packed_target(folder, job.name) as target,
            addresses.local_copy(job.video) as video,
        ):
            scan = packets.scan_video(video)
            _add(tally, EXPECTED, len(scan.timeline(contract.frame_rate)))
            _add(tally, BEGUN, os.path.getsize(video))
            entry = pack_video(video, target, contract, job.name, report)
        return Outcome(job, entry)
    except Stopped:
        return Outcome(job, reason="stopped", fatal=True)
    except MissingLibraryError as error:
        return Outcome(job, reason=str(error), fatal=True)
    except TwoStreamError as error:
        return Outcome(job, reason=_naming(job, str(error)))
    except OSError as error:
        return _failed_write(job, folder, error)
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        return Outcome(job, reason=_naming(job, words))


def _naming(job: Job, reason: str) -> str:
    """Return the reason, with the video's URL instead of its copy's path."""
    return reason if job.video in reason else f"{job.video}: {reason}"


def _failed_write(job: Job, folder: str, error: OSError) -> Outcome:
    inside = str(error.filename or "").startswith(folder)
    if error.errno in FULL or (error.errno in LOCKED and inside):
        return Outcome(job, reason=cannot_write(folder, error), fatal=True)
    return Outcome(job, reason=f"Cannot extract {job.video}: {error}")


def cannot_write(folder: str, error: OSError) -> str:
    """Return why a run that cannot write into its cache ends."""
    again = "and run the same command again: it goes on where it stopped"
    return refusal(folder, error, again)


def _add(tally: MutableSequence[int], place: int, count: int) -> None:
    lock = getattr(tally, "get_lock", threading.Lock)()
    with lock:
        tally[place] += count


def _follow_parent() -> None:
    """End this process with its parent; it would otherwise wait forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
