"""Optical flow: computed, encoded, stacked, shown, and inside the graph.

Flow is float32 in pixels: `next[y + v, x + u]` looks like `previous[y, x]`,
with u (to the right) in channel 0 and v (downwards) in channel 1. Names are
imported on first use, so that the Keras layer needs no OpenCV and the OpenCV
algorithms need no Keras.
"""

from keras_twostream._lazy import lazy_names

_HOME = {
    "ALGORITHMS": "_compute",
    "compute": "_compute",
    "compute_pairs": "_compute",
    "encode": "_fields",
    "decode": "_fields",
    "levels_to_pixels": "_fields",
    "mirror": "_fields",
    "resize": "_fields",
    "stack": "_fields",
    "end_point_error": "_fields",
    "read_flo": "_files",
    "write_flo": "_files",
    "to_rgb": "_colour",
    "tvl1": "_tvl1",
    "TVL1": "_tvl1_layer",
}

__all__ = list(_HOME)

__getattr__, __dir__ = lazy_names(__name__, _HOME)
