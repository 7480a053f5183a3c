"""Published weights: their catalogue, sources and adaptation.

`keras_twostream.load` uses all of it; the parts are public because a new
source of weights needs them too. Keras and the Hub client are imported only
when a function needs them.
"""

from keras_twostream._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
