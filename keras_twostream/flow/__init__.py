"""Optical flow: computed, encoded, stacked, shown, and inside the graph.

Flow is float32 in pixels: `next[y + v, x + u]` looks like `previous[y, x]`,
with u (to the right) in channel 0 and v (downwards) in channel 1. Names are
imported on first use, so that the Keras layer needs no OpenCV and the OpenCV
algorithms need no Keras.
"""

import importlib
from typing import Any

_HOME = {
    "ALGORITHMS": "_compute",
    "compute": "_compute",
    "compute_pairs": "_compute",
    "encode": "_fields",
    "decode": "_fields",
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


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOME[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(_HOME)
