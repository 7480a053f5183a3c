"""Reading foreign files: safetensors, PyTorch, TensorFlow; never code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream.errors import MissingLibraryError, WeightsError
from keras_twostream.pretrained import _safetensors

_TORCH = (".pth", ".pt", ".pyth", ".tar")  # .pth.tar is no archive


def read(path: Path, *others: Path) -> dict[str, np.ndarray]:
    """All tensors of a file, by the file's own keys.

    Args:
        path: .safetensors, .pth, .pt or .pth.tar (needs PyTorch), or a
            TensorFlow checkpoint's .index.
        *others: The checkpoint's data file, if it lies elsewhere.

    Returns:
        Arrays by key.

    Raises:
        WeightsError: If the file cannot be read.
        MissingLibraryError: If it needs PyTorch and that is not installed.
    """
    if path.suffix in _TORCH:
        return _read_torch(path)
    if path.suffix == ".index":
        from keras_twostream.pretrained import _tf_checkpoint

        return _tf_checkpoint.read(path, *others)
    return _safetensors.read(path)


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise MissingLibraryError(
            f"{path.name} is a PyTorch file. Install PyTorch to convert it: "
            "pip install keras-twostream[torch]"
        ) from error
    try:
        # weights_only reads tensors and refuses to run pickled code.
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{path} is no PyTorch file of tensors alone: {error}. Files "
            "that hold code are never opened."
        ) from error
    if isinstance(values, Mapping):
        values = values.get("state_dict", values)
    if not isinstance(values, Mapping):
        raise WeightsError(
            f"{path} must hold tensors by name. Received: a "
            f"{type(values).__name__}. Save the network's state_dict()."
        )
    return {
        key: _array(tensor)
        for key, tensor in values.items()
        if isinstance(tensor, torch.Tensor)
    }


def _array(tensor: Any) -> np.ndarray:
    """The values; bfloat16, which NumPy lacks, as float32."""
    import torch

    if tensor.dtype is torch.bfloat16:
        tensor = tensor.float()
    return tensor.detach().numpy()
