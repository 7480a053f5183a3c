"""A learning rate that falls where training stands still."""

from typing import Any

import keras

from keras_twostream.training._checkpoint import is_better
from keras_twostream.training._recipes import Recipe
from keras_twostream.training._schedules import FACTOR

PATIENCE = 5  # epochs


class FallOnPlateau(keras.callbacks.Callback):
    """Callback that lowers the learning rate where nothing gets better.

    Karpathy et al. 2014 did so by hand. The optimiser keeps the rate, and a
    checkpoint the optimiser, so that a resumed run goes on at the same one.

    Args:
        monitor: A key of `logs`. Larger is better, unless it ends in "loss".
        factor: Factor on the rate.
        patience: Epochs without improvement after which it falls, counted
            from the best epoch or the last fall.

    Attributes:
        state: The best value, and the epoch from which patience counts.
    """

    def __init__(
        self,
        monitor: str = "val_accuracy",
        factor: float = FACTOR,
        patience: int = PATIENCE,
    ) -> None:
        super().__init__()
        self.monitor = monitor
        self._factor, self._patience = factor, patience
        self.state: dict[str, Any] = {"best": None, "epoch": None}

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        optimizer = self.model.optimizer
        rate = float(optimizer.learning_rate)
        value = logs.get(self.monitor)
        if value is not None and self._stands_still(float(value), epoch):
            optimizer.learning_rate = rate * self._factor
        logs["learning_rate"] = rate  # of the epoch that has ended

    def _stands_still(self, value: float, epoch: int) -> bool:
        if is_better(value, self.state["best"], self.monitor):
            self.state = {"best": value, "epoch": epoch}
            return False
        since = self.state["epoch"]
        if since is None or epoch - since < self._patience:
            return False
        self.state = {**self.state, "epoch": epoch}
        return True


def plateaus(recipe: Recipe, monitor: str) -> list[FallOnPlateau]:
    """Return the callback of a recipe's schedule, if it needs one."""
    schedule = recipe.schedule
    if schedule["name"] != "plateau":
        return []
    factor = schedule.get("factor", FACTOR)
    return [FallOnPlateau(monitor, factor, schedule.get("patience", PATIENCE))]
