"""Optimisers with settings per variable, as in the papers.

Caffe's solvers give biases twice the learning rate and no weight decay, and
two-stream papers multiply the rate of the first flow layer. Keras has one
rate for all, so these subclasses scale it where a variable is updated.

On TensorFlow each variable is updated by one kernel of the backend. Keras
builds the same update from twenty to fifty operations, which made up half of
the graph of a step, and so of the wait for the first one.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from keras_twostream.training._recipes import Recipe
from keras_twostream.training._schedules import learning_rate

# Decay pulls kernels towards zero, which would be harmful for these.
NOT_DECAYED = ("bias", "gamma", "beta", "alpha", "scale")


class _ByVariable:
    """Learning rates and weight decay for each variable.

    Args:
        multipliers: Mapping from a regular expression on a variable's path to
            the factor on its learning rate; the first match counts.
    """

    # From Keras's optimiser, the other base:
    _var_key: Callable[[Any], Any]
    _learning_rate: Any
    iterations: Any
    _decay: Callable[[Any, Any], None]  # from the kernels

    def __init__(
        self, *args: Any, multipliers: Mapping[str, float] | None = None, **kw
    ) -> None:
        super().__init__(*args, **kw)
        self.multipliers = dict(multipliers or {})
        self._paths: dict[Any, str] = {}

    def build(self, variables):
        # TensorFlow hands update_step its own variables, without a path.
        self._paths = {self._var_key(x): x.path for x in variables}
        super().build(variables)

    def path(self, variable) -> str:
        """Return a variable's path in the model, as `rgb_conv1/kernel`."""
        return self._paths[self._var_key(variable)]

    def multiplier(self, path: str) -> float:
        """Return the factor on the learning rate of the variable at `path`."""
        for pattern, factor in self.multipliers.items():
            if re.search(pattern, path):
                return factor
        return 1.0

    def _get_current_learning_rate(self):
        """Return the rate of the present step.

        Keras asks a schedule by the number of batches, of which a step has
        several where gradients are accumulated.
        """
        schedule = self._learning_rate
        if isinstance(schedule, LearningRateSchedule):
            return schedule(self.iterations)
        return super()._get_current_learning_rate()

    def update_step(self, gradient, variable, learning_rate):
        path = self.path(variable)
        factor = self.multiplier(path)
        if factor != 1.0:  # each operation has to be traced
            learning_rate = learning_rate * factor
        if self.weight_decay and is_decayed(path):
            self._decay(variable, learning_rate)
        super().update_step(gradient, variable, learning_rate)

    def _apply_weight_decay(self, variables):
        """Do nothing: `update_step` decays each variable at its own rate."""

    def get_config(self):
        return {**super().get_config(), "multipliers": self.multipliers}


class _InOneKernel:
    """Updates by the backend's own kernel, where there is one.

    There is none but on TensorFlow, and on several devices Keras's update is
    kept, which knows how to divide variables among them. A subclass says in
    `_fits` whether its options have a kernel, and calls it in `_update`.
    """

    _alone = False
    _rates: dict[Any, Any]

    def apply(self, grads, trainable_variables=None):
        self._alone = _is_alone()
        if self._alone:
            self._share()
        base: Any = super()
        base.apply(grads, trainable_variables)

    def update_step(self: Any, gradient, variable, learning_rate):
        if not (self._alone and self._fits()):
            base: Any = super()
            base.update_step(gradient, variable, learning_rate)
            return
        self._update(
            self._get_variable_index(variable),
            var=variable.handle,
            grad=ops.cast(gradient, variable.dtype),
            lr=ops.cast(learning_rate, variable.dtype),
        )

    def _share(self) -> None:
        """Compute what the updates of all variables have in common."""

    def _clip_gradients(self: Any, grads):
        """Clip as Keras does, with one operation for each square."""
        base: Any = super()
        if not (self._alone and self.global_clipnorm) or self.clipnorm:
            return base._clip_gradients(grads)
        import tensorflow as tf

        halves = [tf.nn.l2_loss(x) for x in grads if x is not None]
        norm = tf.sqrt(2.0 * tf.add_n(halves))
        most = self.global_clipnorm
        # As in Keras, NaN where the norm is not finite.
        scale = most * tf.minimum(1.0 / norm, 1.0 / most) + (norm - norm)
        return [x if x is None else x * scale for x in grads]

    def _backend_update_step(self: Any, grads, trainable_variables, rate):
        """Update each variable without asking how devices divide them."""
        if not self._alone:
            base: Any = super()
            base._backend_update_step(grads, trainable_variables, rate)
            return
        self._rates = {}
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            own = isinstance(variable, keras.Variable)
            self.update_step(
                gradient, variable.value if own else variable, rate
            )

    def _decay(self: Any, variable, learning_rate) -> None:
        """Subtract learning rate x weight decay x the variable."""
        if not self._alone:
            value = ops.convert_to_tensor(variable)
            rate = ops.cast(learning_rate, value.dtype)
            self.assign_sub(variable, rate * self.weight_decay * value)
            return
        import tensorflow as tf

        # Most variables have the same rate, whose product is one operation.
        key = id(learning_rate), variable.dtype
        if key not in self._rates:
            rate = ops.cast(learning_rate, variable.dtype)
            self._rates[key] = rate * self.weight_decay, learning_rate
        tf.raw_ops.ResourceApplyGradientDescent(
            var=variable.handle,
            alpha=self._rates[key][0],
            delta=variable.value(),
        )


class _MomentumKernel(_InOneKernel):
    """Momentum in one kernel."""

    def _fits(self: Any) -> bool:
        return bool(self.momentum)

    def _update(self: Any, place: int, **common: Any) -> None:
        import tensorflow as tf

        tf.raw_ops.ResourceApplyKerasMomentum(
            accum=self.momentums[place].value.handle,
            momentum=self.momentum,
            use_nesterov=self.nesterov,
            **common,
        )


class _AdamKernel(_InOneKernel):
    """Adam in one kernel."""

    _shared: Mapping[str, Any]

    def _share(self: Any) -> None:
        numbers = {
            "beta1": self.beta_1,
            "beta2": self.beta_2,
            "epsilon": self.epsilon,
        }
        shared = {
            name: ops.convert_to_tensor(number, "float32")
            for name, number in numbers.items()
        }
        step = ops.cast(self.iterations + 1, "float32")
        for beta in ("beta1", "beta2"):
            shared[f"{beta}_power"] = ops.power(shared[beta], step)
        self._shared = shared

    def _fits(self: Any) -> bool:
        return not self.amsgrad

    def _update(self: Any, place: int, **common: Any) -> None:
        import tensorflow as tf

        tf.raw_ops.ResourceApplyAdam(
            m=self._momentums[place].value.handle,
            v=self._velocities[place].value.handle,
            **common,
            **self._shared,
        )


def _is_alone() -> bool:
    """Return whether TensorFlow runs the step, on a single device."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.distribute.has_strategy()


@keras.saving.register_keras_serializable(package="keras_twostream")
class CaffeSGD(_ByVariable, _MomentumKernel, keras.optimizers.SGD):
    """SGD with momentum whose weight decay is part of the gradient.

    Keras decays weights apart from momentum; Caffe and MatConvNet add
    `l2 * w` to the gradient, so that momentum multiplies it tenfold.

    Args:
        l2: Weight decay as in the papers.
        multipliers: See `training.compile`.
    """

    def __init__(self, *args: Any, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.l2 = float(l2)

    def update_step(self, gradient, variable, learning_rate):
        if self.l2 and is_decayed(self.path(variable)):
            gradient = gradient + self.l2 * ops.convert_to_tensor(variable)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "l2": self.l2}


@keras.saving.register_keras_serializable(package="keras_twostream")
class AdamW(_ByVariable, _AdamKernel, keras.optimizers.AdamW):
    """AdamW without weight decay on biases and normalisation."""


@keras.saving.register_keras_serializable(package="keras_twostream")
class Adam(_ByVariable, _AdamKernel, keras.optimizers.Adam):
    """Adam with learning rates per variable."""


def is_decayed(path: str) -> bool:
    """Check if weight decay applies to the variable at `path`."""
    return path.rsplit("/", 1)[-1] not in NOT_DECAYED


def optimizer(
    recipe: Recipe, steps: int | None = None
) -> keras.optimizers.Optimizer:
    """Return the recipe's optimiser.

    Args:
        recipe: The recipe.
        steps: Optimiser steps of the run; the recipe's own when None.
    """
    options = {
        "learning_rate": learning_rate(recipe, steps),
        "global_clipnorm": recipe.clip_norm,
        "multipliers": recipe.multipliers,
    }
    if recipe.accumulate > 1:
        options["gradient_accumulation_steps"] = recipe.accumulate
    if recipe.optimizer == "sgd":
        return CaffeSGD(
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            l2=recipe.weight_decay,
            **options,
        )
    if recipe.optimizer == "adam":
        return Adam(**options)
    return AdamW(weight_decay=recipe.weight_decay, **options)
