"""Names of architectures, found without importing them.

A model's name is the name of its file: `models/_c3d.py` holds `c3d`. Listing
reads file names and entry points, and only the model that is asked for is
imported. Plugins add names through the entry-point group
`keras_twostream.models`; a running program adds them with `register_model`.
No Keras here.
"""

import contextlib
import contextvars
import dataclasses
import fnmatch
import functools
import importlib
import importlib.metadata
import inspect
import numbers
import operator
import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_twostream.errors import (
    RegistrationError,
    SpecError,
    UnknownNameError,
    did_you_mean,
)

MODEL_GROUP = "keras_twostream.models"


@dataclasses.dataclass(frozen=True)
class ModelEntry:
    """A registered architecture.

    Attributes:
        name: The registered name.
        builder: The function that builds it.
        paper: Authors, title, venue and year.
    """

    name: str
    builder: Callable[..., Any]
    paper: str

    @property
    def options(self) -> dict[str, Any]:
        """The builder's arguments and their defaults."""
        parameters = inspect.signature(self.builder).parameters.values()
        return {item.name: item.default for item in parameters}


@dataclasses.dataclass(frozen=True)
class Build:
    """A build under way, recorded in the model's input layers."""

    architecture: str
    options: dict[str, Any]


_registered: dict[str, ModelEntry] = {}
_current: contextvars.ContextVar[Build | None] = contextvars.ContextVar(
    "build", default=None
)


# === Registering ===


def register_model(*, paper: str) -> Callable:
    """Register a builder under its function's name.

    The builder's arguments are recorded in the models it returns, so that
    they can be saved, published and rebuilt by name.

    Args:
        paper: Authors, title, venue and year, for `info` and model cards.

    Returns:
        A decorator for a function that returns a `keras.Model`.

    Raises:
        RegistrationError: If the name is taken by another function.

    Example:

    ```python
    @keras_twostream.register_model(paper="Doe, My net, 2026")
    def my_net(num_classes=101, streams=("rgb",)):
        ...
        return keras.Model(inputs, outputs, name="my_net")
    ```
    """

    def decorate(builder: Callable) -> Callable:
        name = builder.__name__
        _refuse_duplicate(name, builder.__module__)
        recorded = _recording(name, builder)
        _registered[name] = ModelEntry(name, recorded, paper)
        return recorded

    return decorate


def current_build() -> Build | None:
    """Return the outermost registered builder that is running, or None."""
    return _current.get()


def _recording(name: str, builder: Callable) -> Callable:
    signature = inspect.signature(builder)

    @functools.wraps(builder)
    def build(*args: Any, **kwargs: Any) -> Any:
        refuse_unknown_options(name, kwargs, signature.parameters)
        bound = signature.bind(*args, **kwargs)
        bound.arguments.update(plain_options(bound.arguments))
        bound.apply_defaults()
        with _building(Build(name, dict(bound.arguments))):
            return builder(*bound.args, **bound.kwargs)

    return build


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a builder's options with NumPy's whole numbers as Python's.

    Keras refuses those, as does JSON.

    Raises:
        SpecError: If `clip_spec` holds no fields.
    """
    fields = options.get("clip_spec")
    if not isinstance(fields, Mapping | None):
        raise SpecError(
            "`clip_spec` takes a dict of the fields that differ from the "
            f"architecture's own. Received: clip_spec={fields!r}"
        )
    return {
        name: operator.index(value)
        if isinstance(value, numbers.Integral) and not isinstance(value, bool)
        else value
        for name, value in options.items()
    }


@contextlib.contextmanager
def _building(build: Build) -> Iterator[None]:
    token = _current.set(_current.get() or build)
    try:
        yield
    finally:
        _current.reset(token)


def refuse_unknown_options(
    name: str, given: Iterable[str], known: Collection[str]
) -> None:
    """Refuse names that are no options of an architecture.

    Raises:
        UnknownNameError: If there is such a name.
    """
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UnknownNameError(
            f"{name} has no option {', '.join(unknown)}."
            f"{did_you_mean(unknown[0], known)}"
        )


def _refuse_duplicate(name: str, module: str) -> None:
    other = _registered.get(name)
    owner = other.builder.__module__ if other else _file_module(name)
    if owner is None:
        owner = _plugin_package(name, module)
    if owner not in (None, module):
        raise RegistrationError(
            f"A model named {name!r} is registered by {owner} already. "
            f"Rename the one in {module}."
        )


def _plugin_package(name: str, module: str) -> str | None:
    """Return the installed package that offers a name outside `module`."""
    plugin = _plugins().get(name)
    if plugin is None:
        return None
    package = plugin.module.partition(".")[0]
    return None if package == module.partition(".")[0] else package


# === Finding ===


def list_models(pattern: str = "*") -> list[str]:
    """Return the sorted names of the architectures; import nothing heavy.

    Args:
        pattern: Shell-style pattern, for instance "*resnet*".

    Returns:
        Matching names.
    """
    names = {*_files(), *_plugins(), *_registered}
    return sorted(name for name in names if fnmatch.fnmatch(name, pattern))


def model_entry(name: str) -> ModelEntry:
    """Return the architecture of this name, importing it if need be.

    Raises:
        UnknownNameError: If no architecture has the name.
        RegistrationError: If the plugin that offers it does not load, or two
            packages offer the name.
    """
    _refuse_clash(name)
    if name in _registered:
        return _registered[name]
    module = _file_module(name)
    if module is not None:
        importlib.import_module(module)
    elif name in _plugins():
        _load_plugin(_plugins()[name])
    else:
        raise UnknownNameError(
            f"There is no model named {name!r}."
            f"{did_you_mean(name, list_models())}"
        )
    return _registered[name]


def model_source(name: str) -> str:
    """Return a model's source: "keras_twostream" or a plugin's package."""
    plugin = _plugins().get(name)
    if plugin is not None:
        return plugin.dist.name if plugin.dist else plugin.module
    if name in _files():
        return "keras_twostream"
    return model_entry(name).builder.__module__


@functools.cache
def _files() -> frozenset[str]:
    folder = str(Path(__file__).parent / "models")
    modules = pkgutil.iter_modules([folder])
    return frozenset(
        item.name[1:]
        for item in modules
        if item.name.startswith("_") and not item.ispkg
    )


def _file_module(name: str) -> str | None:
    return f"keras_twostream.models._{name}" if name in _files() else None


def _plugins() -> dict[str, importlib.metadata.EntryPoint]:
    """Return the entry points by name; of several, the first."""
    points: dict[str, importlib.metadata.EntryPoint] = {}
    for point in importlib.metadata.entry_points(group=MODEL_GROUP):
        points.setdefault(point.name, point)
    return points


def _refuse_clash(name: str) -> None:
    """Refuse a name that two packages offer; others stay as they are."""
    points = importlib.metadata.entry_points(group=MODEL_GROUP, name=name)
    owners = ["keras_twostream"] * (name in _files())
    owners += dict.fromkeys(point.value for point in points)
    if len(owners) > 1:
        raise RegistrationError(
            f"The plugin {owners[1]} offers a model named {name!r}, which "
            f"{owners[0]} has already. Rename the entry point or uninstall "
            "one of the two."
        )


def _load_plugin(point: importlib.metadata.EntryPoint) -> None:
    try:
        point.load()
    except Exception as error:
        raise RegistrationError(
            f"The plugin {point.value}, which offers the model "
            f"{point.name!r}, failed to import: {error!r}. Everything else "
            "still works; repair or uninstall that package."
        ) from error
    if point.name not in _registered:
        raise RegistrationError(
            f"The plugin {point.value} offers the model {point.name!r} but "
            "registers no function of that name. Its builder needs the "
            "decorator keras_twostream.register_model."
        )
