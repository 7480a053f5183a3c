"""Frames and flow of a whole data set, into a packed cache."""

import dataclasses
import os
import time
from collections.abc import Callable, MutableSequence, Sequence
from pathlib import Path

from keras_twostream.data._cpus import available_cpus
from keras_twostream.data.cache._contract import Contract
from keras_twostream.data.cache._folder import CacheFolder, Entry
from keras_twostream.data.extraction import _work
from keras_twostream.data.extraction._jobs import Job, find_jobs, open_jobs
from keras_twostream.data.extraction._processes import outcomes

# Called with frames done, frames expected in all, and seconds.
Progress = Callable[[int, float, float], None]


@dataclasses.dataclass
class Summary:
    """What an extraction did.

    Attributes:
        out: The cache.
        contract: How it is made.
        done: Lines of the videos that were extracted now.
        present: Number of videos that were there already.
        failed: Reason for each video that failed, by path.
        stopped: Why the run ended early, None if it did not.
        seconds: Time it took.
    """

    out: Path
    contract: Contract
    done: list[Entry] = dataclasses.field(default_factory=list)
    present: int = 0
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    stopped: str | None = None
    seconds: float = 0.0

    @property
    def frames(self) -> int:
        """Frames extracted now."""
        return sum(entry.frames for entry in self.done)

    @property
    def flows(self) -> int:
        """Flow fields extracted now."""
        return sum(entry.flows for entry in self.done)


def extract(
    source: str | os.PathLike,
    out: str | os.PathLike,
    contract: Contract,
    *,
    workers: int | None = None,
    root: str | os.PathLike | None = None,
    format: str | None = None,
    progress: Progress = lambda done, expected, seconds: None,
) -> Summary:
    """Decodes videos once, computes their flow, and keeps both.

    Writes one file for each video, whole or not at all, so a run that was
    interrupted in any way is resumed by calling it again. Every video is
    verified by count: N frames, N-1 flow fields.

    With several workers call it below `if __name__ == "__main__":`, as the
    standard library asks of every program that starts processes.

    Args:
        source: A folder of videos, a list of them, or a single one.
        out: The cache's folder.
        contract: What to write: `Contract.of(spec)`.
        workers: Processes. When None one per processor, and a single one
            for TV-L1, which is parallel in itself.
        root: Folder that a list's videos are in.
        format: Of a list, see `read_annotations`.
        progress: Called now and then.

    Returns:
        What was done, and what failed why.

    Raises:
        SpecError: If there is no video, or `out` was made otherwise.

    Example:
        >>> extract("videos", "cache", Contract.of(kts.clip_spec(model)))
    """
    jobs = find_jobs(source, root, format)
    folder = CacheFolder(out)
    folder.agree(contract)
    waiting = open_jobs(jobs, folder, contract)
    summary = Summary(folder.path, contract, present=len(jobs) - len(waiting))
    if waiting:
        workers = min(workers or _processes_for(contract), len(waiting))
        _run(waiting, folder, summary, workers, progress)
    folder.tidy()
    return summary


def _run(
    jobs: Sequence[Job],
    folder: CacheFolder,
    summary: Summary,
    workers: int,
    progress: Progress,
) -> None:
    start = time.perf_counter()
    size = sum(_size(job.video) for job in jobs)

    def tick(tally: MutableSequence[int]) -> None:
        seconds = time.perf_counter() - start
        progress(tally[_work.DONE], _expected(tally, size), seconds)

    results = outcomes(jobs, summary.contract, str(folder.path), workers, tick)
    for outcome in results:
        summary.seconds = time.perf_counter() - start
        if outcome.fatal:
            summary.stopped = outcome.reason
            results.close()
            break
        if outcome.entry is None:
            summary.failed[outcome.job.video] = outcome.reason
        else:
            folder.add(outcome.entry)
            summary.done.append(outcome.entry)


def _expected(tally: MutableSequence[int], size: int) -> float:
    """Frames in all, judged by the videos that were begun."""
    share = tally[_work.BEGUN] / size if size else 0
    return tally[_work.EXPECTED] / share if share else 0.0


def _size(video: str) -> int:
    return os.path.getsize(video) if os.path.isfile(video) else 0


def _processes_for(contract: Contract) -> int:
    alone = "flow" in contract.streams and contract.flow_algorithm == "tvl1"
    return 1 if alone else available_cpus()
