"""Times of several functions that take turns within one process."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# A runtime's threads wait for more work in a busy loop, and would take the
# processors from the one whose turn comes next.
PAUSE = 0.1


def take_turns(runs: Sequence[Callable[[], Any]], times: int) -> np.ndarray:
    """Medians (runs, 2), by the clock and of the processors."""
    rounds = [[seconds(run) for run in runs] for _ in range(times)]
    return np.median(rounds, axis=0)


def seconds(run: Callable[[], Any]) -> tuple[float, float]:
    """Return seconds by the clock and of the processors.

    A pause and a run that is not counted come first.
    """
    time.sleep(PAUSE)
    run()
    began = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - began[0], time.process_time() - began[1]
