"""Processes that do not run the caller's script once more."""

import contextlib
import multiprocessing.context
import sys
import threading
import types
from collections.abc import Iterator

_STARTING = threading.Lock()  # or one thread would take the other's for script


@contextlib.contextmanager
def _no_script() -> Iterator[None]:
    with _STARTING:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = script


class _Process(multiprocessing.context.SpawnProcess):
    """A process that starts without the caller's `__main__`.

    `spawn` runs the script of its parent to find what was pickled there. A
    script without `if __name__ == "__main__"` would then start processes of
    its own, and each of them would die.
    """

    def start(self) -> None:
        with _no_script():
            super().start()


class FreshProcesses(multiprocessing.context.SpawnContext):
    """A context whose processes import only what their work names.

    Functions that they run must be those of a module, not of a script.
    """

    Process = _Process
