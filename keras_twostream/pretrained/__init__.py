"""Published weights: what there is, where from, and how they are adapted.

`keras_twostream.load` uses all of it; the parts are public because a new
source of weights needs them too. No Keras, and no Hub client, before a
function needs them.
"""

import importlib
from typing import Any

from keras_twostream.pretrained._adapt import cross_modality, inflate
from keras_twostream.pretrained._catalogue import (
    list_weights,
    register_weights,
    weight_spec,
)
from keras_twostream.pretrained._spec import WeightFile, WeightSpec

__all__ = [
    "WeightFile",
    "WeightSpec",
    "cross_modality",
    "inflate",
    "list_weights",
    "register_weights",
    "replace_head",
    "transfer",
    "weight_spec",
]


def __getattr__(name: str) -> Any:
    """`replace_head` and `transfer` import Keras, so they wait for use."""
    if name in ("replace_head", "transfer"):
        module = importlib.import_module(f"{__name__}._transfer")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
