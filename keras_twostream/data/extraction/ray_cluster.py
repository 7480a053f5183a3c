"""Parallel jobs on a Ray cluster, any node of which may die."""

import collections
import os
from collections.abc import Generator, Sequence
from typing import Any

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
from keras_twostream.errors import MissingLibraryError, SpecError
from keras_twostream.spec import IN_GRAPH_FLOW

_TICK = 1.0  # seconds between two progress reports
_QUEUED = 2  # jobs for each processor: one it works on, one that waits
_TRIES = 3  # retries after the process or its node died


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
    ray = _connect(folder)
    run = ray.remote(work_alone).options(**_needs(ray, contract))
    waiting = collections.deque(jobs)
    running: dict[Any, Job] = {}
    tally = [0, 0, 0, 0]
    try:
        while waiting or running:
            room = workers or _QUEUED * _processors(ray)
            while waiting and len(running) < room:
                job = _absolute(waiting.popleft())
                running[run.remote(job, contract, _absolute_path(folder))] = job
            done, _ = ray.wait(list(running), timeout=_TICK)
            for reference in done:
                outcome = _result(ray, reference, running.pop(reference))
                _count(tally, outcome)
                yield outcome
            tick(tally)
    finally:
        for reference in running:
            ray.cancel(reference)


def _connect(folder: str) -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingLibraryError(
            "--engine ray needs Ray: pip install 'keras-twostream[ray]'"
        ) from error
    if addresses.in_this_process(folder):
        raise SpecError(
            "Nodes of a cluster do not share memory:// with each other. Give "
            f"a folder or URL that all of them see. Received: {folder}"
        )
    ray.init(ignore_reinit_error=True, log_to_driver=False)
    return ray


def _needs(ray, contract: Contract) -> dict[str, Any]:
    """Return a video's resource request; in-graph flow takes a GPU."""
    needs = {"num_cpus": 1, "max_retries": _TRIES}
    in_graph = contract.flow_algorithm in IN_GRAPH_FLOW
    in_graph = in_graph and "flow" in contract.streams
    if in_graph and ray.cluster_resources().get("GPU"):
        needs["num_gpus"] = 1
    return needs


def _processors(ray) -> int:
    return max(int(ray.cluster_resources().get("CPU", 1)), 1)


def _result(ray, reference, job: Job) -> Outcome:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        return Outcome(
            job,
            reason=f"Cannot extract {job.video}: its process died on the "
            f"cluster {_TRIES + 1} times, or could not start "
            f"({type(error).__name__}: {str(error).strip()[:300]}).",
        )


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
