"""The package, as type checkers and editors read it."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest

import keras_twostream

ROOT = Path(keras_twostream.__file__).parent
STUBS = sorted(ROOT.rglob("__init__.pyi"))

# Methods that Keras calls; their parameters are as Keras defines them.
OF_KERAS = {
    "build": keras.Layer,
    "call": keras.Layer,
    "compute_output_shape": keras.Layer,
    "set_model": keras.callbacks.Callback,
    "on_train_begin": keras.callbacks.Callback,
    "on_train_end": keras.callbacks.Callback,
    "on_epoch_begin": keras.callbacks.Callback,
    "on_epoch_end": keras.callbacks.Callback,
    "on_train_batch_begin": keras.callbacks.Callback,
    "on_train_batch_end": keras.callbacks.Callback,
    "update_state": keras.Metric,
    "update_step": keras.Optimizer,
}
SPECIAL = ("__init__", "__call__")


def public_functions(node: ast.AST) -> Iterator[ast.FunctionDef]:
    """Functions, and methods of classes, that other modules may call."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            if child.name in SPECIAL or not child.name.startswith("_"):
                yield child
        elif isinstance(child, ast.ClassDef):
            if not child.name.startswith("_"):
                yield from public_functions(child)
        elif isinstance(child, ast.If | ast.Try):
            yield from public_functions(child)


def bare_parameters(function: ast.FunctionDef) -> list[str]:
    """Parameters without an annotation, but `self` and `cls`."""
    listed = function.args
    every = [*listed.posonlyargs, *listed.args, *listed.kwonlyargs]
    every += [x for x in (listed.vararg, listed.kwarg) if x is not None]
    bare = [x.arg for x in every if x.annotation is None]
    return [name for name in bare if name not in ("self", "cls")]


def overrides_keras(function: ast.FunctionDef) -> bool:
    """Return whether a function is a method that Keras calls."""
    first = [x.arg for x in function.args.args[:1]]
    return function.name in OF_KERAS and first == ["self"]


def module_name(stub: Path) -> str:
    return ".".join(stub.parent.relative_to(ROOT.parent).parts)


def test_bare_parameters_of_every_kind_are_seen():
    text = "def f(a, /, b: int, *c, d, e: int = 0, **g): ..."
    (function,) = public_functions(ast.parse(text))
    assert bare_parameters(function) == ["a", "d", "c", "g"]


def test_parameters_of_public_functions_are_annotated():
    bare = {}
    for path in ROOT.rglob("*.py"):
        for function in public_functions(ast.parse(path.read_text("utf-8"))):
            names = bare_parameters(function)
            if names and not overrides_keras(function):
                place = f"{path.relative_to(ROOT)}:{function.lineno}"
                bare[f"{place} {function.name}"] = names
    assert bare == {}


@pytest.mark.parametrize("name", OF_KERAS)
def test_exceptions_are_methods_of_keras(name):
    assert inspect.isfunction(getattr(OF_KERAS[name], name))


@pytest.mark.agnostic
@pytest.mark.parametrize("stub", STUBS, ids=module_name)
def test_names_in_a_stub_exist_at_run_time(stub):
    module = importlib.import_module(module_name(stub))
    names = [
        alias.asname or alias.name
        for line in ast.parse(stub.read_text("utf-8")).body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    ]
    assert names
    assert [name for name in names if not hasattr(module, name)] == []


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "py.typed").is_file()
    assert ROOT / "__init__.pyi" in STUBS
