"""Imports that are surrounded by a context."""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

Context = Callable[[str], AbstractContextManager[Any]]


def surround(name: str, context: Context) -> None:
    """Execute a module inside a context, unless it has been imported."""
    if name not in sys.modules:
        sys.meta_path.insert(0, _SurroundingFinder(name, context))


class _SurroundingFinder(importlib.abc.MetaPathFinder):
    """A finder that gives one module a surrounding loader, once."""

    def __init__(self, name: str, context: Context) -> None:
        self._name, self._context = name, context

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = SurroundingLoader(spec.loader, self._context)  # type: ignore[assignment] # it has all of a loader's methods
        return spec


class SurroundingLoader:
    """A loader that executes a module inside a context, and is forgotten.

    Args:
        loader: The module's own loader, which the module is left with.
        context: Function of the module's name that returns the context.
    """

    def __init__(
        self,
        loader: importlib.abc.Loader,
        context: Context,
    ) -> None:
        self._loader, self._context = loader, context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with self._context(module.__name__):
            self._loader.exec_module(module)
