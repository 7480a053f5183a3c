"""The last convolutional maps of each stream, found by walking the graph.

The walk goes back from a score and stops at the first maps that still have
places, so that it binds plugins to no naming rule. A network may have several
for a stream (context and fovea, precondition and effect), and its streams may
share some behind the layer where they meet.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras

from keras_twostream.errors import SpecError
from keras_twostream.graph import operation_of, sources_of
from keras_twostream.inspection import folded_steps
from keras_twostream.layers import (
    ContextFovea,
    DrawStep,
    FoldTime,
    SlidingDense,
    TakeSteps,
    UnfoldTime,
)

Shape = tuple[int, ...]


class Place(NamedTuple):
    """The part of a clip that maps show.

    Attributes:
        top: Upper edge, as a share of the clip's height.
        left: Left edge, as a share of its width.
        bottom: Lower edge.
        right: Right edge.
        middle: Whether it is the clip's middle step alone.
    """

    top: float = 0.0
    left: float = 0.0
    bottom: float = 1.0
    right: float = 1.0
    middle: bool = False


class Maps(NamedTuple):
    """Maps inside a network.

    Attributes:
        stream: The stream they are of.
        tensor: (B, T, H, W, C), or (B * T, H, W, C).
        place: The part of the clip that they show.
    """

    stream: str
    tensor: Any
    place: Place


def last_maps(
    score: Any, inputs: Sequence[Any], shapes: Mapping[str, Shape]
) -> list[Maps]:
    """Return the last maps of each stream on the way to a score.

    These are the outputs of the last convolutions, with the normalisation,
    activation, sum or concatenation behind them, and before any pool. Where
    both streams have but one tower left, they are those before it.

    Args:
        score: A tensor of a functional model.
        inputs: The model's inputs.
        shapes: Shape (B, T, H, W, C) of each stream's clip.

    Returns:
        One `Maps` or more for each stream.

    Raises:
        SpecError: If a stream has none.
    """
    graph = _Graph(score, inputs, shapes)
    border = graph.border([score])
    alone = {s: [x for x in border if graph.streams(x) == {s}] for s in shapes}
    shared = [x for x in border if len(graph.streams(x)) > 1]
    lacking = [stream for stream in shapes if not alone[stream]]
    for stream in lacking:
        if len(lacking) == 1:
            alone[stream] = shared
        else:
            alone[stream] = graph.border(shared, stream)
    _check(alone)
    return [
        Maps(stream, tensor, _place(tensor))
        for stream, tensors in alone.items()
        for tensor in _apart(map(_before_pools, tensors))
    ]


def _check(maps: Mapping[str, list[Any]]) -> None:
    for stream, tensors in maps.items():
        if not tensors:
            raise SpecError(
                f"No maps with places were found in the {stream} stream: its "
                "network has no layers of this library around its "
                "convolutions, or another model inside. Use "
                "method='occlusion', which looks at scores alone."
            )


class _Graph:
    """The tensors before a score, with their shapes for real clips."""

    def __init__(
        self, score: Any, inputs: Sequence[Any], shapes: Mapping[str, Shape]
    ) -> None:
        self._names = _streams_of(score, inputs)
        maps = [x for x in _before([score]) if _has_places(x)]
        if not maps:
            self._sizes: dict[int, int] = {}
            return
        clips = [
            keras.KerasTensor(shapes[x.name], dtype=x.dtype) for x in inputs
        ]
        specs = keras.Function(list(inputs), maps).compute_output_spec(clips)
        self._sizes = {
            id(tensor): math.prod(spec.shape[-3:-1])
            for tensor, spec in zip(maps, specs, strict=True)
        }

    def border(self, starts: Iterable[Any], stream: str = "") -> list[Any]:
        """Return the first maps before some tensors, of one stream or any."""
        tensors: dict[int, Any] = {}

        def is_border(tensor: Any) -> bool:
            right = not stream or self.streams(tensor) == {stream}
            if right and self._sizes.get(id(tensor), 0) > 1:
                tensors[id(tensor)] = tensor
            return id(tensor) in tensors

        for _ in _before(starts, is_border):
            pass
        return list(tensors.values())

    def streams(self, tensor: Any) -> frozenset[str]:
        """Return the names of the inputs that a tensor depends on."""
        return self._names[id(tensor)]


def _streams_of(score: Any, inputs: Sequence[Any]) -> dict[int, frozenset[str]]:
    """Return the inputs that each tensor before a score depends on, by id."""
    names = {id(tensor): frozenset([tensor.name]) for tensor in inputs}
    waiting, seen = [(score, False)], set(names)
    while waiting:
        tensor, ready = waiting.pop()
        sources = sources_of(tensor)
        if ready:
            parts = [names[id(source)] for source in sources]
            names[id(tensor)] = frozenset().union(*parts)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            waiting.append((tensor, True))
            waiting.extend((source, False) for source in sources)
    return names


def _before(starts: Iterable[Any], stop: Any = lambda _: False) -> Iterator:
    """Yield some tensors and all before them, each once; none behind a stop."""
    waiting, seen = list(starts), set()
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        yield tensor
        if not stop(tensor):
            waiting.extend(sources_of(tensor))


def _has_places(tensor: Any) -> bool:
    """Return whether a tensor is (B, T, H, W, C), or (B * T, H, W, C)."""
    layer = operation_of(tensor)
    # Padding makes places where there are none.
    if isinstance(layer, SlidingDense) or "Padding" in type(layer).__name__:
        return False
    rank = len(tensor.shape)
    return rank == 5 or (rank == 4 and folded_steps(tensor) is not None)


def _before_pools(tensor: Any) -> Any:
    """Return the maps that the last convolutions left, not yet pooled."""
    passed = (FoldTime, UnfoldTime, SlidingDense, keras.layers.Dropout)
    while True:
        layer = operation_of(tensor)
        pools = "Pooling" in type(layer).__name__
        if not (pools or isinstance(layer, passed)):
            return tensor
        (tensor,) = sources_of(tensor)


def _apart(tensors: Iterable[Any]) -> Iterator[Any]:
    """Yield maps that show one place each: those of joined towers apart."""
    for tensor in {id(x): x for x in tensors}.values():
        if isinstance(operation_of(tensor), keras.layers.Concatenate):
            sources = sources_of(tensor)
            if len({_place(x) for x in sources}) > 1:
                yield from map(_before_pools, sources)
                continue
        yield tensor


def _place(tensor: Any) -> Place:
    """Return the part of the clip that maps show."""
    place, source = Place(), 0
    while sources_of(tensor):
        layer = operation_of(tensor)
        if isinstance(layer, DrawStep):
            place = place._replace(middle=True)
        if isinstance(layer, ContextFovea) and tensor is layer.output[1]:
            place = place._replace(top=0.25, left=0.25, bottom=0.75, right=0.75)
        if isinstance(layer, TakeSteps):
            # Steps that are joined in time are taken apart again.
            source = -1 if layer.start else 0
        tensor = sources_of(tensor)[source]
    return place
