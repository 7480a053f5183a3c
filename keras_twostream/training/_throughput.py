"""The speed of training, and the time it spends waiting for input."""

import resource
import sys
import time
from typing import Any

import keras
import tensorflow as tf

MEBI = 2**20


class ThroughputMonitor(keras.callbacks.Callback):
    """Callback that splits training time into input, compute and callbacks.

    It writes `clips_per_second`, `input_wait` and `callback_share` (shares of
    the time), `device_mb` (peak memory) and `tflops` into `logs`.

    Args:
        batch_size: Clips in a batch.
        flops_per_clip: Operations of a forward pass; a training step counts
            three. None leaves `tflops` out.

    Example:

    ```python
    monitor = ThroughputMonitor(batch_size=16)
    model.fit(monitor.watch(dataset), callbacks=[monitor])
    ```
    """

    def __init__(
        self, batch_size: int, flops_per_clip: float | None = None
    ) -> None:
        super().__init__()
        self._batch_size, self._flops = batch_size, flops_per_clip
        self._waited = 0.0

    def watch(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Return the dataset, with a record of the time its consumer waits."""

        def now():
            return time.perf_counter()

        def stop(start):
            self._waited += time.perf_counter() - start
            return start

        # zip asks the clock first, then waits for the batch.
        clock = tf.data.Dataset.counter().map(
            lambda _: tf.numpy_function(now, [], tf.float64)
        )

        def record(start, batch):
            seen = tf.numpy_function(stop, [start], tf.float64)
            with tf.control_dependencies([seen]):
                return tf.nest.map_structure(tf.identity, batch)

        options = tf.data.Options()
        # A prefetch after the clock would hide the wait.
        options.experimental_optimization.inject_prefetch = False
        watched = tf.data.Dataset.zip(clock, dataset).map(record)
        return watched.with_options(options)

    def on_epoch_begin(self, epoch, logs=None):
        self._began = self._ended = time.perf_counter()
        self._waited = self._busy = 0.0
        self._steps = 0

    def on_train_batch_begin(self, batch, logs=None):
        now = time.perf_counter()
        if self._steps:
            self._busy += now - self._ended

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1
        self._ended = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs.update(self.summary())

    def summary(self) -> dict[str, float]:
        """Return the numbers of the epoch so far."""
        seconds = max(self._ended - self._began, 1e-9)
        rate = self._steps * self._batch_size / seconds
        numbers = {
            "clips_per_second": rate,
            "input_wait": min(self._waited / seconds, 1.0),
            "callback_share": self._busy / seconds,
            "device_mb": device_memory() / MEBI,
        }
        if self._flops:
            numbers["tflops"] = 3 * self._flops * rate / 1e12
        return numbers


def device_memory() -> float:
    """Return peak bytes on the first accelerator, else of the process."""
    backend = keras.backend.backend()
    memory = _ACCELERATOR_MEMORY[backend]()
    if memory is not None:
        return memory
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _tensorflow_memory() -> Any:
    if not tf.config.list_logical_devices("GPU"):
        return None
    return tf.config.experimental.get_memory_info("GPU:0")["peak"]


def _jax_memory() -> Any:
    import jax

    stats = jax.local_devices()[0].memory_stats()
    return (stats or {}).get("peak_bytes_in_use")


def _torch_memory() -> Any:
    import torch

    if not torch.cuda.is_available():
        return None
    return torch.cuda.max_memory_allocated()


_ACCELERATOR_MEMORY = {
    "tensorflow": _tensorflow_memory,
    "jax": _jax_memory,
    "torch": _torch_memory,
}
