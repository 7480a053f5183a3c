"""What the architectures share: each layer saves, and runs on any backend."""

from keras_twostream.layers._caffe import (
    CeilMaxPooling2D,
    LocalResponseNormalization,
)
from keras_twostream.layers._scores import (
    AverageScores,
    ScoreFusion,
    classifier,
)
from keras_twostream.layers._stream_input import (
    NORMALIZATIONS,
    StreamInput,
    stream_inputs,
)
from keras_twostream.layers._temporal import (
    AverageThroughTime,
    IdentityThroughTime,
    TemporalConv,
)
from keras_twostream.layers._time import FoldTime, UnfoldTime

__all__ = [
    "NORMALIZATIONS",
    "AverageScores",
    "AverageThroughTime",
    "CeilMaxPooling2D",
    "FoldTime",
    "IdentityThroughTime",
    "LocalResponseNormalization",
    "ScoreFusion",
    "StreamInput",
    "TemporalConv",
    "UnfoldTime",
    "classifier",
    "stream_inputs",
]
