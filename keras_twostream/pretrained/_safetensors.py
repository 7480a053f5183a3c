"""Safetensors input and output, with errors that name the file."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from keras_twostream.errors import WeightsError

_UNFINISHED = re.compile(r"\.tmp[A-Za-z0-9]{6}")  # safetensors' own names


def read(path: Path) -> dict[str, np.ndarray]:
    """Read all tensors of a file by key.

    Raises:
        WeightsError: If it is no safetensors file, or is cut off.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {key: file.get_tensor(key) for key in file.keys()}
    except FileNotFoundError as error:
        raise WeightsError(f"There is no weight file {path}.") from error
    except AttributeError as error:  # a type that NumPy lacks
        raise WeightsError(
            f"{path} holds numbers of a type that cannot be read: {error}. "
            "Take a file in float32, float16 or bfloat16."
        ) from error
    except (safetensors.SafetensorError, TypeError, OSError) as error:
        raise WeightsError(
            f"{path} is not a readable safetensors file: {error}. It may be "
            "cut off: download or copy it again."
        ) from error


def write(
    tensors: Mapping[str, Any], path: Path, metadata: Mapping[str, str]
) -> None:
    """Write tensors in the order of their keys.

    Args:
        tensors: Arrays by key.
        path: The file. No other process may write into its folder: what
            killed ones left there is removed.
        metadata: Texts of the header.

    Raises:
        OSError: If the disk refuses, for instance because it is full.
        SafetensorError: Likewise.
    """
    ordered = {
        key: np.ascontiguousarray(tensors[key]) for key in sorted(tensors)
    }
    _remove_leftovers(path.parent)
    # safetensors writes a file that only its owner may read.
    path.touch()
    mode = path.stat().st_mode
    safetensors.numpy.save_file(ordered, path, metadata=dict(metadata))
    path.chmod(mode)


def _remove_leftovers(folder: Path) -> None:
    """Remove the files that safetensors was killed in writing."""
    for path in folder.glob(".tmp*"):
        if _UNFINISHED.fullmatch(path.name):
            path.unlink(missing_ok=True)
