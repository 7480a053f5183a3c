"""A run by hand with `Resume`; the best weights with `KeepBest`."""

import keras
import numpy as np
import pytest

from keras_twostream import training
from keras_twostream.data import video_dataset
from keras_twostream.inspection import clip_spec

pytestmark = [pytest.mark.portable, pytest.mark.usefixtures("untraced")]


class _Killed(Exception):
    pass


class _Count(keras.callbacks.Callback):
    """Batches of each epoch; may end training the hard way in the first."""

    def __init__(self, kill_at=None):
        super().__init__()
        self.batches, self._kill_at = {}, kill_at

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self._kill_at:
            raise _Killed
        self.batches[self._epoch] = batch + 1


def _fit(model, items, path, count):
    """Train in parts, like the example in the docstring of `Resume`."""
    resume = training.Resume(path, every_seconds=0.0)
    training.compile(model, "actors", steps=9)
    resume.restore(model)
    for part in resume.parts(3, epochs=3):
        dataset = video_dataset(
            items,
            clip_spec(model),
            4,
            training=True,
            repeat=True,
            start_epoch=resume.epoch,
            start_step=resume.step,
            workers=1,
        )
        model.fit(dataset, callbacks=[resume, count], verbose=0, **part)
    return resume


@pytest.mark.filterwarnings("error:Your input ran out of data")
def test_epochs_after_a_broken_off_one_have_all_batches(build, items, tmp_path):
    whole = build()
    _fit(whole, items, tmp_path / "whole.npz", _Count())
    with pytest.raises(_Killed):
        _fit(build(), items, tmp_path / "cut.npz", _Count(kill_at=2))
    resumed, count = build(seed=9), _Count()
    resume = _fit(resumed, items, tmp_path / "cut.npz", count)
    assert count.batches == {0: 1, 1: 3, 2: 3}
    assert (resume.epoch, resume.step) == (3, 0)
    for one, other in zip(
        whole.get_weights(), resumed.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_nothing_is_left_of_a_run_that_stopped(build, tmp_path):
    resume, model = training.Resume(tmp_path / "c.npz"), build()
    resume.restore(model)
    resume.epoch, resume.step = 1, 2
    first = {"initial_epoch": 1, "epochs": 2, "steps_per_epoch": 1}
    parts = resume.parts(3, epochs=2)
    assert next(parts) == first
    resume.epoch, resume.step = 2, 0
    assert not list(parts)
    model.stop_training = True
    assert not list(resume.parts(3, epochs=5))


def test_not_a_number_is_never_the_best(build, tmp_path):
    best = training.KeepBest(tmp_path / "b.npz", "val_loss", patience=1)
    best.set_model(build())
    best.on_epoch_end(0, {"val_loss": float("nan")})
    assert best.state["epoch"] is None and not best.path.exists()
    best.on_epoch_end(1, {"val_loss": 0.5})
    best.on_epoch_end(2, {"val_loss": float("nan")})
    assert best.state == {"best": 0.5, "epoch": 1}
    assert best.model.stop_training
    # As a checkpoint of an earlier version may hold it.
    best.state = {"best": float("nan"), "epoch": 0}
    best.on_epoch_end(3, {"val_loss": 0.7})
    assert best.state == {"best": 0.7, "epoch": 3}


@pytest.mark.agnostic
def test_best_weights_of_another_run_are_not_loaded(build, tmp_path):
    former = training.KeepBest(tmp_path / "b.npz", "val_loss")
    former.set_model(build(seed=1))
    former.on_epoch_end(0, {"val_loss": 0.5})
    model = build(seed=2)
    expected = model.get_weights()
    training.KeepBest(tmp_path / "b.npz", "val_loss").load_best(model)
    for one, other in zip(expected, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
