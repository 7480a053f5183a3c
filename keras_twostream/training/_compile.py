"""The `compile` function: Keras's own `model.compile` set by a recipe."""

from typing import Any

import keras

from keras_twostream import _acceleration
from keras_twostream.errors import SpecError, check_choice, did_you_mean
from keras_twostream.graph import check_functional
from keras_twostream.inspection import card, clip_spec, update_card
from keras_twostream.layers import (
    AverageScores,
    DistanceLogits,
    ScoreFusion,
)
from keras_twostream.scoring.scorer import logits_of
from keras_twostream.spec import FUSED, STREAMS
from keras_twostream.training._devices import has_gpu
from keras_twostream.training._freezing import freeze
from keras_twostream.training._losses import (
    Accuracy,
    ContrastiveCosine,
    CrossEntropy,
)
from keras_twostream.training._optimizers import optimizer
from keras_twostream.training._recipes import Recipe, load_recipe
from keras_twostream.training._xla import faster_with_xla

JIT = (True, False, "auto", "measure")
# Of the area under the curve. Keras's 200 tell nothing apart where all scores
# are close, as at first, or near zero, as with many classes.
_THRESHOLDS = 20_001


def compile(
    model: keras.Model,
    recipe: Any = None,
    *,
    steps: int | None = None,
    multi_label: bool = False,
    jit_compile: bool | str = "auto",
    **changes: Any,
) -> Recipe:
    """Compile a model as its paper, or another recipe, prescribes.

    Optimiser, schedule, weight decay, clipping, learning-rate multipliers,
    frozen layers and one loss per output come from the recipe. Losses are
    computed from logits, and the contrastive loss of Actions ~ Transformations
    from the logits of every boundary. `fit` follows as for any Keras model.
    Layers that an earlier recipe froze train again, unless this one freezes
    them too. Dropout is an option of the builder, by default the paper's own;
    other requirements of a recipe are in its `options` and `spec`.

    Args:
        model: A model of this library, with logits as outputs.
        recipe: A name in `list_recipes()`, a TOML file, a `Recipe`, or None
            for the one named after the model's architecture.
        steps: Optimiser steps of the whole run, over which the schedule is
            stretched; the recipe's own number when None.
        multi_label: Whether labels are 0/1 vectors of several classes. The
            model remembers it, and gives a separate probability for each class.
        jit_compile: Whether XLA compiles the step: True, False, "auto" (the
            fastest in our measurements: off on CPU and on PyTorch, whose
            compiler fails on Keras's graphs, on for JAX), or "measure", which
            first times the forward pass both ways.
        **changes: Fields of the recipe to change, such as
            `learning_rate=0.01`.

    Returns:
        The recipe as used.

    Raises:
        UnknownNameError: If there is no such recipe.
        SpecError: If the model is none of layers from inputs to outputs, it
            ends in a softmax, or, with several labels, in a
            mean of probabilities, its weights are of half precision, the
            schedule needs `steps`, or `loss_weights` names no output.

    Example:

    ```python
    training.compile(model, "actors", steps=30 * batches, learning_rate=0.01)
    model.fit(dataset, epochs=30)
    ```
    """
    _acceleration.notice()
    check_functional(model)
    _refuse_softmax(model)
    _refuse_coarse(model)
    if multi_label:
        _refuse_shares(model)
        _refuse_boundaries(model)
        _refuse_steps(model)
    check_choice("jit_compile", jit_compile, JIT)
    recipe = load_recipe(recipe or default_recipe(model)).replace(**changes)
    if multi_label or card(model):
        update_card(model, multi_label=multi_label)
    freeze(model, recipe)
    model.compile(
        optimizer=optimizer(recipe, steps),
        loss=_per_loss(model, lambda: _loss(model, recipe, multi_label)),
        loss_weights=_loss_weights(model, recipe),
        weighted_metrics=_per_output(model, lambda: [_accuracy(multi_label)]),
        jit_compile=_jit(jit_compile),
    )
    if jit_compile == "measure":
        model.jit_compile = faster_with_xla(model, multi_label=multi_label)
    return recipe


def _jit(asked: bool | str) -> bool | str:
    """Return the `jit_compile` that Keras gets.

    Before 3.15, Keras's "auto" also uses XLA on a CPU, where it makes C3D's
    forward pass three times slower.
    """
    if asked not in ("auto", "measure"):
        return asked
    on_cpu = keras.backend.backend() == "tensorflow" and not has_gpu()
    old = tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15)
    return False if on_cpu and old else "auto"


def default_recipe(model: keras.Model) -> str:
    """Return the name of the recipe for the model's architecture.

    Raises:
        SpecError: If the model does not name its architecture.
    """
    name = card(model).get("architecture")
    if name is None:
        raise SpecError(
            f"The model {model.name!r} does not say its architecture, so its "
            "recipe is unknown. Pass recipe=, a name of "
            "keras_twostream.training.list_recipes()."
        )
    return name


def output_names(model: keras.Model) -> list[str] | None:
    """Return the keys of the model's outputs, or None when it has one."""
    outputs = model.output
    return list(outputs) if isinstance(outputs, dict) else None


def _per_output(model: keras.Model, make: Any) -> Any:
    names = output_names(model)
    if names is None:
        return make()
    return {name: make() for name in names}


def _per_loss(model: keras.Model, make: Any) -> Any:
    names = _learning(model)
    return make() if names is None else {name: make() for name in names}


def _learning(model: keras.Model) -> list[str] | None:
    """Return the outputs that have a loss; a mean of others has none."""
    names = output_names(model)
    if names is None or len(names) == 1:
        return names
    return [name for name in names if name != FUSED]


def _loss(
    model: keras.Model, recipe: Recipe, multi_label: bool
) -> keras.losses.Loss:
    scale = boundary_scale(model)
    if scale is not None:
        return ContrastiveCosine(scale, recipe.margin, recipe.push)
    if multi_label:
        return keras.losses.BinaryCrossentropy(
            from_logits=True, label_smoothing=recipe.label_smoothing
        )
    return CrossEntropy(recipe.label_smoothing)


def _accuracy(multi_label: bool) -> keras.metrics.Metric:
    if multi_label:
        return keras.metrics.AUC(
            _THRESHOLDS, multi_label=False, from_logits=True, name="auc"
        )
    return Accuracy(name="accuracy")


def boundary_scale(model: keras.Model) -> float | None:
    """Return the scale of a model's logits of every boundary, or None."""
    heads = [
        layer
        for layer in model.layers
        if isinstance(layer, DistanceLogits) and layer.every_boundary
    ]
    return heads[0].scale if heads else None


def _loss_weights(model: keras.Model, recipe: Recipe) -> Any:
    names = _learning(model)
    if names is None or not recipe.loss_weights:
        return None
    for name in recipe.loss_weights:
        # A recipe of both streams may train one, or heads of either.
        if name not in (*names, *STREAMS):
            raise SpecError(
                f"`loss_weights` names {name!r}, and {model.name} has no such "
                f"output that learns.{did_you_mean(name, names)}"
            )
    return {name: recipe.loss_weights.get(name, 1.0) for name in names}


def _refuse_softmax(model: keras.Model) -> None:
    outputs = keras.tree.flatten(model.outputs)
    if any(logits_of(scores) is not scores for scores in outputs):
        raise SpecError(
            f"{model.name} ends in a softmax or sigmoid, and recipes train on "
            "logits. Build it with classifier_activation=None; predictions can "
            "be turned into probabilities with keras.ops.softmax."
        )


def _refuse_coarse(model: keras.Model) -> None:
    """Refuse weights that small steps leave as they are.

    Adam's 1 - beta_2, 0.001, is 0 in bfloat16.
    """
    for weight in model.trainable_variables:
        kind = keras.backend.standardize_dtype(weight.dtype)
        if kind in ("float16", "bfloat16"):
            raise SpecError(
                f"The weights of {model.name} are of {kind} ({weight.path}), "
                "in which small steps are lost. Build the model after "
                'keras_twostream.training.set_precision("bfloat16") or with '
                f"the dtype policy mixed_{kind}: both compute in half "
                "precision and keep weights in float32."
            )


def _refuse_boundaries(model: keras.Model) -> None:
    if boundary_scale(model) is not None:
        raise SpecError(
            f"{model.name} gives the logits of every boundary, which the "
            "contrastive loss alone can train: it has one class per video. "
            "Build it without every_boundary."
        )


def _refuse_steps(model: keras.Model) -> None:
    for scores in keras.tree.flatten(model.output):
        if len(scores.shape) == 3:
            raise SpecError(
                f"{model.name} gives the logits of every step, whose loss has "
                "one class per video. Build it with outputs='streams'."
            )


def _refuse_shares(model: keras.Model) -> None:
    """Refuse outputs that sum to one, which exclude several classes at once."""
    methods = {clip_spec(model).score_fusion} | {
        layer.method
        for layer in model.layers
        if isinstance(layer, ScoreFusion | AverageScores)
    }
    if methods != {"logits"}:
        raise SpecError(
            f"{model.name} averages probabilities that add up to one, and "
            "the labels are several classes at once. Build it with "
            "clip_spec={'score_fusion': 'logits'}."
        )
