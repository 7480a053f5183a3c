"""Reasons of an answer: where each stream looks, and what it contributes.

The maps of two methods lie on the video's own frames: Grad-CAM needs the
gradient of a score, occlusion needs no more than scores.
"""

from keras_twostream.explaining._explain import METHODS, explain
from keras_twostream.explaining._explanation import Explanation

__all__ = ["METHODS", "Explanation", "explain"]
