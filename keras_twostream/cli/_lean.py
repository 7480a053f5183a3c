"""Backends imported, and left, without what no command needs.

Keras looks for scikit-learn, for wrappers, and TensorFlow for JAX, for a
converter; where they are installed, a third of the import is theirs. They look
absent for as long as that import lasts.

A backend is a million objects that live as long as the process. The garbage
collector that looks through them takes a sixth of the import's time, and three
seconds when the process ends.
"""

import atexit
import contextlib
import gc
import importlib.abc
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType

from keras_twostream._loaders import surround

UNUSED = {"keras": "sklearn", "tensorflow": "jax"}


def install() -> None:
    """Wait for the imports of backends that are still to come."""
    for name in UNUSED:
        surround(name, _lean)
    atexit.register(gc.freeze)


class _Absent(importlib.abc.MetaPathFinder):
    """A finder to which one package is not installed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> None:
        if fullname == self._name:
            raise ModuleNotFoundError(
                f"No module named {fullname!r}", name=fullname
            )


@contextlib.contextmanager
def _lean(name: str) -> Iterator[None]:
    with _without(UNUSED[name]), _uncollected():
        yield


@contextlib.contextmanager
def _without(name: str) -> Iterator[None]:
    finder = _Absent(name)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Leave the collector out, now and later for what is made inside."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
