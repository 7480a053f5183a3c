"""Layers the architectures share; each saves, and runs on any backend."""

from keras_twostream.layers._batch_norm import BatchNormalization
from keras_twostream.layers._caffe import (
    CeilMaxPooling2D,
    LocalResponseNormalization,
)
from keras_twostream.layers._consensus import CONSENSUSES, SegmentConsensus
from keras_twostream.layers._convolutions import (
    ChannelPermutation,
    GroupedConv2D,
    SpatialConv,
)
from keras_twostream.layers._crops import (
    ContextFovea,
    FrameDifference,
    StackFrames,
)
from keras_twostream.layers._dense import SlidingDense
from keras_twostream.layers._fusion import (
    FUSIONS,
    StackedIdentity,
    StreamFusion,
)
from keras_twostream.layers._heads import (
    SCI,
    AverageScores,
    ScoreFusion,
    best_of_clips,
    classifier,
    concentrated_mean,
    concentration,
)
from keras_twostream.layers._pooling import MaxPooling2D, MaxPooling3D
from keras_twostream.layers._rescale import Rescale
from keras_twostream.layers._steps import (
    AbsoluteDifference,
    DrawStep,
    FlowImage,
    TakeSteps,
)
from keras_twostream.layers._stream_input import (
    NORMALIZATIONS,
    StreamInput,
    stream_inputs,
)
from keras_twostream.layers._sum import SharedSum
from keras_twostream.layers._temporal import (
    AverageThroughTime,
    IdentityThroughTime,
    TemporalConv,
)
from keras_twostream.layers._time import FoldTime, UnfoldTime
from keras_twostream.layers._transformations import (
    ActionTransformations,
    DistanceLogits,
    SegmentMeans,
    boundaries,
)

__all__ = [
    "CONSENSUSES",
    "FUSIONS",
    "NORMALIZATIONS",
    "SCI",
    "AbsoluteDifference",
    "ActionTransformations",
    "AverageScores",
    "AverageThroughTime",
    "BatchNormalization",
    "CeilMaxPooling2D",
    "ChannelPermutation",
    "ContextFovea",
    "DistanceLogits",
    "DrawStep",
    "FlowImage",
    "FoldTime",
    "FrameDifference",
    "GroupedConv2D",
    "IdentityThroughTime",
    "LocalResponseNormalization",
    "MaxPooling2D",
    "MaxPooling3D",
    "Rescale",
    "ScoreFusion",
    "SegmentConsensus",
    "SegmentMeans",
    "SharedSum",
    "SlidingDense",
    "SpatialConv",
    "StackFrames",
    "StackedIdentity",
    "StreamFusion",
    "StreamInput",
    "TakeSteps",
    "TemporalConv",
    "UnfoldTime",
    "best_of_clips",
    "boundaries",
    "classifier",
    "concentrated_mean",
    "concentration",
    "stream_inputs",
]
