"""A weight's arrays under our keys, wherever and in whatever form they lie."""

from typing import Any

import keras

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _safetensors, _sources
from keras_twostream.pretrained._spec import OURS, WeightSpec


def tensors(spec: WeightSpec, model: keras.Model) -> dict[str, Any]:
    """Arrays by the model's keys.

    Args:
        spec: The weight.
        model: The model they are for.

    Returns:
        From "rgb_conv1.kernel" to the array.

    Raises:
        WeightsError: If a file cannot be fetched, verified or read.
    """
    files = _sources.local_files(spec)
    if spec.layout != OURS:
        raise WeightsError(f"{spec.name}: unknown layout {spec.layout!r}.")
    return _safetensors.read(files[0].path)
