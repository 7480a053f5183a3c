"""Public names that are imported on first use.

A package lists its public names once, as imports in the stub beside its
`__init__.py`. Editors and type checkers read the stub; at run time the same
list says which module to import when a name is first asked for.
"""

import ast
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_twostream.errors import MissingLibraryError


def lazy_names(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a lazy package.

    Args:
        package: The package's `__name__`.
        file: The package's `__file__`; `__init__.pyi` stands beside it and
            holds `from module import name as name`, where a name imported
            from a package is a public module of it.

    Returns:
        The three names of PEP 562 and of `import *`, to be bound in the
        package.
    """
    home = _imports(Path(file).with_suffix(".pyi"))

    def getattribute(name: str) -> Any:
        if name not in home:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}"
            )
        try:
            return _imported(package, home[name], name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "tensorflow":
                raise
            raise MissingLibraryError(
                f"{package}.{name} uses TensorFlow (tf.data or TensorBoard) "
                "on every backend, and it is not installed. Install it with: "
                "pip install tensorflow"
            ) from error

    return getattribute, lambda: sorted(home), list(home)


def _imported(package: str, parent: str, name: str) -> Any:
    """Import the module that holds a name, and return what it names."""
    if package == parent or package.startswith(f"{parent}."):
        return importlib.import_module(f"{parent}.{name}")
    return getattr(importlib.import_module(parent), name)


def _imports(stub: Path) -> dict[str, str]:
    """Map each name that a stub imports to the module it comes from."""
    return {
        alias.name: node.module
        for node in ast.parse(stub.read_text("utf-8")).body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
