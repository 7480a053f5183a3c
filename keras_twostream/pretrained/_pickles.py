"""Pickles of plain data: arrays, tensors, numbers, text and containers.

A pickle can run any program when Python's unpickler reads it, and NumPy's own
reconstructors turn forged bytes into pointers. Here nothing of a file is run:
calls are looked up in `RULES`, arrays of plain kinds are taken from their
bytes, and no count exceeds what the file holds.
"""

import io
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_twostream.errors import SpecError
from keras_twostream.pretrained import _torch_pickles
from keras_twostream.pretrained._pickle_machine import (
    Machine,
    Rules,
    Unfinished,
)

_KIND = re.compile(r"\?|b1|[iu][1248]|f[248]|c(8|16)|[SU]\d+")
_OBJECTS = re.compile(r"O\d*")
_DEEPEST = 64
_LEAST_LIMIT = 1_000_000


def read_pickle(data: bytes) -> Any:
    """Read the plain data in a pickle, of any protocol and of Python 2 too.

    Args:
        data: The whole pickle.

    Returns:
        Numbers, text, bytes, arrays (tensors too), and lists, tuples, sets
        and dicts of them.

    Raises:
        SpecError: If it is broken, asks for anything that plain data does
            not need, or claims more than its bytes hold.

    Example:

    ```python
    scores = read_pickle(Path("result.pkl").read_bytes())
    ```
    """
    rules = {**RULES, **_torch_pickles.rules_of_bytes(RULES)}
    try:
        value = Machine(io.BytesIO(data), rules).load()
        _check_size(value, max(_LEAST_LIMIT, len(data)))
    except SpecError:
        raise
    except Exception as error:  # a broken pickle raises anything
        raise SpecError(f"The pickle is broken: {error!r}.") from error
    return value


# === Arrays ===


class _Objects:
    """A type of object arrays, which bytes may not fill."""


def _dtype(kind: str, *_: Any) -> Unfinished:
    if _OBJECTS.fullmatch(kind):
        return Unfinished(lambda state: _Objects())
    if not _KIND.fullmatch(kind):
        raise SpecError(f"The file holds an array of the kind {kind!r}.")
    return Unfinished(lambda state: _ordered(kind, state))


def _ordered(kind: str, state: tuple[Any, ...]) -> np.dtype:
    """Return the type with the byte order of its state."""
    return np.dtype(kind).newbyteorder(">" if state[1] == ">" else "<")


def _array(*_: Any) -> Unfinished:
    """Return an empty array to be filled by a state, for `_reconstruct`."""

    def build(state: tuple[Any, ...]) -> np.ndarray:
        # Files of the oldest NumPy lack the version in front.
        shape, dtype, fortran, data = state[-4:]
        return _filled(data, dtype, shape, "F" if fortran else "C")

    return Unfinished(build)


def _filled(
    data: Any, dtype: Any, shape: tuple[int, ...], order: str
) -> np.ndarray:
    """Return an array from its bytes, or from a list of objects."""
    count = math.prod(shape)
    if isinstance(dtype, _Objects) and isinstance(data, list):
        array = np.empty(len(data), object)
        for place, value in enumerate(data):
            array[place] = value
    else:
        array = _from_bytes(data, dtype)
    if min(shape, default=0) < 0 or len(array) != count:
        raise SpecError(
            f"An array in the file says it has {count} elements and comes "
            f"with {len(array)}."
        )
    return array.reshape(shape, order="F" if order == "F" else "C")


def _from_bytes(data: Any, dtype: Any) -> np.ndarray:
    if isinstance(dtype, _Objects):
        raise SpecError(
            "The file holds an array of objects as bytes, which would be "
            "taken for addresses. It was not read; get it from whom you trust."
        )
    if isinstance(data, str):  # bytes of Python 2
        data = data.encode("latin-1")
    if not dtype.itemsize or len(data) % dtype.itemsize:
        raise SpecError(
            f"An array in the file has {len(data)} bytes, which are no whole "
            f"number of {dtype}."
        )
    return np.frombuffer(data, dtype)


def _scalar(dtype: Any, data: Any) -> Any:
    (value,) = _from_bytes(data, dtype)
    return value


def _plain_text(text: str, encoding: str) -> bytes:
    """Return the bytes of a text, as pickles of protocol 2 spell them."""
    if encoding not in ("latin1", "latin-1"):
        raise SpecError(f"Plain data does not need {encoding!r}.")
    return text.encode("latin-1")


def _old_bytes(text: str = "", encoding: str = "latin1") -> bytes:
    return _plain_text(text, encoding)


RULES: Rules = {
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _plain_text,
    ("collections", "OrderedDict"): dict,
    ("builtins", "bytes"): _old_bytes,
    ("__builtin__", "bytes"): _old_bytes,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    **{
        (f"numpy.{core}.{module}", name): rule
        for core in ("core", "_core")
        for module, name, rule in (
            ("multiarray", "_reconstruct", _array),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _filled),
        )
    },
}


# === Size ===


def _check_size(value: Any, limit: int) -> None:
    """Refuse containers that hold each other, or one another many times.

    A few bytes can spell a list of lists of lists ... of the same list, which
    is small in memory, and endless for whoever walks it.

    Raises:
        SpecError: If it is nested too deep, or has more than `limit` values.
    """
    sizes: dict[int, int] = {}

    def size(value: Any, depth: int) -> int:
        inner = _inner(value)
        if inner is None:
            return 1
        if id(value) not in sizes and depth <= _DEEPEST:
            sizes[id(value)] = 1 + sum(size(v, depth + 1) for v in inner)
        if sizes.get(id(value), math.inf) > limit:
            raise SpecError(
                "The pickle repeats or nests its values beyond what its "
                "bytes could hold."
            )
        return sizes[id(value)]

    size(value, 0)


def _inner(value: Any) -> list[Any] | None:
    """Return the values in a container, or None for anything else."""
    if isinstance(value, Mapping):
        return [*value, *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        return value.ravel().tolist()
    return None
