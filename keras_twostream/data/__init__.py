"""Video files, annotations, clips and batches.

Names are imported on first use: reading a video needs neither Keras nor
TensorFlow, only `video_dataset` does.
"""

from keras_twostream._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
