"""Key maps for Caffe's files, by layer names of the prototxt.

GoogLeNet and BN-Inception have the names that are ours too, with a slash
where Keras allows none.
"""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained.keymaps._names import HEAD, without_epsilon

_HEADS = ("loss3/classifier", "fc-action", "fc_action")
_AUXILIARY = ("loss1/", "loss2/")
_EPSILON = 1e-5  # epsilon of the authors' BN layers and ours


def caffe(keys: Iterable[str]) -> dict[str, str]:
    """Map conv1/7x7_s2.kernel -> conv1_7x7_s2.kernel, and so on.

    The classifiers of `loss1` and `loss2`, which only training uses, are left
    out.
    """
    names = {}
    for key in keys:
        layer, _, variable = key.rpartition(".")
        if not layer.startswith(_AUXILIARY):
            ours = HEAD if layer in _HEADS else layer.replace("/", "_")
            names[key] = f"{ours}.{variable}"
    return names


def plain(arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays, if none of them belongs to a normalisation.

    Raises:
        WeightsError: If there is one: whether the last array of yjxiong's BN
            layers is a variance is not written in the file.
    """
    if spreads := [key for key in arrays if key.endswith(".spread")]:
        raise WeightsError(
            f"The file has normalisations ({spreads[0]}, ...), and it does not "
            "say whether it holds their variances or 1 / sqrt(variance + "
            "epsilon). State it: layout='caffe_variance' or "
            "layout='caffe_inverse_std'."
        )
    return dict(arrays)


def with_variances(arrays: dict[str, Any]) -> dict[str, Any]:
    """Convert BN layers that end in the variance, as since April 2016."""
    return {
        re.sub(r"\.spread$", ".moving_variance", key): array
        for key, array in arrays.items()
    }


def with_inverse_stds(arrays: dict[str, Any]) -> dict[str, Any]:
    """Convert BN layers that end in 1 / sqrt(variance + epsilon).

    The conversion is that of python/bn_convert_style.py in the authors' Caffe.
    """
    tensors = with_variances(arrays)
    for key, array in arrays.items():
        if key.endswith(".spread"):
            squares = array.astype(np.float64) ** -2
            variance = without_epsilon(squares, _EPSILON)
            tensors[key.replace(".spread", ".moving_variance")] = variance
    return tensors
