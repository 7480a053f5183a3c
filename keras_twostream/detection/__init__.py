"""Action tubes: detection of actions in space and time.

The method is that of Gkioxari & Malik 2015."""

from keras_twostream._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
