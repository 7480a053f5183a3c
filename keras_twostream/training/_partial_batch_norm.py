"""Partial batch normalisation (Wang et al. 2016, section 3.2)."""

import keras

from keras_twostream.inspection import stream_layers


def freeze_batch_norm(model: keras.Model) -> list[str]:
    """Freeze every batch normalisation but each stream's first.

    A frozen layer keeps gamma and beta, and normalises by its moving mean and
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
