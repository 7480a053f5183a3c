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
from typing import Any

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


class _SilentLoader:
    """A loader whose module writes nothing to standard error."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with _console.quiet():
            self._loader.exec_module(module)
