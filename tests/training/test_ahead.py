"""The first step of a run: its variables are there before it is traced."""

import contextlib

import keras
import pytest
import tensorflow as tf

from keras_twostream import training

RECIPE = training.load_recipe("finetune").replace(
    options={}, spec={}, batch_size=4, least_steps=0
)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of TensorFlow's traces"
)
@pytest.mark.parametrize("outputs", ["fused", "streams"])
def test_a_step_is_traced_once(build, items, tmp_path, monkeypatch, outputs):
    traces = []
    step = keras.Model.train_step

    def rewritten():
        options = tf.config.optimizer.get_experimental_options()
        return not options.get("disable_meta_optimizer", False)

    def counted(self, data):
        traces.append(rewritten())
        return step(self, data)

    monkeypatch.setattr(keras.Model, "train_step", counted)
    model = build(outputs=outputs)
    settings = training.RunSettings(epochs=2, workers=1)
    training.train(model, items, RECIPE, tmp_path, settings=settings)
    assert traces == [training.has_gpu()]  # once, and on a CPU as written
    assert rewritten()  # other functions of the process


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of TensorFlow's strategies"
)
def test_one_device_that_was_chosen_trains_as_none(build, items, tmp_path):
    losses = []
    settings = training.RunSettings(epochs=1, workers=1)
    for place in (contextlib.nullcontext(), training.devices(1)):
        keras.utils.set_random_seed(0)
        with place:
            out = tmp_path / str(len(losses))
            found = training.train(
                build(), items, RECIPE, out, settings=settings
            )
        losses.append(found["last"]["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
