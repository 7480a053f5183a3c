"""Public names that are imported on first use."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(
    package: str, home: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package whose names come late.

    Args:
        package: The package's `__name__`.
        home: From public name to the module below the package that defines
            it, or to "" for a module that is itself public.

    Returns:
        The two functions, to be bound in the package (PEP 562).
    """

    def getattribute(name: str) -> Any:
        if name not in home:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}"
            )
        module = importlib.import_module(f"{package}.{home[name] or name}")
        return getattr(module, name) if home[name] else module

    return getattribute, lambda: sorted(home)
