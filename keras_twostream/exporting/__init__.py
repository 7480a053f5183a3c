"""Export of a model to a file for other runtimes.

The formats are SavedModel, LiteRT and ONNX. A file gets its final name after
its own runtime has run it on a clip and given the scores that Keras gives. A
file that fails this check is removed.
"""

from keras_twostream.exporting._artefacts import FORMATS, PRECISIONS
from keras_twostream.exporting._exported import Exported, export

__all__ = ["FORMATS", "PRECISIONS", "Exported", "export"]
