"""The first step of a run: its variables are there before it is traced."""

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
