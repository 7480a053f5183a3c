"""PyTorch tensors inside a pickle, as arrays, without PyTorch.

A pickled tensor is a call of `torch._utils._rebuild_tensor_v2` on a storage,
and a storage is the bytes of `torch.save`'s older format: a magic number, the
protocol, facts of the machine, the storage's kind, its key, then its length
and its values. Only these are read, of tensors on the CPU.
"""

import io
import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from keras_twostream.errors import SpecError

DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
BEFORE = 3  # objects in front of the storage: magic, protocol, machine


def stand_in(module: str, name: str, unpickler: Callable) -> Any:
    """What stands for a name of PyTorch's in a pickle, or None.

    Args:
        module: As the pickle asks for it.
        name: As the pickle asks for it.
        unpickler: Class of unpickler that reads nested pickles.
    """
    if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
        return _tensor
    if (module, name) == ("torch.storage", "_load_from_bytes"):
        return lambda data: _storage(data, unpickler)
    if module == "torch" and name in DTYPES:
        return np.dtype(DTYPES[name])
    return None


def _storage(data: bytes, unpickler: Callable) -> np.ndarray:
    file = io.BytesIO(data)
    for _ in range(BEFORE):
        unpickler(file).load()
    reader = unpickler(file)
    reader.persistent_load = lambda key: key
    _, dtype, _, device, length, *_ = reader.load()
    unpickler(file).load()  # the storage's key
    if device != "cpu":
        raise SpecError(
            f"The file holds tensors on {device}. Save them with .cpu()."
        )
    return np.frombuffer(file.read()[8:], dtype, length)


def _tensor(storage, offset, size, stride, *_: Any) -> np.ndarray:
    """The elements by their places, which `take` keeps inside the storage."""
    if math.prod(size) > storage.size:
        raise SpecError("A tensor in the file is larger than its storage.")
    places = np.full(size, offset)
    for axis, step in enumerate(stride):
        along = np.arange(size[axis]) * step
        places += along.reshape(-1, *[1] * (len(size) - axis - 1))
    return np.take(storage, places)
