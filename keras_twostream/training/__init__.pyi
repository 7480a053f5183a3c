from keras_twostream.scoring.activations import (
    FeatureExtractor as FeatureExtractor,
)
from keras_twostream.scoring.activations import has_features as has_features
from keras_twostream.scoring.activations import video_features as video_features
from keras_twostream.scoring.activations import write_features as write_features
from keras_twostream.scoring.evaluation import (
    VideoEvaluation as VideoEvaluation,
)
from keras_twostream.scoring.evaluation import VideoEvaluator as VideoEvaluator
from keras_twostream.scoring.evaluation import (
    evaluate_videos as evaluate_videos,
)
from keras_twostream.scoring.evaluation import stream_weights as stream_weights
from keras_twostream.scoring.metrics import VideoScores as VideoScores
from keras_twostream.scoring.metrics import accuracy_report as accuracy_report
from keras_twostream.scoring.metrics import as_kind as as_kind
from keras_twostream.scoring.metrics import (
    average_precision as average_precision,
)
from keras_twostream.scoring.metrics import class_recall as class_recall
from keras_twostream.scoring.metrics import confusion_matrix as confusion_matrix
from keras_twostream.scoring.metrics import fuse as fuse
from keras_twostream.scoring.metrics import sweep as sweep
from keras_twostream.scoring.plots import plot_confusion as plot_confusion
from keras_twostream.scoring.plots import plot_curves as plot_curves
from keras_twostream.scoring.score_files import load_scores as load_scores
from keras_twostream.scoring.svm import svm_fusion as svm_fusion
from keras_twostream.training._batches import even_batches as even_batches
from keras_twostream.training._boundaries import BoundaryTable as BoundaryTable
from keras_twostream.training._checkpoint import KeepBest as KeepBest
from keras_twostream.training._checkpoint import Resume as Resume
from keras_twostream.training._checkpoint import RunLog as RunLog
from keras_twostream.training._compile import compile as compile
from keras_twostream.training._compile import default_recipe as default_recipe
from keras_twostream.training._devices import devices as devices
from keras_twostream.training._devices import has_gpu as has_gpu
from keras_twostream.training._devices import set_precision as set_precision
from keras_twostream.training._distillation import Student as Student
from keras_twostream.training._distillation import (
    clip_of_teacher as clip_of_teacher,
)
from keras_twostream.training._hold_out import hold_out as hold_out
from keras_twostream.training._losses import (
    ContrastiveCosine as ContrastiveCosine,
)
from keras_twostream.training._losses import CrossEntropy as CrossEntropy
from keras_twostream.training._recipes import Recipe as Recipe
from keras_twostream.training._recipes import list_recipes as list_recipes
from keras_twostream.training._recipes import load_recipe as load_recipe
from keras_twostream.training._recipes import (
    recipe_from_dict as recipe_from_dict,
)
from keras_twostream.training._run import train as train
from keras_twostream.training._run_settings import RunSettings as RunSettings
from keras_twostream.training._stages import carry_over as carry_over
from keras_twostream.training._stages import longer_copy as longer_copy
from keras_twostream.training._stages import next_stage as next_stage
from keras_twostream.training._streams import copy_stream as copy_stream
from keras_twostream.training._streams import fused_copy as fused_copy
from keras_twostream.training._tensorboard import (
    TensorBoardImages as TensorBoardImages,
)
from keras_twostream.training._throughput import (
    ThroughputMonitor as ThroughputMonitor,
)
