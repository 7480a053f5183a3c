"""Optical flow: computed, encoded, stacked, shown, and inside the graph.

Flow is float32 in pixels: `next[y + v, x + u]` looks like `previous[y, x]`,
with u (to the right) in channel 0 and v (downwards) in channel 1. Names are
imported on first use, so that the Keras layer needs no OpenCV and the OpenCV
algorithms need no Keras.
"""

from keras_twostream._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
