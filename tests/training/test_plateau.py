"""A rate that falls where training stands still."""

import csv

import keras
import pytest

from keras_twostream import training
from keras_twostream.training import RunSettings
from keras_twostream.training._plateau import FallOnPlateau, plateaus

pytestmark = pytest.mark.portable

RECIPE = training.Recipe(
    "standing",
    epochs=3,
    batch_size=4,
    learning_rate=0.5,
    schedule={"name": "plateau", "factor": 0.1, "patience": 1},
)


def rates(values, monitor="val_accuracy", **options):
    """The rate of each epoch, for values of the monitor after each."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1.0))
    callback = FallOnPlateau(monitor, 0.1, **options)
    callback.set_model(model)
    found = []
    for epoch, value in enumerate(values):
        logs = {} if value is None else {monitor: value}
        callback.on_epoch_end(epoch, logs)
        found.append(logs["learning_rate"])
    return [*found, float(model.optimizer.learning_rate)]


@pytest.mark.agnostic
def test_it_falls_after_so_many_epochs_without_a_better_one():
    still = [0.3, 0.4, 0.4, 0.2, 0.39, 0.1]
    expected = [1, 1, 1, 1, 0.1, 0.1, 0.01]
    assert rates(still, patience=2) == pytest.approx(expected)
    assert rates([0.1, 0.2, 0.3], patience=1) == [1, 1, 1, 1]


def test_losses_are_better_when_smaller_and_no_number_never_is():
    falling = [3.0, 2.0, float("nan"), None, 2.5]
    expected = [1, 1, 1, 0.1, 0.1, 0.01]
    found = rates(falling, "val_loss", patience=1)
    assert found == pytest.approx(expected)


def test_other_schedules_need_no_callback():
    assert not plateaus(training.Recipe("x"), "loss")
    (callback,) = plateaus(training.load_recipe("context_fovea"), "loss")
    assert (callback.monitor, callback._patience) == ("loss", 5)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("held_out", [True, False])
def test_a_run_that_goes_on_keeps_its_rate(
    build, items, tmp_path, monkeypatch, held_out
):
    # As if no epoch were ever better than the first.
    monkeypatch.setattr(
        "keras_twostream.training._plateau.is_better",
        lambda value, best, monitor: best is None,
    )
    for epochs in (2, 3):
        training.train(
            build(),
            items,
            RECIPE,
            tmp_path,
            validation=items[::3] if held_out else (),
            settings=RunSettings(epochs=epochs, workers=1, keep="last"),
        )
    rows = csv.DictReader((tmp_path / "log.csv").open())
    found = [float(row["learning_rate"]) for row in rows]
    assert found == pytest.approx([0.5, 0.5, 0.05])
