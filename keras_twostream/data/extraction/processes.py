"""Parallel jobs in processes, any of which may die without harm."""

import collections
import dataclasses
from collections.abc import (
    Callable,
    Generator,
    Iterator,
    MutableSequence,
    Sequence,
)
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from keras_twostream._processes import FreshProcesses
from keras_twostream.data.cache.contract import Contract
from keras_twostream.data.extraction.jobs import Job
from keras_twostream.data.extraction.work import (
    DONE,
    STOP,
    Outcome,
    begin,
    work,
    work_in_process,
)

_TICK = 0.25  # seconds between two progress reports
_QUEUED = 2  # jobs for each process: one it works on, one that waits

Tick = Callable[[MutableSequence[int]], None]


def outcomes(
    jobs: Sequence[Job],
    contract: Contract,
    folder: str,
    workers: int,
    tick: Tick,
) -> Generator[Outcome, None, None]:
    """Run all jobs, and yield each outcome; one worker is this process."""
    if workers == 1:
        yield from _here(jobs, contract, folder, tick)
        return
    waiting = collections.deque(jobs)
    processes = _Processes(contract, folder, workers, tick)
    while waiting:
        running: dict[Any, Job] = {}
        try:
            yield from processes.work(waiting, running)
        except BrokenProcessPool:
            # One of these killed its process. Running each in its own
            # process shows which one.
            for job in running.values():
                yield processes.alone(job)


def _here(jobs, contract: Contract, folder: str, tick: Tick):
    class Tally(list):
        def __setitem__(self, place, value):
            super().__setitem__(place, value)
            if place == DONE:
                tick(self)

    tally = Tally([0, 0, 0, 0])
    for job in jobs:
        yield work(job, contract, folder, tally)


@dataclasses.dataclass
class _Processes:
    contract: Contract
    folder: str
    workers: int
    tick: Tick

    def __post_init__(self) -> None:
        self._context = FreshProcesses()
        self._tally: Any = self._context.Array("q", 4)

    def work(self, waiting, running) -> Iterator[Outcome]:
        """Run the jobs of `waiting`, with those under way in `running`."""
        with self._pool(min(self.workers, len(waiting))) as pool:
            try:
                while waiting or running:
                    self._fill(pool, waiting, running)
                    yield from self._finished(running)
            except (GeneratorExit, KeyboardInterrupt):
                self._tally[STOP] = 1  # the pool must not wait for the rest
                raise

    def alone(self, job: Job) -> Outcome:
        """Run a job in a process of its own."""
        try:
            with self._pool(1) as pool:
                return self._submit(pool, job).result()
        except BrokenProcessPool:
            return Outcome(
                job,
                reason=f"Cannot extract {job.video}: the process that read "
                "it died, for lack of memory or by a fault in a decoder. "
                "Convert it and try again: "
                f"ffmpeg -i {job.video} converted.mp4",
            )

    def _fill(self, pool: ProcessPoolExecutor, waiting, running) -> None:
        while waiting and len(running) < _QUEUED * self.workers:
            job = waiting.popleft()
            try:
                running[self._submit(pool, job)] = job
            except BrokenProcessPool:
                waiting.appendleft(job)
                raise

    def _finished(self, running) -> Iterator[Outcome]:
        done, _ = wait(running, _TICK, FIRST_COMPLETED)
        self.tick(self._tally)
        for future in done:
            outcome = future.result()
            del running[future]
            yield outcome

    def _pool(self, size: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            size,
            self._context,
            initializer=begin,  # type: ignore[arg-type]  # typeshed: no args
            initargs=(self._tally,),
        )

    def _submit(self, pool: ProcessPoolExecutor, job: Job):
        return pool.submit(work_in_process, job, self.contract, self.folder)
