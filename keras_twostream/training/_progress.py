"""Progress of `fit` as lines of text, for terminals and log files alike."""

import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_twostream.spec import FUSED

_ALONE = ("accuracy", "auc")
_ACCURACY = re.compile(r"(.+_)?(accuracy|auc)")


class Progress(keras.callbacks.Callback):
    """Callback that writes a line every few seconds and one per epoch.

    Args:
        batch_size: Clips, or what `unit` says, in a batch.
        steps: Batches in a whole epoch.
        epochs: Epochs of the run.
        first_step: Batches of the first epoch that are already done.
        say: Function called with each line; prints it to standard error
            when None.
        every_seconds: Seconds between two lines within an epoch.
        verbose: Whether a line has every number of `fit`, and not the loss
            and the accuracy alone.
        unit: What a batch is made of, in words.
    """

    def __init__(
        self,
        batch_size: int,
        steps: int,
        epochs: int,
        first_step: int = 0,
        say: Callable[[str], None] | None = None,
        every_seconds: float = 20.0,
        verbose: bool = False,
        unit: str = "clips",
    ) -> None:
        super().__init__()
        self._unit = unit
        self._batch_size, self._steps = batch_size, steps
        self._epochs, self._offset = epochs, first_step
        self._say, self._every = say or _print, every_seconds
        self._warm = False  # until a step has built the graph
        self._numbers = every_number if verbose else main_numbers

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._began = self._shown = self._timed = time.perf_counter()
        self._untimed = 0

    def on_train_batch_end(self, batch, logs=None):
        now, done = time.perf_counter(), batch + 1
        if not self._warm:
            self._warm, self._timed, self._untimed = True, now, done
        if now - self._shown < self._every:
            return
        self._shown = now
        step = self._offset + done
        self._say(
            f"epoch {self._epoch + 1}/{self._epochs} "
            f"step {step}/{self._steps}  {self._numbers(logs or {})}"
            + self._pace(now, done, step)
        )

    def _pace(self, now: float, done: int, step: int) -> str:
        """Return speed and time left, once a step has been timed."""
        if done == self._untimed:
            return ""
        pace = (now - self._timed) / (done - self._untimed)
        left = (self._epochs - self._epoch) * self._steps - step
        return (
            f"  {rate(self._batch_size / pace)} {self._unit}/s, "
            f"{duration(left * pace)} left"
        )

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self._began
        left = (self._epochs - epoch - 1) * seconds
        foretold = left and not self._untimed
        self._offset = 0
        self._say(
            f"epoch {epoch + 1}/{self._epochs}  {self._numbers(logs or {})}  "
            f"{duration(seconds)}"
            + (f", {duration(left)} left" if foretold else "")
        )


def counted(
    what: str, say: Callable[[str], None], every_seconds: float = 20.0
) -> Callable[[int, int], None]:
    """Return a function of the numbers done and in total that says them.

    Args:
        what: The work, in words, as "regions of video".
        say: Function called with each line.
        every_seconds: Seconds between two lines; a short job has none.
    """
    shown, before = time.perf_counter(), 0

    def progress(done: int, total: int) -> None:
        nonlocal shown, before
        now = time.perf_counter()
        if now - shown < every_seconds:
            return
        left = (total - done) * (now - shown) / (done - before)
        say(f"{what} {done}/{total}, {duration(left)} left")
        shown, before = now, done

    return progress


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def rate(number: float) -> str:
    """Return a pace with its first decimals, however slow it is."""
    return f"{number:.1f}" if number >= 1 else f"{number:.2g}"


def duration(seconds: float) -> str:
    """Format seconds as 4:05 or 2:04:05."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02}"
    return f"{minutes}:{seconds:02}"


def every_number(logs: Mapping[str, Any]) -> str:
    """Return all numbers by name, as `fit` calls them."""
    return "  ".join(f"{k} {float(value):.4f}" for k, value in logs.items())


def main_numbers(logs: Mapping[str, Any]) -> str:
    """Return accuracy and loss, those of the validation in parentheses.

    The accuracy is that of the fused score; where there is none, as with
    heads for several data sets, that of each head.
    """
    names = [name for name in logs if _ACCURACY.fullmatch(name)]
    own = [name for name in names if not name.startswith("val_")]
    fused = [n for n in own if n.removeprefix(f"{FUSED}_") in _ALONE]
    return "  ".join(
        f"{name.removeprefix(f'{FUSED}_')} {float(logs[name]):.4f}"
        + _of_validation(logs, name)
        for name in (*(fused or own), "loss")
        if name in logs
    )


def _of_validation(logs: Mapping[str, Any], name: str) -> str:
    value = logs.get(f"val_{name}")
    return "" if value is None else f" (validation {float(value):.4f})"
