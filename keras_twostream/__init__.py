"""Two-stream video action recognition in Keras 3.

`import keras_twostream` is light: Keras, OpenCV and the Hub client are
imported by the functions that need them. Its layers register themselves with
Keras the moment Keras is imported, so `keras.models.load_model` works with
this import alone.
"""

from keras_twostream import _keras_hook
from keras_twostream._lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, _PUBLIC)

_keras_hook.install()
