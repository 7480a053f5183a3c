"""A reader of TensorFlow checkpoints that checks each tensor's CRC32C.

The index file holds each tensor's name, shape, place and checksum, so a
pinned index protects the data file too. TensorFlow's own reader checks them.
"""

import contextlib
import importlib
import os
import shutil
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np

from keras_twostream.errors import MissingLibraryError, WeightsError

_DATA = "data-00000-of-00001"


def read(index: Path, data: Path | None = None) -> dict[str, np.ndarray]:
    """Read all tensors of a checkpoint of one shard.

    Args:
        index: The .index file.
        data: The .data-00000-of-00001 file; beside the index when None.

    Returns:
        Arrays by TensorFlow's names.

    Raises:
        WeightsError: If a file is damaged or missing.
    """
    data = data or index.with_name(f"{index.stem}.{_DATA}")
    if not data.is_file():
        raise WeightsError(
            f"The checkpoint {index} needs its data beside it: {data} is "
            "missing."
        )
    with tempfile.TemporaryDirectory() as folder:
        # TensorFlow finds the data by the index's name; ours carry hashes.
        prefix = Path(folder) / "model.ckpt"
        _name(index.resolve(), prefix.with_name("model.ckpt.index"))
        _name(data.resolve(), prefix.with_name(f"model.ckpt.{_DATA}"))
        return _tensors(prefix, index)


def _name(file: Path, path: Path) -> None:
    """Link or copy a file to another path."""
    # Windows allows links to some users only, and some disks to nobody.
    for link in (os.symlink, os.link):
        with contextlib.suppress(OSError):
            return link(file, path)
    shutil.copyfile(file, path)


def _import_tensorflow() -> ModuleType:
    try:
        return importlib.import_module("tensorflow")
    except ModuleNotFoundError as error:
        raise MissingLibraryError(
            "Checkpoints of TensorFlow are read by TensorFlow, which is not "
            "installed. Install it with: pip install tensorflow"
        ) from error


def _tensors(prefix: Path, index: Path) -> dict[str, np.ndarray]:
    tf = _import_tensorflow()
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        names = reader.get_variable_to_shape_map()
        return {name: reader.get_tensor(name) for name in names}
    except Exception as error:  # a file that is cut off raises IndexError
        raise WeightsError(
            f"The checkpoint {index} is damaged: {error}. A tensor's bytes "
            "must match the CRC32C in the index. Download it again with "
            "`keras-twostream weights pull --force`."
        ) from error
