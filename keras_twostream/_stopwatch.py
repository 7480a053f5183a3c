"""Where the time went, by name."""

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Seconds spent on named parts of a job.

    Attributes:
        seconds: From part to seconds, in the order they were first started.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Count what happens in the `with` block as `part`."""
        start = time.perf_counter()
        self.seconds.setdefault(part, 0.0)
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - start
