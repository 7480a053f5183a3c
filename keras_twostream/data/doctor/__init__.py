"""What is wrong with a data set, and what to do about it."""

from keras_twostream._lazy import lazy_names

_HOME = {
    "Finding": "_report",
    "Report": "_report",
    "examine": "_examine",
}

__all__ = list(_HOME)

__getattr__, __dir__ = lazy_names(__name__, _HOME)
