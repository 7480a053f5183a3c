"""A weight's arrays under our keys, wherever and in whatever form they lie."""

from pathlib import Path
from typing import Any

import keras

from keras_twostream.pretrained import _safetensors, _verify
from keras_twostream.pretrained._spec import WeightSpec


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
    path = Path(spec.folder) / spec.filename
    if spec.sha256 and path.is_file():
        _verify.verify(path, spec.sha256, _repair(spec))
    return _safetensors.read(path)


def _repair(spec: WeightSpec) -> str:
    return (
        f"Write the folder {spec.folder} again with "
        "keras_twostream.save_pretrained, or copy it again from where it came."
    )
