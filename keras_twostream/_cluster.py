"""Jobs on a Ray cluster, any node of which may die."""

import collections
import dataclasses
import os
from collections.abc import (
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from pathlib import Path
from typing import Any, TypeVar

from keras_twostream.errors import MissingLibraryError

JobType = TypeVar("JobType")
VideoType = TypeVar("VideoType", str, Path)

_TICK = 1.0  # seconds between two progress reports
_QUEUED = 2  # jobs for each processor: one it works on, one that waits
TRIES = 3  # retries after the process or its node died


@dataclasses.dataclass(frozen=True)
class Died:
    """The end of a job whose process died at every try, or cannot start.

    Attributes:
        reason: The cluster's own words.
    """

    reason: str

    def __str__(self) -> str:
        return (
            f"its process died on the cluster {TRIES + 1} times, or could not "
            f"start ({self.reason})."
        )


def library() -> Any:
    """Return the module `ray`.

    Raises:
        MissingLibraryError: If Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingLibraryError(
            "--on ray needs Ray: pip install 'keras-twostream[ray]'"
        ) from error
    return ray


def connect() -> Any:
    """Join the cluster that this process belongs to or RAY_ADDRESS names.

    Without one, Ray starts a cluster of this machine alone.

    Returns:
        The module `ray`.

    Raises:
        MissingLibraryError: If Ray is not installed.
    """
    ray = library()
    ray.init(ignore_reinit_error=True, log_to_driver=False)
    return ray


def spread(
    ray: Any,
    work: Callable[..., Any],
    jobs: Iterable[JobType],
    arguments: Sequence[Any] = (),
    *,
    workers: int | None = None,
    on_gpu: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> Generator[tuple[JobType, Any], None, None]:
    """Run all jobs on the cluster, and yield each result as it comes.

    If a node dies, Ray gives its jobs to other nodes.

    Args:
        ray: The module that `connect` returned.
        work: Function of a module, called with a job and the arguments.
        jobs: Values that can be pickled.
        arguments: More arguments of every call.
        workers: Most jobs at once; as many as the cluster can run when None.
        on_gpu: Whether a job takes a GPU, where the cluster has any.
        tick: Function called from time to time.

    Yields:
        A job, and what `work` returned for it or `Died`.
    """
    has_gpu = on_gpu and ray.cluster_resources().get("GPU")
    run = ray.remote(work).options(
        num_cpus=1, max_retries=TRIES, **({"num_gpus": 1} if has_gpu else {})
    )
    waiting = collections.deque(jobs)
    running: dict[Any, JobType] = {}
    try:
        while waiting or running:
            while waiting and len(running) < (workers or _room(ray)):
                job = waiting.popleft()
                running[run.remote(job, *arguments)] = job
            done, _ = ray.wait(list(running), timeout=_TICK)
            for reference in done:
                yield running.pop(reference), _result(ray, reference)
            tick()
    finally:
        for reference in running:
            ray.cancel(reference)


def spread_videos(
    work: Callable[..., Any],
    targets: Mapping[VideoType, str | os.PathLike],
    settings: Any,
    workers: int | None,
) -> Iterator[tuple[VideoType, Any]]:
    """Join the cluster, run a network's jobs on it, and yield each result.

    Args:
        work: Function of a module, called with a pair of absolute paths, the
            video's and its target's, and the settings.
        targets: Path of what is written, by video.
        settings: The settings of the run.
        workers: See `spread`.

    Yields:
        A video as it was given, and what `work` returned for it or `Died`.

    Raises:
        MissingLibraryError: If Ray is not installed.
    """
    ray = connect()
    jobs = {
        (os.path.abspath(video), os.path.abspath(target)): video
        for video, target in targets.items()
    }
    results = spread(ray, work, jobs, (settings,), workers=workers, on_gpu=True)
    for job, result in results:
        yield jobs[job], result


def _room(ray: Any) -> int:
    return _QUEUED * max(int(ray.cluster_resources().get("CPU", 1)), 1)


def _result(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        words = str(error).strip()[:300]
        return Died(f"{type(error).__name__}: {words}")
