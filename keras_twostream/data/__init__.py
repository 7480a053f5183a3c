"""Video files, annotations, clips and batches.

Names are imported on first use: reading a video needs neither Keras nor
TensorFlow, only `video_dataset` does.
"""

import importlib
from typing import Any

# Public name -> module that defines it. An empty string marks a module that
# is itself public.
_HOME = {
    "AUGMENTATIONS": "_augment",
    "Annotations": "_annotations",
    "Crop": "_crops",
    "Item": "_items",
    "SAMPLERS": "_sampling",
    "VideoInfo": "_video",
    "Windows": "_windows",
    "actors": "",
    "clips": "_clips",
    "count_frames": "_video",
    "crop_clip": "_crops",
    "from_hugging_face": "_sources",
    "from_tfds": "_sources",
    "iter_frames": "_video",
    "probe": "_video",
    "read_annotations": "_annotations",
    "read_frames": "_video",
    "video_dataset": "_pipeline",
    "view_crops": "_crops",
    "views": "_sampling",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOME[name] or name}")
    return getattr(module, name) if _HOME[name] else module


def __dir__() -> list[str]:
    return sorted(_HOME)
