"""Backends imported without what they only look for and no command uses.

Keras looks for scikit-learn, for wrappers, and TensorFlow for JAX, for a
converter; where they are installed, a third of the import is theirs. They look
absent for as long as that import lasts.
"""

import contextlib
import importlib.abc
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType

from keras_twostream._loaders import surround

UNUSED = {"keras": "sklearn", "tensorflow": "jax"}


def install() -> None:
    """Wait for the imports of backends that are still to come."""
    for name in UNUSED:
        surround(name, _without_unused)


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
def _without_unused(name: str) -> Iterator[None]:
    finder = _Absent(UNUSED[name])
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
