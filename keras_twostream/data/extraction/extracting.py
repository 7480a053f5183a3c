"""Extraction of a whole data set's frames and flow into a packed cache."""

import dataclasses
import os
import time
from collections.abc import Callable, Generator, MutableSequence, Sequence

import numpy as np

from keras_twostream import _cluster, _files, flow
from keras_twostream._cpus import available_cpus
from keras_twostream.data.cache import addresses
from keras_twostream.data.cache.contract import Contract
from keras_twostream.data.cache.folder import (
    CONTRACT_FILE,
    MANIFEST_FILE,
    ROOTS_FILE,
    CacheFolder,
    Entry,
)
from keras_twostream.data.cache.remote_folder import open_folder
from keras_twostream.data.cache.store import refuse_among, root_of
from keras_twostream.data.extraction import processes, ray_cluster, work
from keras_twostream.data.extraction.jobs import (
    Job,
    find_jobs,
    named_apart,
    open_jobs,
)
from keras_twostream.data.extraction.remote_jobs import find_remote_jobs
from keras_twostream.errors import check_choice
from keras_twostream.spec import IN_GRAPH_FLOW

ENGINES = ("local", "ray")
# Function of frames done, frames expected in total, and seconds.
Progress = Callable[[int, float, float], None]


@dataclasses.dataclass
class Summary:
    """The result of an extraction.

    Attributes:
        out: The cache, a path or URL.
        contract: Contract of the cache.
        done: Entries of the videos that this run extracted.
        present: Number of videos that were already in the cache.
        failed: Reason for each video that failed, by path.
        stopped: Reason why the run ended early, None if it did not.
        seconds: Duration of the run.
    """

    out: str
    contract: Contract
    done: list[Entry] = dataclasses.field(default_factory=list)
    present: int = 0
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    stopped: str | None = None
    seconds: float = 0.0

    @property
    def frames(self) -> int:
        """Number of frames that this run extracted."""
        return sum(entry.frames for entry in self.done)

    @property
    def flows(self) -> int:
        """Number of flow fields that this run extracted."""
        return sum(entry.flows for entry in self.done)


def extract(
    source: str | os.PathLike,
    out: str | os.PathLike,
    contract: Contract,
    *,
    engine: str = "local",
    workers: int | None = None,
    root: str | os.PathLike | None = None,
    format: str | None = None,
    resume: bool = True,
    progress: Progress = lambda done, expected, seconds: None,
) -> Summary:
    """Extract frames and flow of videos into a packed cache.

    Each video is decoded once. Its packed file appears only when it is
    complete, so an interrupted run is resumed by calling this again. Every
    video is verified by count: N frames, N-1 flow fields.

    With several workers call it below `if __name__ == "__main__":`, as the
    standard library asks of every program that starts processes.

    Args:
        source: A folder of videos, a list of them, or a single one: a path,
            or any URL that fsspec knows.
        out: The cache's folder, a path or URL.
        contract: Contract of the cache: `Contract.of(spec)`.
        engine: "local", or "ray" for the Ray cluster that this process
            belongs to or that RAY_ADDRESS names. Each node must see `source`
            and `out`; other nodes take over the videos of a node that dies.
        workers: Number of processes. When None, one per processor, or a
            single one for TV-L1, which is itself parallel.
        root: Folder that a list's videos are in, a path or URL.
        format: Format of a list, see `read_annotations`.
        resume: Whether to keep videos already extracted, whole and under
            this contract; otherwise each is replaced when it is done.
        progress: Function called from time to time, see `Progress`.

    Returns:
        A `Summary`: videos done, and failures with their reasons.

    Raises:
        SpecError: If there is no video, or `out` holds the videos, has
            another contract or cannot be written.
        MissingLibraryError: If Ray or fsspec is needed and not installed.
        WeightsError: If the weights of learned flow cannot be fetched.

    Example:
        >>> extract("videos", "cache", Contract.of(kts.clip_spec(model)))
    """
    check_choice("engine", engine, ENGINES)
    if engine == "ray":
        _cluster.library()  # before the folder gets a contract
    jobs = _find(source, root, format)
    refuse_among(addresses.without_file(out), [job.video for job in jobs])
    own = (CONTRACT_FILE, MANIFEST_FILE, ROOTS_FILE)
    files = [addresses.join(addresses.without_file(out), x) for x in own]
    _files.refuse_replacing(files, [addresses.without_file(source)])
    _try_flow(contract)
    folder = open_folder(addresses.without_file(out))
    roots = {root_of(job.video, job.name) for job in jobs}
    folder.agree(contract, roots)
    jobs = named_apart(jobs, folder)
    waiting = open_jobs(jobs, folder, contract) if resume else jobs
    summary = Summary(folder.place, contract, present=len(jobs) - len(waiting))
    if waiting:
        if engine == "local":
            workers = _processes_for(waiting, summary, workers)
        run = {"local": processes, "ray": ray_cluster}[engine].outcomes
        _run(run, waiting, folder, summary, workers, progress)
    try:
        folder.tidy()
    except OSError as error:
        summary.stopped = work.cannot_write(folder.place, error)
    return summary


def _try_flow(contract: Contract) -> None:
    """Refuse flow that cannot be computed, before the folder gets a contract.

    Learned flow's weights are fetched now, not once for each video. Keras is
    not imported for the algorithms that do without it.
    """
    name, parameters = contract.flow_algorithm, contract.flow_parameters
    if "flow" not in contract.streams:
        return
    if name.startswith("raft"):
        from keras_twostream.flow._raft_pairs import fetch

        fetch(name, **parameters)
    elif name not in IN_GRAPH_FLOW:
        flow.compute(np.zeros((2, 64, 64, 3), np.uint8), name, **parameters)


def _find(
    source: str | os.PathLike[str],
    root: str | os.PathLike[str] | None,
    format: str | None,
) -> list[Job]:
    source = addresses.without_file(source)
    root = None if root is None else addresses.without_file(root)
    if addresses.is_remote(source) or addresses.is_remote(root or ""):
        return find_remote_jobs(source, root, format)
    return find_jobs(source, root, format)


def _run(
    run: Callable[..., Generator[work.Outcome, None, None]],
    jobs: Sequence[Job],
    folder: CacheFolder,
    summary: Summary,
    workers: int | None,
    progress: Progress,
) -> None:
    start = time.perf_counter()
    size = sum(_size(job) for job in jobs)

    def tick(tally: MutableSequence[int]) -> None:
        seconds = time.perf_counter() - start
        progress(tally[work.DONE], _expected(tally, size), seconds)

    results = run(jobs, summary.contract, folder.place, workers, tick)
    for outcome in results:
        summary.seconds = time.perf_counter() - start
        _take(outcome, folder, summary)
        if summary.stopped:
            results.close()
            break


def _take(outcome: work.Outcome, folder: CacheFolder, summary: Summary) -> None:
    """Record the outcome of a job."""
    if outcome.fatal:
        summary.stopped = outcome.reason
    elif outcome.entry is None:
        summary.failed[outcome.job.video] = outcome.reason
    else:
        try:
            folder.add(outcome.entry)
        except OSError as error:
            summary.stopped = work.cannot_write(folder.place, error)
        else:
            summary.done.append(outcome.entry)


def _expected(tally: MutableSequence[int], size: int) -> float:
    """Estimate the total number of frames from the videos begun."""
    share = tally[work.BEGUN] / size if size else 0
    return tally[work.EXPECTED] / share if share else 0.0


def _size(job: Job) -> int:
    if job.size is not None or addresses.is_remote(job.video):
        return job.size or 0
    return os.path.getsize(job.video) if os.path.isfile(job.video) else 0


def _processes_for(
    jobs: Sequence[Job], summary: Summary, workers: int | None
) -> int:
    contract = summary.contract
    places = (summary.out, *(job.video for job in jobs))
    if any(addresses.in_this_process(place) for place in places):
        return 1
    if workers is None:
        in_graph = contract.flow_algorithm in IN_GRAPH_FLOW
        in_graph = in_graph and "flow" in contract.streams
        workers = 1 if in_graph else available_cpus()
    # The remaining videos of a set may be those that crash a decoder: they
    # never run in this process.
    return min(workers, summary.present + len(jobs))
