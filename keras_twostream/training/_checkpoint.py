"""Checkpoints to stop and resume, the best weights, and the log.

All randomness in the input is a function of (seed, epoch, step). A checkpoint
therefore holds the weights, the optimiser and that position; no iterator is
saved.
"""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_twostream import _schema
from keras_twostream._arrays import check_unpacked, read_arrays, whole
from keras_twostream._files import expanded, write_arrays, write_table
from keras_twostream.errors import WeightsError
from keras_twostream.training._identity import LENGTH, refuse_other

_BEGIN_ANEW = "Delete it, and the run begins anew."
_LAST_INSTEAD = (
    'Take the last weights instead, with keep="last" (--keep last), or delete '
    "checkpoint.npz beside it, and the run begins anew."
)
_STATE = {
    "epoch": _schema.Rule(int, low=0, high=2**40),
    "step": _schema.Rule(int, low=0, high=2**40),
    "identity": _schema.Rule(dict, required=False),  # the first lack it
    "companions": _schema.Rule(list),
}


class Resume(keras.callbacks.Callback):
    """Callback that saves the state of `fit`, and resumes after a kill.

    Args:
        path: The checkpoint, an .npz file.
        every_seconds: Seconds between two saves within an epoch; the end of
            an epoch is always saved.
        companions: Callbacks whose `state` (a JSON-compatible dict) is saved
            and restored too, such as `KeepBest` and `RunLog`.
        seed: Seed of dropout on PyTorch, used with epoch and step.
        identity: Description of the run by name, in JSON-compatible values; a
            run resumes only if its own is the same.

    Attributes:
        epoch: The epoch at which the run resumes.
        step: Batches of that epoch that are done.

    Example:

    ```python
    resume = Resume("run/checkpoint.npz")
    resume.restore(model)
    for part in resume.parts(steps, epochs=30):
        place = {"start_epoch": resume.epoch, "start_step": resume.step}
        # The dataset repeats, so that steps_per_epoch alone ends an epoch.
        dataset = make(training=True, repeat=True, **place)
        model.fit(dataset, callbacks=[resume], **part)
    ```
    """

    def __init__(
        self,
        path: str | os.PathLike,
        every_seconds: float = 300.0,
        companions: tuple[Any, ...] = (),
        seed: int = 0,
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.path = expanded(path)
        self._identity = dict(identity or {})
        self.epoch = self.step = 0
        self._every, self._companions = every_seconds, companions
        self._seed = seed
        self._metrics: list[np.ndarray] | None = None

    def restore(self, model: keras.Model) -> bool:
        """Put a compiled model into the saved state, if there is one.

        Returns:
            True if there was one.

        Raises:
            WeightsError: If the checkpoint is damaged, or of another model,
                optimiser or run.
        """
        self.set_model(model)
        if not self.path.exists():
            return False
        state, arrays = read_checkpoint(self.path)
        saved = state.get("identity", {})
        refuse_other(saved, self._identity, f"The checkpoint {self.path}")
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._assign(model.variables, arrays, "model")
        self._assign(model.optimizer.variables, arrays, "optimizer")
        self._metrics = _group(arrays, "metrics")
        self.epoch, self.step = state["epoch"], state["step"]
        kept = state["companions"]
        with whole(self.path, WeightsError, _BEGIN_ANEW):
            for callback, values in zip(self._companions, kept, strict=True):
                callback.state = values
        return True

    def parts(self, steps: int, epochs: int) -> Iterator[dict[str, int]]:
        """Yield the arguments of each call of `fit` that the run still needs.

        The rest of an interrupted epoch is a call of its own: Keras takes the
        length of all epochs from the first epoch of a call.

        Args:
            steps: Batches in a whole epoch.
            epochs: Epochs of the run, those that are done included.

        Yields:
            `initial_epoch`, `epochs` and `steps_per_epoch`. The attributes
            `epoch` and `step` then give the start of the dataset.
        """
        if self.step and self._goes_on(epochs):
            yield {
                "initial_epoch": self.epoch,
                "epochs": self.epoch + 1,
                "steps_per_epoch": steps - self.step,
            }
        if self._goes_on(epochs):
            yield {
                "initial_epoch": self.epoch,
                "epochs": epochs,
                "steps_per_epoch": steps,
            }

    def _goes_on(self, epochs: int) -> bool:
        # Keras gives a model this attribute when it is compiled.
        stopped = getattr(self.model, "stop_training", False)
        return self.epoch < epochs and not stopped

    def on_train_begin(self, logs=None):
        self._saved_at = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self._first, self.epoch = self.step, epoch

    def on_train_batch_begin(self, batch, logs=None):
        if keras.backend.backend() == "torch":
            # Its dropout draws from a generator that is no Keras variable.
            _seed_torch(self._seed, self.epoch, self._first + batch)

    def on_train_batch_end(self, batch, logs=None):
        self._add_earlier_metrics()
        self.step = self._first + batch + 1
        # After the last batch, nothing of the epoch remains.
        last = batch + 1 == (self.params or {}).get("steps")
        if not last and time.monotonic() - self._saved_at >= self._every:
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        self.epoch, self.step = epoch + 1, 0
        self.save()

    def save(self) -> None:
        """Write the checkpoint, replacing the previous one."""
        model = self.model
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "identity": self._identity,
            "companions": [x.state for x in self._companions],
        }
        arrays = {"state": np.array(json.dumps(state))}
        for name, variables in (
            ("model", model.variables),
            ("optimizer", model.optimizer.variables),
            ("metrics", model.metrics_variables),
        ):
            for number, variable in enumerate(variables):
                value = keras.ops.convert_to_numpy(variable)
                arrays[f"{name}/{number}"] = value
        write_arrays(self.path, arrays)
        self._saved_at = time.monotonic()

    def _add_earlier_metrics(self) -> None:
        """Add the part before the kill to the means over a resumed epoch.

        Keras makes its metrics in the first step; all of them are sums.
        """
        if self._first and self._metrics:
            for variable, value in zip(
                self.model.metrics_variables, self._metrics, strict=True
            ):
                variable.assign(variable + value)
        self._metrics = None

    def _assign(self, variables, arrays, name: str) -> None:
        values = _group(arrays, name)
        same = len(values) == len(variables) and all(
            tuple(variable.shape) == value.shape
            for variable, value in zip(variables, values, strict=True)
        )
        if not same:
            raise WeightsError(
                f"The checkpoint {self.path} was saved with another model or "
                f"recipe: its {name} variables do not fit. Resume with the "
                "settings of that run, or start a new run folder."
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def read_checkpoint(
    path: Path,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the state and the arrays of a run's checkpoint.

    Raises:
        WeightsError: If it is damaged.
    """
    arrays = read_arrays(path, WeightsError, _BEGIN_ANEW)
    with whole(path, WeightsError, _BEGIN_ANEW):
        return _checked(arrays.pop("state"), path), arrays


def planned_epochs(path: Path) -> int | None:
    """Return the epochs that the run of a checkpoint was to have.

    Args:
        path: The file that `Resume` wrote; of its arrays none is read.

    Returns:
        A number, or None where there is no checkpoint or it has none.

    Raises:
        WeightsError: If the file is damaged.
    """
    if not path.exists():
        return None
    with whole(path, WeightsError, _BEGIN_ANEW):
        check_unpacked(path, WeightsError)
        with np.load(path, allow_pickle=False) as arrays:
            state = _checked(arrays["state"], path)
    epochs = state.get("identity", {}).get(LENGTH)
    return epochs if isinstance(epochs, int) and epochs > 0 else None


def _checked(state: np.ndarray, path: Path) -> dict[str, Any]:
    return _schema.check(_schema.parse_json(str(state), path), _STATE, path)


def _seed_torch(seed: int, epoch: int, step: int) -> None:
    import torch

    torch.manual_seed(hash((seed, epoch, step)) % 2**63)


def _group(arrays: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}/") for key in arrays)
    return [arrays[f"{name}/{number}"] for number in range(count)]


class Diverged(WeightsError):
    """A run whose loss is no longer a finite number."""


class RefuseDiverged(keras.callbacks.Callback):
    """Callback that ends a run whose loss, or validation's, is no number.

    The last step of an epoch can break weights whose losses were numbers.

    It stands before those that keep weights and save, so that they keep what
    was there before.

    Raises:
        Diverged: At the end of such an epoch.
    """

    def on_epoch_end(self, epoch, logs=None):
        for name in ("loss", "val_loss"):
            loss = float((logs or {}).get(name, 0.0))
            if not math.isfinite(loss):
                raise Diverged(
                    f"Training diverged in epoch {epoch + 1}: its {name} is "
                    f"{loss}. Train again with a lower learning rate into "
                    "another folder, and see that every label has an output."
                )


class KeepBest(keras.callbacks.Callback):
    """Callback that keeps the best weights, and can stop early.

    Args:
        path: File for the weights, an .npz file.
        monitor: A key of `logs`. Larger is better, unless it ends in "loss".
        patience: Epochs without improvement before training stops, or None for
            never.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        monitor: str = "val_accuracy",
        patience: int | None = None,
    ) -> None:
        super().__init__()
        self.path, self.monitor = expanded(path), monitor
        self._patience = patience
        self.state: dict[str, Any] = {"best": None, "epoch": None}

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {}).get(self.monitor)
        if value is None:
            return
        if is_better(float(value), self.state["best"], self.monitor):
            self.state = {"best": float(value), "epoch": epoch}
            arrays = {
                str(number): keras.ops.convert_to_numpy(weight)
                for number, weight in enumerate(self.model.weights)
            }
            write_arrays(self.path, arrays)
        elif self.exhausted(epoch):
            self.model.stop_training = True

    def exhausted(self, epoch: int) -> bool:
        """Check if the patience had run out at the end of an epoch."""
        if self._patience is None or self.state["epoch"] is None:
            return False
        return epoch - self.state["epoch"] >= self._patience

    def load_best(self, model: keras.Model) -> None:
        """Give the model its best weights, if this run has kept any.

        A file that another run left at the same path is ignored.

        Raises:
            WeightsError: If the file that this run has kept is gone or damaged.
        """
        if self.state["epoch"] is not None:
            arrays = read_arrays(self.path, WeightsError, _LAST_INSTEAD)
            with whole(self.path, WeightsError, _LAST_INSTEAD):
                model.set_weights([arrays[str(i)] for i in range(len(arrays))])


def is_better(value: float, best: float | None, monitor: str) -> bool:
    """Check if a value of `logs` is better than the best one so far.

    Args:
        value: The new value; NaN is never better.
        best: The best one, None if there is none.
        monitor: Its name. Larger is better, unless it ends in "loss".
    """
    if math.isnan(value):
        return False
    if best is None or math.isnan(best):
        return True
    return value < best if monitor.endswith("loss") else value > best


class RunLog(keras.callbacks.Callback):
    """Callback that writes a CSV with one row per epoch.

    Args:
        path: The file.
        report: Function called with each row.
    """

    def __init__(self, path: str | os.PathLike, report: Any = None) -> None:
        super().__init__()
        self.path, self._report = expanded(path), report
        self.state: list[dict[str, Any]] = []

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        row = {
            "epoch": epoch + 1,
            **{name: float(value) for name, value in (logs or {}).items()},
            "seconds": round(time.perf_counter() - self._start, 1),
        }
        self.state = [*self.state, row]
        write_table(self.path, self.state)
        if self._report:
            self._report(row)
