"""A model in a file that other runtimes run: SavedModel, LiteRT, ONNX.

An artefact takes its name after its own runtime has run it on a clip and
given the scores that Keras gives. What does not pass leaves nothing behind.
"""

from keras_twostream.exporting._artefacts import FORMATS, PRECISIONS
from keras_twostream.exporting._exported import Exported, export

__all__ = ["FORMATS", "PRECISIONS", "Exported", "export"]
