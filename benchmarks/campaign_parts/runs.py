"""The state of a training run, and what TensorFlow and PyTorch read."""

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from campaign_parts import tensors
from campaign_parts.sample import Reading, Sample, digest


def samples() -> Iterator[Sample]:
    """Yield a run's checkpoint, and files of PyTorch and TensorFlow."""
    yield Sample(
        "run: checkpoint.npz",
        "weights, folders of models",
        "checkpoint.npz",
        {"checkpoint.npz": _checkpoint()},
        _read_checkpoint,
        sealed=True,
        heavy=True,
    )
    for file, data in tensors.of_torch().items():
        yield Sample(
            f"weights: {file}, PyTorch's reader",
            "weights, folders of models",
            file,
            {file: data},
            functools.partial(_read_by_torch, file=file),
            sealed=True,
            heavy=True,
        )
    files = _of_tensorflow()
    for file in files:
        yield Sample(
            f"weights: TensorFlow's {file.partition('.')[2]}",
            "weights, folders of models",
            file,
            dict(files),
            _read_tensorflow,
            sealed=True,
            exact=True,
            heavy=True,
        )


def _read_by_torch(folder: Path, file: str) -> Reading:
    from keras_twostream.pretrained import _readers

    found = _readers.read(folder / file)
    return Reading(len(found), digest(found))


def _checkpoint() -> bytes:
    from keras_twostream._files import write_arrays

    state = '{"epoch": 1, "step": 0, "identity": {}, "companions": []}'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint.npz")
        write_arrays(
            path, {"state": np.array(state), "model/0": np.ones((4, 4))}
        )
        return path.read_bytes()


def _read_checkpoint(folder: Path) -> Reading:
    from keras_twostream.training import _checkpoint

    state, arrays = _checkpoint.read_checkpoint(folder / "checkpoint.npz")
    return Reading(len(arrays), digest(state, arrays))


@functools.cache
def _of_tensorflow() -> dict[str, bytes]:
    """Return a checkpoint's files, made in a process of its own."""
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(write_tensorflow)


def write_tensorflow() -> dict[str, bytes]:
    """Return the files of a checkpoint of two variables."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        values = tf.train.Checkpoint(
            a=tf.Variable(np.ones((3, 4), "float32")), b=tf.Variable(2.0)
        )
        values.write(f"{folder}/w")
        return {p.name: p.read_bytes() for p in Path(folder).glob("w.*")}


def _read_tensorflow(folder: Path) -> Reading:
    from keras_twostream.pretrained import _readers

    found = _readers.read(folder / "w.index")
    arrays = {
        name: value
        for name, value in found.items()
        if not name.startswith("_CHECKPOINTABLE")
    }
    return Reading(len(arrays), digest(arrays))
