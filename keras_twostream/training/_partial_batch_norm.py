"""Partial batch normalisation (Wang et al. 2016, section 3.2)."""

import keras

from keras_twostream.inspection import stream_layers


def freeze_batch_norm(model: keras.Model) -> list[str]:
    """Freezes every batch normalisation but each stream's first.

    A frozen one keeps gamma and beta, and normalises by its moving mean and
    variance in training too, as `frozen: true` does in the authors' Caffe.

    Args:
        model: A model of this library.

    Returns:
        Names of the frozen layers.
    """
    seen, frozen = set(), []
    streams = tuple(stream_layers(model))
    for layer in model.layers:
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        stream = layer.name.split("_")[0]
        stream = stream if stream in streams else ""
        if stream in seen and layer.trainable:
            layer.trainable = False
            frozen.append(layer.name)
        seen.add(stream)
    return frozen


class PartialBatchNorm(keras.callbacks.Callback):
    """Freezes batch normalisation when `fit` begins.

    The same as a recipe's `partial_batch_norm`, for models compiled by hand.
    """

    def set_model(self, model):
        super().set_model(model)
        if not freeze_batch_norm(model):
            return
        # A step that an earlier `fit` compiled still trains them.
        model.train_function = None
        if model.optimizer.built:
            model.optimizer = _of_fewer_variables(model.optimizer, model)


def _of_fewer_variables(
    built: keras.optimizers.Optimizer, model: keras.Model
) -> keras.optimizers.Optimizer:
    """The optimiser for what still trains, where it was: steps and moments."""
    optimizer = built.from_config(built.get_config())
    optimizer.build(model.trainable_variables)
    state = {variable.path: variable for variable in built.variables}
    for variable in optimizer.variables:
        if variable.path in state:
            variable.assign(state[variable.path])
    return optimizer
