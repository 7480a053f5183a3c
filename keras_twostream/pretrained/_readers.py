"""Readers of foreign files that never run code.

They read safetensors, PyTorch, TensorFlow, Caffe and MatConvNet.
"""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _safetensors

_TORCH = (".pth", ".pt", ".pyth", ".tar")  # .pth.tar is no archive
_CAFFE = (".caffemodel", ".v5", ".zip")  # .caffemodel.v5, and packed


def read(path: Path, *others: Path) -> dict[str, np.ndarray]:
    """Read all tensors of a file, by the file's own keys.

    Args:
        path: .safetensors; .pth, .pt or .pth.tar; .caffemodel; .mat; or a
            TensorFlow checkpoint's .index.
        *others: The checkpoint's data file, if it lies elsewhere.

    Returns:
        Arrays by key.

    Raises:
        WeightsError: If the file cannot be read.
    """
    if path.exists() and not path.is_file():  # a pipe would never end
        raise WeightsError(f"{path} is no regular file. Give a weight file.")
    if path.suffix in _TORCH:
        return _read_torch(path)
    if path.suffix == ".index":
        from keras_twostream.pretrained import _tf_checkpoint

        return _tf_checkpoint.read(path, *others)
    if path.suffix in _CAFFE:
        from keras_twostream.pretrained import _caffe

        return _caffe.read(path)
    if path.suffix == ".mat":
        from keras_twostream.pretrained import _matconvnet

        return _matconvnet.read(path)
    return _safetensors.read(path)


# === PyTorch ===


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    installed = importlib.util.find_spec("torch") is not None
    load: Callable[[Path], Any] = _by_torch if installed else _by_ourselves
    try:
        values = load(path)
    except Exception as error:
        reason = str(error).rstrip(".")
        raise WeightsError(
            f"{path} is no PyTorch file of tensors alone: {reason}. Files "
            "that hold code are never opened."
        ) from error
    if isinstance(values, Mapping):
        values = values.get("state_dict", values)
    if not isinstance(values, Mapping):
        raise WeightsError(
            f"{path} must hold tensors by name. Received: a "
            f"{type(values).__name__}. Save the network's state_dict()."
        )
    arrays = {key: _array(path, key, value) for key, value in values.items()}
    return {key: a for key, a in arrays.items() if a is not None}


def _by_torch(path: Path) -> Any:
    import torch

    # weights_only reads tensors and refuses to run pickled code.
    return torch.load(path, map_location="cpu", weights_only=True)


def _by_ourselves(path: Path) -> Any:
    from keras_twostream.pretrained import _pickles, _torch_pickles

    return _torch_pickles.read_torch(path, _pickles.RULES)


def _array(path: Path, key: str, value: Any) -> np.ndarray | None:
    """Return a tensor's values, as float32 for bfloat16, which NumPy lacks.

    Return None for anything but a tensor.
    """
    if hasattr(value, "detach"):
        value = value.detach()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
        try:
            return value.numpy()
        except (TypeError, RuntimeError) as error:  # quantised, sparse, ...
            raise WeightsError(
                f"{path} holds {key} as {value.dtype}, {value.layout}, which "
                "is no plain array. Save the network in float32."
            ) from error
    if not isinstance(value, np.ndarray):
        return None
    if value.dtype == ml_dtypes.bfloat16:
        return value.astype(np.float32)
    return value
