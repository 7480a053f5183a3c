"""The outline of a network: a few dozen stages instead of hundreds of layers.

Stages are found in the built graph. Convolutions, dense layers and poolings
belong to the stage that their name begins with, as the papers number them
(conv1, res2, inception_3, Mixed_4, fc6); everything between them, such as
normalisation and activations, belongs to the stage before it.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras

from keras_twostream import costs as _costs
from keras_twostream import inspection
from keras_twostream.graph import inputs_of, operation_of

_NUMBERED = re.compile(
    r"(?:res|layer|inception_|Mixed_|conv|fc|full|pool|Conv\dd_|MaxPool\dd_)\d+"
    r"|stem"
)
_ENDINGS = re.compile(r"(_(pad|bn|relu|dropout|unfold|fold|time|mean))+$")
# Layers that never are a stage of their own.
_BETWEEN = frozenset(
    (
        "Activation",
        "AverageScores",
        "BatchNorm",
        "BatchNormalization",
        "Dropout",
        "Flatten",
        "FoldTime",
        "LocalResponseNormalization",
        "ReLU",
        "Reshape",
        "UnfoldTime",
    )
)
_SIGNS = {"Add": "+", "Multiply": "×", "Concatenate": "concat"}


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of a network under a name of its paper.

    Attributes:
        name: Such as "res3", without its stream.
        stream: "rgb", "flow", or "" behind a fusion.
        shape: Shape of its output for a clip: (T, H, W, C), (T, C) or (C,).
        parameters: Trainable parameters.
        macs: Multiply-adds for one clip.
        sources: The stages it reads, as pairs of a key and the sign of a
            meeting of two streams: "+", "×", "concat", or "".
    """

    name: str
    stream: str
    shape: tuple[int, ...]
    parameters: int
    macs: int
    sources: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """The stage's name with its stream, as in "rgb.res3"."""
        return f"{self.stream}.{self.name}" if self.stream else self.name

    def to_json(self) -> dict[str, Any]:
        """Return the stage as JSON-compatible values."""
        return {
            **dataclasses.asdict(self),
            "shape": list(self.shape),
            "sources": [list(source) for source in self.sources],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Stage":
        """Return the stage that `to_json` described."""
        sources = tuple((key, sign) for key, sign in values["sources"])
        return cls(
            **{**values, "shape": tuple(values["shape"]), "sources": sources}
        )


def stages(
    model: keras.Model, measured: _costs.Costs | None = None
) -> tuple[Stage, ...]:
    """Return the stages of a model, in the order of its graph.

    Args:
        model: A model of this library.
        measured: The model's `costs`, where they are known.

    Returns:
        Its stages; their parameters and multiply-adds add up to the model's.

    Raises:
        SpecError: If the model has no stream input of this library.

    Example:

    ```python
    for stage in outlines.stages(model):
        print(stage.key, stage.shape, stage.macs)
    ```
    """
    costs = (measured or _costs.costs(model)).layers
    shapes = {layer.name: layer.shape for layer in costs}
    macs: dict[str, int] = {}
    for layer in costs:  # one that is called twice works twice
        macs[layer.name] = macs.get(layer.name, 0) + layer.macs
    graph = _Graph(tuple(inspection.stream_layers(model)))
    for operation in model.operations:
        graph.add(operation)
    counted: set[int] = set()
    return tuple(
        Stage(
            name=key.removeprefix(f"{stream}."),
            stream=stream,
            shape=_shape(members, shapes),
            parameters=sum(_parameters(members, counted)),
            macs=sum(macs.pop(x.name, 0) for x in _leaves(members)),
            sources=tuple(graph.sources[key].items()),
        )
        for key, members in graph.members.items()
        for stream in [graph.stream_of(key)]
    )


class _Graph:
    """Operations gathered into stages, and the arrows between stages.

    Attributes:
        members: Operations of each stage, in order.
        sources: Signs by the keys of the stages that a stage reads.
    """

    def __init__(self, streams: tuple[str, ...]) -> None:
        self.members: dict[str, list[Any]] = {}
        self.sources: dict[str, dict[str, str]] = {}
        self._streams = streams
        self._home: dict[int, str] = {}

    def add(self, operation: Any) -> None:
        readers = [
            self._home[id(operation_of(tensor))]
            for tensor in inputs_of(operation)
        ]
        before = list(dict.fromkeys(readers))
        key = before[0] if _joins(operation, before) else self._key(operation)
        self._home[id(operation)] = key
        self.members.setdefault(key, []).append(operation)
        sources = self.sources.setdefault(key, {})
        sign = _SIGNS.get(type(operation).__name__, "")
        for other in before:
            if other != key:
                crosses = self.stream_of(other) != self.stream_of(key)
                sources[other] = sources.get(other) or sign * crosses

    def stream_of(self, key: str) -> str:
        stream = key.partition(".")[0]
        return stream if stream in self._streams else ""

    def _key(self, operation: Any) -> str:
        name = operation.name
        if name in self._streams:
            return f"{name}.input"
        stream, _, rest = name.partition("_")
        inside = stream in self._streams and bool(rest)
        stage = _stage_name(rest if inside else name)
        return f"{stream}.{stage}" if inside else stage


def _joins(operation: Any, before: list[str]) -> bool:
    """Return whether an operation belongs to the one stage before it."""
    kind = type(operation).__name__
    return len(before) == 1 and (kind in _BETWEEN or kind in _SIGNS)


def _stage_name(name: str) -> str:
    number = _NUMBERED.search(name)
    return name[: number.end()] if number else _ENDINGS.sub("", name)


def _leaves(members: Iterable[Any]) -> Iterator[Any]:
    """Yield the members, and of a network among them its own layers."""
    for member in members:
        if isinstance(member, keras.Model):
            yield from _leaves(member.layers)
        else:
            yield member


def _shape(
    members: Iterable[Any], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[int, ...]:
    """Return the shape of the last output, without the axis of one clip."""
    known = [shapes[x.name] for x in _leaves(members) if x.name in shapes]
    shape = known[-1] if known else ()
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape


def _parameters(members: Iterable[Any], counted: set[int]) -> Iterator[int]:
    """Yield the sizes of trainable weights that were not counted yet."""
    for member in members:
        for weight in getattr(member, "trainable_weights", ()):
            if id(weight) not in counted:
                counted.add(id(weight))
                yield math.prod(weight.shape)
