"""Training: recipes, callbacks, whole-video evaluation, devices."""

from keras_twostream.training._checkpoint import KeepBest, Resume, RunLog
from keras_twostream.training._compile import compile, default_recipe
from keras_twostream.training._files import to_toml, write_toml
from keras_twostream.training._hold_out import hold_out
from keras_twostream.training._losses import CrossEntropy
from keras_twostream.training._partial_batch_norm import PartialBatchNorm
from keras_twostream.training._recipes import (
    Recipe,
    list_recipes,
    load_recipe,
    recipe_from_dict,
)
from keras_twostream.training._run import RunSettings, train
from keras_twostream.training._streams import copy_stream

__all__ = [
    "CrossEntropy",
    "KeepBest",
    "PartialBatchNorm",
    "Recipe",
    "Resume",
    "RunLog",
    "RunSettings",
    "compile",
    "copy_stream",
    "default_recipe",
    "hold_out",
    "list_recipes",
    "load_recipe",
    "recipe_from_dict",
    "to_toml",
    "train",
    "write_toml",
]
