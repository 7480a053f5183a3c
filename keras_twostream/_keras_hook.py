"""Registers our layers with Keras as soon as Keras is imported.

Keras finds a custom layer of a saved file only if the layer's class was
registered before. Importing the layers needs Keras, which takes seconds, so
`import keras_twostream` waits: a finder on `sys.meta_path` sees `import
keras` and imports the layers right after it.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType

SERIALIZABLE = (
    "keras_twostream.layers",
    "keras_twostream.flow._tvl1_layer",
    "keras_twostream.deploy",
    "keras_twostream.training._losses",
    "keras_twostream.training._optimizers",
    "keras_twostream.training._schedules",
)


def install() -> None:
    """Register the layers now if Keras is there, else when it comes."""
    if "keras" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _AfterKeras())


def _register() -> None:
    for name in SERIALIZABLE:
        importlib.import_module(name)


class _AfterKeras(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("keras")
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader)
        return spec


class _RegisteringLoader(importlib.abc.Loader):
    """Keras's own loader, followed by the import of our layers."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(
        self, spec: importlib.machinery.ModuleSpec
    ) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        _register()
