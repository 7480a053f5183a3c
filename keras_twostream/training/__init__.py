"""Training: recipes, callbacks, whole-video evaluation, devices."""

from keras_twostream._lazy import lazy_names

_HOME = {
    "CrossEntropy": "_losses",
    "FeatureExtractor": "_features",
    "KeepBest": "_checkpoint",
    "PartialBatchNorm": "_partial_batch_norm",
    "Recipe": "_recipes",
    "Resume": "_checkpoint",
    "RunLog": "_checkpoint",
    "RunSettings": "_run",
    "StrideCurriculum": "_curriculum",
    "TensorBoardImages": "_tensorboard",
    "ThroughputMonitor": "_throughput",
    "VideoEvaluation": "_evaluate",
    "VideoEvaluator": "_evaluate",
    "VideoScores": "_scores",
    "accuracy_report": "_scores",
    "as_kind": "_scores",
    "average_precision": "_scores",
    "class_recall": "_scores",
    "compile": "_compile",
    "confusion_matrix": "_scores",
    "copy_stream": "_streams",
    "default_recipe": "_compile",
    "devices": "_devices",
    "evaluate_videos": "_evaluate",
    "even_batches": "_batches",
    "fuse": "_scores",
    "fused_copy": "_streams",
    "has_features": "_features",
    "has_gpu": "_devices",
    "hold_out": "_hold_out",
    "list_recipes": "_recipes",
    "load_recipe": "_recipes",
    "load_scores": "_score_files",
    "longer_copy": "_curriculum",
    "plot_confusion": "_plots",
    "plot_curves": "_plots",
    "recipe_from_dict": "_recipes",
    "set_precision": "_devices",
    "stream_weights": "_evaluate",
    "svm_fusion": "_svm",
    "sweep": "_scores",
    "train": "_run",
    "write_features": "_features",
}

__all__ = list(_HOME)

__getattr__, __dir__ = lazy_names(__name__, _HOME)
