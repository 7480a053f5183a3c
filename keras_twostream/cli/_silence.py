"""Silence of TensorFlow while it is imported, whichever command brings it.

TensorFlow's C++ writes of its build and of absent GPUs before it has read its
log level, so that standard error is closed for as long as the import lasts.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

from keras_twostream._loaders import SurroundingLoader
from keras_twostream.cli import _console

NOISY = "tensorflow"


def install() -> None:
    """Wait for TensorFlow's import, unless it has been imported."""
    if NOISY not in sys.modules:
        sys.meta_path.insert(0, _Silence())


class _Silence(importlib.abc.MetaPathFinder):
    """A finder that gives TensorFlow a silent loader, once."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != NOISY:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(NOISY)
        if spec is not None and spec.loader is not None:
            spec.loader = _SilentLoader(spec.loader)  # type: ignore[assignment] # it has all of a loader's methods
        return spec


class _SilentLoader(SurroundingLoader):
    """A loader whose module writes nothing to standard error."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        super().__init__(loader, lambda name: _console.quiet())
