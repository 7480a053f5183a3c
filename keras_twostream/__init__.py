"""Two-stream video action recognition in Keras 3.

`import keras_twostream` is light: Keras, OpenCV and the Hub client are
imported by the functions that need them. Its layers register themselves with
Keras the moment Keras is imported, so `keras.models.load_model` works with
this import alone.
"""

from keras_twostream import _keras_hook
from keras_twostream._lazy import lazy_names
from keras_twostream.flow import _weights as _flow_weights

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)

_keras_hook.install()


def _fill_flow(network, weights, variables):
    from keras_twostream.pretrained import _flow_networks

    _flow_networks.fill(network, weights, variables)


# Learned flow lies below the catalogue that has its weights.
_flow_weights.fill_with(_fill_flow)
