"""Extraction of videos into a packed cache: parallel and resumable."""

from keras_twostream._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
