"""A loader of a module that surrounds the import it serves."""

import importlib.abc
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any


class SurroundingLoader:
    """A loader that executes a module inside a context, and is forgotten.

    Args:
        loader: The module's own loader, which the module is left with.
        context: Function of the module's name that returns the context.
    """

    def __init__(
        self,
        loader: importlib.abc.Loader,
        context: Callable[[str], AbstractContextManager[Any]],
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
