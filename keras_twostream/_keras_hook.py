"""Registration of our layers as soon as Keras is imported.

Keras finds a custom layer of a saved file only if the layer's class was
registered before. Importing the layers needs Keras, which takes seconds, so
`import keras_twostream` waits: a finder on `sys.meta_path` sees `import
keras` and imports the layers right after it. If a module of this package
imports Keras, the layers wait until that module is complete, for they may need
names that it has not defined yet.
"""

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator
from typing import Any

from keras_twostream import _acceleration
from keras_twostream._loaders import SurroundingLoader

SERIALIZABLE = (
    "keras_twostream.layers",
    "keras_twostream.flow._raft_layer",
    "keras_twostream.flow._tvl1_layer",
    "keras_twostream.deploy",
    "keras_twostream.training._losses",
    "keras_twostream.training._optimizers",
    "keras_twostream.training._schedules",
)

_OURS = "keras_twostream."


def install() -> None:
    """Register the layers now if Keras is there, else when it comes."""
    if "keras" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _Watch())


def _register() -> None:
    for name in SERIALIZABLE:
        importlib.import_module(name)


class _Watch(importlib.abc.MetaPathFinder):
    """A finder that watches for Keras until our layers are registered."""

    def __init__(self) -> None:
        self._keras_is_there = False
        self._open: list[str] = []

    def find_spec(self, name, path=None, target=None):
        if name != "keras" and not name.startswith(_OURS):
            return None
        spec = _find_elsewhere(self, name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = SurroundingLoader(spec.loader, self.importing)
        return spec

    @contextlib.contextmanager
    def importing(self, name: str) -> Iterator[None]:
        """Surround the import of a module that is watched."""
        self._begin(name)
        imported = False
        try:
            yield
            imported = True
        finally:
            self._end(name, imported)

    def _begin(self, name: str) -> None:
        if name != "keras":
            self._open.append(name)
        elif self._open:  # it is one of our modules that brings Keras
            _acceleration.prefer_fast()

    def _end(self, name: str, imported: bool) -> None:
        if name == "keras":
            self._keras_is_there = imported
        else:
            self._open.remove(name)
        waiting = self in sys.meta_path
        if imported and self._keras_is_there and not self._open and waiting:
            sys.meta_path.remove(self)
            _register()


def _find_elsewhere(
    watch: _Watch, name: str, path: Any, target: Any
) -> importlib.machinery.ModuleSpec | None:
    """Return the answer of the other finders."""
    for finder in sys.meta_path:
        spec = None if finder is watch else finder.find_spec(name, path, target)
        if spec is not None:
            return spec
    return None
