"""A stopwatch for the named parts of a job."""

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Seconds spent on named parts of a job.

    Attributes:
        seconds: Seconds by part, in the order of their first start.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Count the time of the `with` block as `part`."""
        start = time.perf_counter()
        self.seconds.setdefault(part, 0.0)
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - start
