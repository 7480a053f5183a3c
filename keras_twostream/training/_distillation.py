"""Distillation: a two-stream teacher's motion in a student without flow.

N. Crasto et al. 2019 (MARS), section 3: the student's features before the
classifier follow those of the teacher's flow stream, beside the cross-entropy
of its own scores. Its scores may follow the teacher's fused ones as well
(Hinton et al. 2015). Both see the same clip; the student sees its frames alone.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops
from keras.distillation import FeatureDistillation, LogitsDistillation

from keras_twostream._arrays import bytes_of
from keras_twostream.errors import SpecError
from keras_twostream.graph import operation_of
from keras_twostream.inspection import (
    card,
    class_names,
    clip_spec,
    head_layers,
    unfolded,
)
from keras_twostream.scoring.heads import head_names
from keras_twostream.scoring.predicting import refuse_untrained
from keras_twostream.scoring.scorer import scorer
from keras_twostream.spec import FUSED, ClipSpec

# The authors' weight of the features; the rest is our own.
WEIGHTS = {"features": 50.0, "scores": 1.0, "temperature": 2.0}
# Fields of a clip that decide which pixels of which frames are seen.
_SAME = (
    "clip_length",
    "frame_rate",
    "short_side",
    "resize_to",
    "resize_filter",
    "cut_to",
    "crop",
    "crop_rounding",
)
# Which frames are stacked at a step: the student may see more of them.
_FRAMES = ("frames_per_step", "frame_gap")
_FLOW = (
    "flow_length",
    "flow_offset",
    "stacking",
    "mean_subtraction",
    "flow_algorithm",
    "flow_parameters",
    "flow_bound",
)


class Student(keras.Model):
    """A network that learns from labels and from a teacher at once.

    It is made of the student's own layers, so that training it trains the
    student. The teacher is frozen, computes as at test time, and is no part
    of this model: it is in no checkpoint.

    Args:
        student: A network of one stream and one head.
        teacher: A trained network of the same clip and classes.
        weights: Weights of the two losses and the temperature of the scores,
            as in `WEIGHTS`, which holds for those left out.

    Raises:
        SpecError: If the two do not fit each other.
        UntrainedHeadError: If the teacher's classifier is random.
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self._check_pair(student, teacher)
        super().__init__(student.inputs, student.output, name=student.name)
        self._weight = {**WEIGHTS, **(weights or {})}
        outputs = {"scores": student.output, "features": _features(student)}
        # In functions, where Keras does not look for layers to train.
        self._answer = _function(student, outputs)
        order = _places(student, teacher) if self._weight["scores"] else None
        self._taught = _teaching(teacher, order)
        self._feature_loss = FeatureDistillation(loss="mse")
        # Keras compares bare logits where the loss is given by its name.
        self._score_loss = LogitsDistillation(
            loss=keras.losses.KLDivergence(),
            temperature=self._weight["temperature"],
        )
        self._check_losses(student, teacher)

    def call(self, inputs, training=None, mask=None):
        answer = self._answer(inputs, training)
        if not training:
            return answer["scores"]
        return answer["scores"], answer["features"]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        scores, features = _apart(y_pred)
        loss = super().compute_loss(x, y, scores, sample_weight, training)
        if features is None:
            return loss
        taught = self._taught(x)
        logits = keras.tree.flatten(scores)[0]
        for name, loss_of, own in (
            ("features", self._feature_loss, features),
            ("scores", self._score_loss, logits),
        ):
            if self._weight[name]:
                own = ops.cast(own, "float32")
                more = loss_of.compute_loss(taught[name], own)
                loss = loss + self._weight[name] * more
        return loss

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        scores, _ = _apart(y_pred)
        return super().compute_metrics(x, y, scores, sample_weight)

    @staticmethod
    def _check_pair(student: keras.Model, teacher: keras.Model) -> None:
        refuse_untrained(teacher)
        for role, model in (("student", student), ("teacher", teacher)):
            if len(head_names(model)) > 1:
                raise SpecError(
                    f"The {role} {model.name} has several heads, and "
                    "distillation is of one. Build it without `heads`."
                )
        if len(keras.tree.flatten(student.output)) > 1:
            streams = ", ".join(clip_spec(student).streams)
            raise SpecError(
                f"The student {student.name} has a score for each of "
                f"{streams}. Build it of one stream: streams=('rgb',)."
            )

    def _check_losses(self, student: keras.Model, teacher: keras.Model) -> None:
        if not self._weight["features"]:
            return
        own, other = _features(student), _features(teacher)
        if own.shape[-1] != other.shape[-1]:
            raise SpecError(
                f"The student {student.name} has {own.shape[-1]} features "
                f"before its classifier and the teacher {teacher.name} "
                f"{other.shape[-1]}. Build the student as wide, or set "
                "distill.features=0 to learn from the teacher's scores alone."
            )


def fed_clip(student: keras.Model, teacher: keras.Model | None) -> ClipSpec:
    """Return the clip that both are fed, flow included.

    Raises:
        SpecError: If the two take different frames.
    """
    own = clip_spec(student)
    if teacher is None:
        return own
    other = clip_spec(teacher)
    same = _SAME if _holds_frames(own, other) else (*_SAME, *_FRAMES)
    for name in same:
        mine, its = getattr(own, name), getattr(other, name)
        if mine != its:
            raise SpecError(
                f"The student takes clips with {name}={mine!r}, and the "
                f"teacher with {name}={its!r}; both must see the same clip. "
                f"Build the student with clip_spec={{{name!r}: {its!r}}}."
            )
    flow = {name: getattr(other, name) for name in _FLOW}
    streams = tuple(dict.fromkeys((*own.streams, *other.streams)))
    return own.replace(streams=streams, **flow)


def clip_of_teacher(teacher: keras.Model) -> dict[str, Any]:
    """Return the ClipSpec's fields in which a student agrees with it.

    Where the teacher stacks frames, the student takes the same ones.
    """
    spec = clip_spec(teacher)
    names = _SAME if spec.frames_per_step == 1 else (*_SAME, *_FRAMES)
    return {name: getattr(spec, name) for name in names}


def fingerprint(teacher: keras.Model) -> str:
    """Return a name that changes with the teacher's network or weights."""
    mark = 0
    for weight in teacher.get_weights():
        mark = zlib.crc32(bytes_of(weight), mark)
    return f"{card(teacher).get('architecture', teacher.name)} {mark:08x}"


def _places(student: keras.Model, teacher: keras.Model) -> list[int]:
    """Return where the teacher has the score of each class of the student.

    Raises:
        SpecError: If it has none of a class, or its scores are no shares.
    """
    if card(teacher).get("multi_label"):
        raise SpecError(
            f"The teacher {teacher.name} names several classes at once, whose "
            "scores are no shares. Set distill.scores=0."
        )
    own, other = class_names(student), class_names(teacher)
    if unknown := [name for name in own if name not in other]:
        raise SpecError(
            f"The teacher {teacher.name} knows {_few(other)}, and not "
            f"{_few(unknown)} of the student's {len(own)}: it has no scores of "
            "other classes. Train on classes that it knows, or set "
            "distill.scores=0 to learn from its features alone."
        )
    return [other.index(name) for name in own]


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return f"{len(names)} class{'es' * (len(names) > 1)} ({shown})"


def _apart(answer: Any) -> tuple[Any, Any]:
    """Return scores, and the features that a training call adds, or None."""
    return answer if isinstance(answer, tuple) else (answer, None)


def _holds_frames(own: ClipSpec, other: ClipSpec) -> bool:
    """Return whether each step of `own` begins with the frames of `other`."""
    alike = own.frame_gap == other.frame_gap or other.frames_per_step == 1
    return alike and own.frames_per_step >= other.frames_per_step


def _teaching(
    teacher: keras.Model, places: list[int] | None
) -> Callable[[Any], dict[str, Any]]:
    """Return a function of clips that gives what a student should learn.

    The teacher sees as many of each step's frames as it takes, and is asked
    for the scores in these places, or for all.
    """
    teacher.trainable = False
    scores = scorer(teacher).output[FUSED]
    if places is not None:
        scores = ops.take(scores, places, axis=-1)
    outputs = {"features": _features(teacher), "scores": scores}
    answer = _function(teacher, outputs)
    seen = clip_spec(teacher).channels("rgb")

    def taught(clips: Any) -> dict[str, Any]:
        if "rgb" in clips:
            clips = {**clips, "rgb": clips["rgb"][..., :seen]}
        return {
            name: ops.stop_gradient(ops.cast(value, "float32"))
            for name, value in answer(clips, False).items()
        }

    return taught


def _function(model: keras.Model, outputs: dict[str, Any]) -> Callable:
    network = keras.Model(model.inputs, outputs)
    names = [tensor.name for tensor in model.inputs]

    def answer(clips: Any, training: bool) -> Any:
        own = {name: clips[name] for name in names}
        return network(own, training=training)

    return answer


def _features(model: keras.Model) -> Any:
    """Return the input of the classifier, of flow's where streams have one.

    Returns:
        A tensor (B, C): the mean over steps and places, before dropout.
    """
    heads = sorted(head_layers(model))
    name = next((x for x in heads if x.startswith("flow_")), heads[0])
    tensor = model.get_layer(name).input
    while isinstance(operation_of(tensor), keras.layers.Dropout):
        tensor = operation_of(tensor).input
    tensor = unfolded(tensor)
    middle = tuple(range(1, len(tensor.shape) - 1))
    return ops.mean(tensor, axis=middle) if middle else tensor
