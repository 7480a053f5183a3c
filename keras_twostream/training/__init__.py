"""Training: recipes, callbacks, whole-video evaluation, devices."""

from keras_twostream.training._checkpoint import KeepBest, Resume, RunLog
from keras_twostream.training._compile import compile, default_recipe
from keras_twostream.training._devices import devices
from keras_twostream.training._evaluate import (
    VideoEvaluation,
    VideoEvaluator,
    evaluate_videos,
    stream_weights,
)
from keras_twostream.training._features import (
    FeatureExtractor,
    has_features,
    write_features,
)
from keras_twostream.training._files import to_toml, write_json, write_toml
from keras_twostream.training._hold_out import hold_out
from keras_twostream.training._losses import CrossEntropy
from keras_twostream.training._partial_batch_norm import PartialBatchNorm
from keras_twostream.training._plots import plot_confusion, plot_curves
from keras_twostream.training._recipes import (
    Recipe,
    list_recipes,
    load_recipe,
    recipe_from_dict,
)
from keras_twostream.training._run import RunSettings, train
from keras_twostream.training._score_files import load_scores
from keras_twostream.training._scores import (
    VideoScores,
    accuracy_report,
    confusion_matrix,
    fuse,
    sweep,
)
from keras_twostream.training._streams import copy_stream
from keras_twostream.training._svm import svm_fusion
from keras_twostream.training._throughput import ThroughputMonitor

__all__ = [
    "CrossEntropy",
    "FeatureExtractor",
    "KeepBest",
    "PartialBatchNorm",
    "Recipe",
    "Resume",
    "RunLog",
    "RunSettings",
    "ThroughputMonitor",
    "VideoEvaluation",
    "VideoEvaluator",
    "VideoScores",
    "accuracy_report",
    "compile",
    "confusion_matrix",
    "copy_stream",
    "default_recipe",
    "devices",
    "evaluate_videos",
    "fuse",
    "has_features",
    "hold_out",
    "list_recipes",
    "load_recipe",
    "load_scores",
    "plot_confusion",
    "plot_curves",
    "recipe_from_dict",
    "stream_weights",
    "svm_fusion",
    "sweep",
    "to_toml",
    "train",
    "write_features",
    "write_json",
    "write_toml",
]
