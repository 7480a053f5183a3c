"""The model of a command, loaded and described to the user."""

import dataclasses
import hashlib
import json
from typing import Any

from keras_twostream._stopwatch import Stopwatch
from keras_twostream.cli import _console, _networks, _words
from keras_twostream.cli._files import model_name
from keras_twostream.cli._options import check_device
from keras_twostream.pretrained import WeightSpec, _facts, _select

SHIPPED = "spatiotemporal_resnet.actors"


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A model ready to predict.

    Attributes:
        model: The Keras model, with one head.
        spec: Its clip, with the flow algorithm that was asked for.
        name: Name of its weights.
        weight: The row or config that describes its weights.
        classes: Names of the actions it knows.
        synthetic: Whether it has only seen synthetic videos.
    """

    model: Any
    spec: Any
    name: str
    weight: WeightSpec
    classes: tuple[str, ...]
    synthetic: bool

    def facts(self) -> dict[str, Any]:
        """Return what its weights know, for JSON."""
        return _facts.facts(self.weight)

    def digest(self) -> str:
        """Return what changes with its answers: weights, classes, clip."""
        from keras_twostream import inspection

        card = inspection.card(self.model)
        made = {
            "weights": [file.sha256 for file in self.weight.files],
            "classes": self.classes,
            "clip": self.spec.to_json(),
            "options": card.get("options"),
            "multi_label": card.get("multi_label"),
        }
        text = json.dumps(made, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def introduce(self) -> None:
        """Print to standard error the model's actions and training data."""
        words = _words.knows(self.name, self.classes)
        _console.err.print(words, markup=False)
        _console.err.print(_words.weight(self.weight), markup=False)
        if self.synthetic:
            words = _words.synthetic(self.weight)
            _console.err.print(words, style="yellow", markup=False)


def load(
    name: str,
    algorithm: str | None,
    watch: Stopwatch,
    head: str | None = None,
    precision: str = "float32",
) -> Loaded:
    """Load a model whose head is trained.

    Args:
        name: A name that `keras_twostream.load` takes.
        algorithm: Optical flow algorithm; the model's own when None.
        watch: Stopwatch for "import" and "load".
        head: The head to ask, where there are several.
        precision: As in `training.set_precision`.

    Raises:
        UntrainedHeadError: If its classifier is random.
        SpecError: If it has several heads and `head` names none.
        UnknownNameError: If it has no such head.
    """
    place = model_name(name)
    _networks.check_options(place, ())
    with watch("import"), _console.quiet():
        from keras_twostream import hub, inspection, training
        from keras_twostream.scoring import predicting
        from keras_twostream.scoring.heads import one_head
    check_device()
    training.set_precision(precision)
    with watch("load"), _console.quiet():
        weight = _select.resolve(place, _select.DEFAULT, {})
        model = hub.load(weight)
    predicting.refuse_untrained(model)
    model = one_head(model, head)
    spec = inspection.clip_spec(model)
    if algorithm is not None:
        spec = spec.replace(flow_algorithm=algorithm)
    card = inspection.card(model)
    return Loaded(
        model=model,
        spec=spec,
        name=card.get("weights") or name,
        weight=weight,
        classes=tuple(inspection.class_names(model)),
        synthetic="synthetic" in card.get("data_terms", "").lower(),
    )
