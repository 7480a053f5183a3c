"""A reader of PyTorch's files and pickled tensors, without PyTorch.

A pickled tensor is a call of `torch._utils._rebuild_tensor_v2` on a storage.
The storages' values lie outside the pickle: in members of a zip archive
(torch.save since 1.6), behind the pickle in the same file (before), or, for
tensors inside another program's pickle, in bytes of that older form.
"""

import io
import math
import mmap
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from keras_twostream.errors import SpecError
from keras_twostream.pretrained._pickle_machine import (
    Machine,
    Readable,
    Rules,
    Symbol,
)

_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DATA = "data.pkl"


def read_torch(path: Path, rules: Rules) -> Any:
    """Read the value that `torch.save` wrote, with tensors as arrays.

    Args:
        path: A file of either form.
        rules: Rules for plain pickles (see `_pickles.RULES`).

    Returns:
        Most often a dict of arrays, or of dicts of them.

    Raises:
        SpecError: If it is no such file, or asks to run something.
        OSError: If it cannot be read.
    """
    rules = {**rules, **_TENSORS}
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _from_zip(archive, rules)
        with (
            open(path, "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory,
        ):
            return _from_stream(memory, len(memory), rules)
    except (SpecError, OSError):
        raise
    except Exception as error:  # a broken pickle raises anything
        raise SpecError(f"It is broken: {error!r}.") from error


def rules_of_bytes(rules: Rules) -> Rules:
    """Return the rules for tensors inside another program's pickle."""

    def storage(data: bytes) -> np.ndarray:
        return _from_stream(io.BytesIO(data), len(data), {**rules, **_TENSORS})

    return {**_TENSORS, ("torch.storage", "_load_from_bytes"): storage}


# === Both forms ===


def _from_zip(archive: zipfile.ZipFile, rules: Rules) -> Any:
    members = {
        info.filename.partition("/")[2]: info for info in archive.infolist()
    }
    if _DATA not in members:
        raise SpecError("It is a zip archive, but none of torch.save.")

    def read(name: str) -> bytes:
        # torch.save packs nothing, so that no member outgrows the file.
        if members[name].compress_type != zipfile.ZIP_STORED:
            raise SpecError(f"Its member {name} is compressed.")
        return archive.read(members[name])

    swapped = "byteorder" in members and read("byteorder") == b"big"

    def persistent(key: tuple[Any, ...]) -> np.ndarray:
        dtype, name, _, count = _storage_facts(key)
        values = np.frombuffer(read(f"data/{name}"), dtype, count)
        return values.byteswap() if swapped else values

    return Machine(io.BytesIO(read(_DATA)), rules, persistent).load()


def _from_stream(file: Readable, length: int, rules: Rules) -> Any:
    """Read a value and the storages after it, each preceded by its length."""
    storages: dict[str, np.ndarray] = {}

    def persistent(key: tuple[Any, ...]) -> np.ndarray:
        dtype, name, view, count = _storage_facts(key)
        if name not in storages:
            total = sum(values.nbytes for values in storages.values())
            if not 0 <= count * dtype.itemsize <= length - total:
                raise SpecError("Its tensors are larger than the file.")
            storages[name] = np.empty(count, dtype)
        if view is not None:
            raise SpecError("It holds views of storages, as PyTorch 0.1 did.")
        return storages[name]

    machine = Machine(file, rules, persistent)
    magic, version, machine_facts = (machine.load() for _ in range(3))
    if (magic, version) != (_MAGIC, _PROTOCOL):
        raise SpecError("It is no file of torch.save.")
    value = machine.load()
    order = "<" if machine_facts.get("little_endian", True) else ">"
    for name in machine.load():
        _fill(storages[name], file, order)
    return value


def _fill(storage: np.ndarray, file: Readable, order: str) -> None:
    """Read the values after the pickle into the array that tensors view."""
    (count,) = np.frombuffer(file.read(8), f"{order}i8")
    if count != len(storage):
        raise SpecError("A tensor's storage has another length than stated.")
    values = np.frombuffer(file.read(storage.nbytes), storage.dtype)
    storage[:] = values.byteswap() if order == ">" else values


def _storage_facts(key: Any) -> tuple[np.dtype, str, Any, int]:
    """Return type, key, view and length of a storage in a pickle."""
    what, kind, name, _, count, *rest = key
    if what != "storage" or not isinstance(kind, Symbol):
        raise SpecError(f"It refers to {what!r}, which is no storage.")
    return np.dtype(_DTYPES[kind.name]), name, rest[0] if rest else None, count


# === Tensors ===


def _tensor(
    storage: np.ndarray,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    *_: Any,
) -> np.ndarray:
    """Return a tensor's elements of its storage, none outside it."""
    count = math.prod(size)
    last = offset + sum(
        (length - 1) * step for length, step in zip(size, stride, strict=True)
    )
    if min((offset, count, *size, *stride)) < 0 or count > len(storage):
        raise SpecError("A tensor in the file is larger than its storage.")
    if count and last >= len(storage):
        raise SpecError("A tensor in the file reaches beyond its storage.")
    strides = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(
        storage[offset:], size, strides, writeable=False
    )


def _parameter(data: np.ndarray, *_: Any) -> np.ndarray:
    return data


_TENSORS: Mapping[tuple[str, str], Callable[..., Any] | None] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "Size"): tuple,
    **{("torch", kind): None for kind in _DTYPES},
}
