"""Extraction on a Ray cluster, any node of which may die."""

import contextlib
import os
from collections.abc import Generator, Sequence

from keras_twostream import _cluster
from keras_twostream.data.cache import addresses
from keras_twostream.data.cache.contract import Contract
from keras_twostream.data.extraction.jobs import Job
from keras_twostream.data.extraction.processes import Tick
from keras_twostream.data.extraction.work import (
    BEGUN,
    DONE,
    EXPECTED,
    Outcome,
    work_alone,
)
from keras_twostream.errors import SpecError
from keras_twostream.spec import IN_GRAPH_FLOW


def outcomes(
    jobs: Sequence[Job],
    contract: Contract,
    folder: str,
    workers: int | None,
    tick: Tick,
) -> Generator[Outcome, None, None]:
    """Run all jobs on a Ray cluster, and yield each outcome as it comes.

    The cluster is the one that this process belongs to or that RAY_ADDRESS
    names, otherwise one of this machine alone. If a node dies, Ray gives its
    videos to other nodes, which write the same bytes.

    Args:
        jobs: The videos; every node must see them.
        contract: Contract of the cache.
        folder: The cache, a path that every node sees, or a URL.
        workers: Most videos at once; as many as the cluster can run when None.
        tick: Function called with the tally from time to time.

    Raises:
        MissingLibraryError: If Ray is not installed.
        SpecError: If `folder` is in the memory of this process.
    """
    ray = _cluster.connect()
    if addresses.in_this_process(folder):
        raise SpecError(
            "Nodes of a cluster do not share memory:// with each other. Give "
            f"a folder or URL that all of them see. Received: {folder}"
        )
    in_graph = contract.flow_algorithm in IN_GRAPH_FLOW
    tally = [0, 0, 0, 0]
    results = _cluster.spread(
        ray,
        work_alone,
        map(_absolute, jobs),
        (contract, _absolute_path(folder)),
        workers=workers,
        on_gpu=in_graph and "flow" in contract.streams,
        tick=lambda: tick(tally),
    )
    with contextlib.closing(results):
        for job, result in results:
            if isinstance(result, _cluster.Died):
                words = f"Cannot extract {job.video}: {result}"
                result = Outcome(job, reason=words)
            _count(tally, result)
            yield result


def _count(tally: list[int], outcome: Outcome) -> None:
    if outcome.entry is None:
        return
    tally[DONE] += outcome.entry.frames
    tally[EXPECTED] += outcome.entry.frames
    tally[BEGUN] += int(outcome.entry.fingerprint.partition("-")[0])


def _absolute(job: Job) -> Job:
    return Job(_absolute_path(job.video), job.name, job.size)


def _absolute_path(path: str) -> str:
    return path if addresses.is_remote(path) else os.path.abspath(path)
