"""Facts about models and weights in plain words."""

from collections.abc import Sequence

from keras_twostream._printing import readable
from keras_twostream.pretrained import WeightSpec, _facts
from keras_twostream.spec import ClipSpec

_NAMED = 24  # up to this many classes are all named; of more, a few


def knows(name: str, classes: Sequence[str]) -> str:
    """Name the actions that a model knows."""
    named = [readable(label) for label in classes]
    if len(named) > _NAMED:
        named = [*named[:6], f"... and {len(named) - 6} more"]
    return f"{name} knows {len(classes)} actions: {', '.join(named)}."


def weight(spec: WeightSpec) -> str:
    """Name what a weight was trained on, its accuracy, size and licence."""
    parts = (
        f"{_facts.knows(spec)}, {' + '.join(spec.streams)}",
        _facts.accuracy(spec) or _untold(spec),
        ", ".join(
            tell(spec)
            for tell in (_facts.megabytes, _facts.terms, _facts.pinned)
        ),
    )
    return "; ".join(part for part in parts if part)


def _untold(spec: WeightSpec) -> str:
    return "no accuracy is stated" if spec.head_trained else ""


def synthetic(spec: WeightSpec) -> str:
    """Warn of weights that only know drawn videos."""
    task = " --task tubes" if spec.task == "detection" else ""
    return (
        "These weights have seen only synthetic videos, drawn by a computer. "
        "On real footage take the answer as a demonstration, and train on your "
        f"own videos for real use: keras-twostream train{task} --help"
    )


def size(number: float) -> str:
    """Format bytes in MB."""
    return f"{number / 1e6:.1f} MB"


def clip(spec: ClipSpec) -> str:
    """Describe the input of a model in a sentence or two."""
    parts = spec.describe()
    named = [f"{stream}: {parts[stream]}" for stream in spec.streams]
    return "; ".join([parts["clip"], *named, parts["span"]]) + "."
