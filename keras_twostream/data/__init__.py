"""Video files, annotations, clips and batches.

Names are imported on first use: reading a video needs neither Keras nor
TensorFlow, only `video_dataset` does.
"""

from keras_twostream._lazy import lazy_names

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
    "cache": "",
    "clips": "_clips",
    "count_frames": "_video",
    "crop_clip": "_crops",
    "examine": "doctor",
    "extract": "extraction",
    "from_hugging_face": "_sources",
    "from_tfds": "_sources",
    "iter_frames": "_video",
    "layouts": "",
    "probe": "_video",
    "read_annotations": "_annotations",
    "read_frames": "_video",
    "video_dataset": "_pipeline",
    "view_crops": "_crops",
    "view_footage": "_clips",
    "views": "_sampling",
}

__all__ = list(_HOME)

__getattr__, __dir__ = lazy_names(__name__, _HOME)
