"""Two-stream video action recognition in Keras 3.

`import keras_twostream` is light: Keras, OpenCV and the Hub client are
imported by the functions that need them. Its layers register themselves with
Keras the moment Keras is imported, so `keras.models.load_model` works with
this import alone.
"""

import importlib
from typing import Any

from keras_twostream import _keras_hook

__version__ = "0.1.0"

# Public name -> module that defines it. An empty string marks a module that
# is itself public.
_PUBLIC = {
    "ClipSpec": "spec",
    "Prediction": "prediction",
    "WeightSpec": "pretrained",
    "clip_spec": "inspection",
    "clips": "prediction",
    "data": "",
    "errors": "",
    "flow": "",
    "layers": "",
    "list_models": "registry",
    "list_weights": "pretrained",
    "load": "hub",
    "models": "",
    "predict": "prediction",
    "pretrained": "",
    "push_to_hub": "hub",
    "register_model": "registry",
    "register_weights": "pretrained",
    "save_pretrained": "hub",
    "taps": "inspection",
    "training": "",
    "with_flow": "deploy",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_PUBLIC[name] or name}")
    return getattr(module, name) if _PUBLIC[name] else module


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])


_keras_hook.install()
