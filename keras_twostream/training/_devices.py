"""Training on several devices of one machine."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import keras

from keras_twostream._cpus import lacks_bfloat16
from keras_twostream.errors import MissingLibraryError, SpecError, check_choice


@contextlib.contextmanager
def devices(count: int | None = None) -> Iterator[list[str]]:
    """Train data-parallel: every device takes a share of each batch.

    Open this context before the model is built, as JAX requires. Batches are
    the global ones. JAX refuses a batch that does not divide by the number of
    devices, and TensorFlow gives the mean of a smaller share as much weight as
    that of a larger one: pass such data through `even_batches`.
    `training.train` leaves out a smaller last batch, and in validation fills it
    up without weight.

    On several machines, each process first calls
    `keras.distribution.initialize` (JAX) and feeds its own share of every
    batch; see examples/many_workers.py.

    Args:
        count: Number of devices; all of them when None.

    Yields:
        The list of their names.

    Raises:
        MissingLibraryError: On PyTorch, where Keras accepts several devices
            and then uses one.
        SpecError: If there are fewer devices.

    Example:

    ```python
    with keras_twostream.training.devices(2):
        model = keras_twostream.load("spatiotemporal_resnet", num_classes=6)
        keras_twostream.training.compile(model, "finetune", steps=1000)
        model.fit(dataset, epochs=10)
    ```
    """
    backend = keras.backend.backend()
    if backend == "torch":
        raise MissingLibraryError(
            "Keras on PyTorch does not spread a model over several devices. "
            "Set KERAS_BACKEND=jax or KERAS_BACKEND=tensorflow before Keras "
            "is imported, or leave keras_twostream.training.devices out."
        )
    names = _choose(count)
    enter = _jax if backend == "jax" else _tensorflow
    with enter(names):
        yield names


def set_precision(name: str = "auto") -> str:
    """Set the number format of layers; call this before building.

    Weights, normalisation of the input and logits stay in float32. A warning
    says so where bfloat16 is slower: on a CPU without instructions for it.

    Args:
        name: "float32", "bfloat16", or "auto" for bfloat16 on a GPU and
            float32 elsewhere.

    Returns:
        The name of Keras's dtype policy.

    Raises:
        SpecError: If the name is not one of the three.
    """
    policies = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
    check_choice("precision", name, ("auto", *policies))
    if name == "auto":
        name = "bfloat16" if has_gpu() else "float32"
    elif name == "bfloat16" and lacks_bfloat16() and not has_gpu():
        warnings.warn(
            "This processor has no instructions for bfloat16, so layers take "
            "several times as long as in float32.",
            stacklevel=2,
        )
    keras.config.set_dtype_policy(policies[name])
    return policies[name]


def has_gpu() -> bool:
    """Check if the backend sees a GPU."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    # All devices are listed: JAX raises when it is asked for a kind that is not
    # there.
    devices = keras.distribution.list_devices()
    return any(name.startswith("gpu") for name in devices)


def _choose(count: int | None) -> list[str]:
    names = keras.distribution.list_devices()
    accelerators = [name for name in names if not name.startswith("cpu")]
    names = accelerators or names
    count = len(names) if count is None else count
    if not 1 <= count <= len(names):
        raise SpecError(
            f"`count` (`--devices`) must lie in 1..{len(names)}, the devices "
            f"that {keras.backend.backend()} sees: {', '.join(names)}. "
            f"Received: count={count}"
        )
    return names[:count]


@contextlib.contextmanager
def _jax(names: list[str]) -> Iterator[Any]:
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
    )
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


@contextlib.contextmanager
def _tensorflow(names: list[str]) -> Iterator[Any]:
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(
        [name.upper() for name in names],
        # The default reduction needs NCCL, which CPUs lack.
        cross_device_ops=tf.distribute.ReductionToOneDevice()
        if names[0].startswith("cpu")
        else None,
    )
    with strategy.scope():
        yield
