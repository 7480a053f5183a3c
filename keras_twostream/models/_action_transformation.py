"""Actions as transformations between two states of the world.

X. Wang, A. Farhadi, A. Gupta: Actions ~ Transformations. CVPR 2016, arXiv
1512.00795. There is no public code of the authors; what their text leaves
open is an option here.

    frames ... precondition      |   |      effect ...
    VGG-16, each frame to fc7        VGG-16, each frame to fc7
    mean of frames 1 to z_p          mean of frames z_e to T
    embedding f_p, 512               embedding f_e, 512
           T_1 f_p ... T_n f_p  <-- cosine -->  f_e

The boundaries are latent: z_p lies in [T/3, T/2], z_e in [T/2, 2T/3], and
every class takes the pair that suits it best. The logit of a class is the
cosine distance there times a negative scale: bare cosines would cap a softmax
over 101 classes at 7 %.

What we assume: z_p from floor(T/3) to floor(T/2) and z_e from ceil(T/2) to
ceil(2T/3), so 8 to 12 and 13 to 17 of 25 frames, each boundary frame in its
own segment; the matrices start as the identity with Gaussian noise of 0.01,
since equal ones would leave all classes equally far; the scale is 20, which
lets one class of 101 reach a softmax of nearly 1.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import keras
from keras import layers

from keras_twostream.errors import SpecError
from keras_twostream.layers import (
    ActionTransformations,
    DistanceLogits,
    FoldTime,
    SegmentMeans,
    TakeSteps,
    UnfoldTime,
    boundaries,
    classifier,
    stream_inputs,
)
from keras_twostream.models.backbones import vgg
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    clip_length=25,
    flow_length=10,
    flow_algorithm="tvl1",
    sampling="whole",
)

# === Parts ===


def _tower(clip, *, name: str, spec: ClipSpec, dropout: float):
    """fc7 of each frame: (B, T, 4096)."""
    x = FoldTime(name=f"{name}_fold")(clip)
    for step in vgg.steps(name, (dropout, dropout), spec.crop).values():
        x = step(x)
    return UnfoldTime(spec.clip_length, name=f"{name}_unfold")(x)


def _embedded(frames, name: str, segments: list, units: int):
    """The segments' mean features, then their embeddings: (B, S, units)."""
    x = SegmentMeans(segments, name=f"{name}_means")(frames)
    return layers.Dense(units, name=f"{name}_embedding")(x)


def _shared_states(tower, stream: str, segments, units: int):
    """One tower and one embedding for both states."""
    before, after = segments
    x = _embedded(tower(name=stream), stream, before + after, units)
    steps = {
        "precondition": (0, len(before)),
        "effect": (len(before), len(before) + len(after)),
    }
    return [
        TakeSteps(*step, name=f"{stream}_{state}")(x)
        for state, step in steps.items()
    ]


def _separate_states(tower, stream: str, segments, units: int):
    """A tower and an embedding for each state."""
    names = (f"{stream}_precondition", f"{stream}_effect")
    return [
        _embedded(tower(name=name), name, part, units)
        for name, part in zip(names, segments, strict=True)
    ]


def _score(states, classes: int, name: str, scale: float, every: bool):
    """Logits of one head: (B, classes), or (B, P, E, classes)."""
    distances = ActionTransformations(classes, name=name)(states)
    return DistanceLogits(scale, every, name=f"{name}_logits")(distances)


# === Network ===


@register_model(
    paper="Wang, Farhadi, Gupta: Actions ~ Transformations, CVPR 2016"
)
def action_transformation(
    num_classes: int = 101,
    *,
    streams: Sequence[str] = ("rgb", "flow"),
    share_towers: bool = True,
    clip_length: int = 25,
    flow_length: int = 10,
    embedding: int = 512,
    scale: float = 20.0,
    every_boundary: bool = False,
    dropout: float = 0.5,
    normalization: str = "imagenet",
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Actions ~ Transformations (Wang et al. 2016), with random weights.

    Trainable parameters of the rgb stream with 101 classes: 162,834,752
    with shared towers, 299,192,960 with separate ones.

    Args:
        num_classes: n, transformation matrices.
        streams: "rgb", "flow" or both.
        share_towers: One tower and embedding for preconditions and effects,
            or one for each. The text says "Siamese", and "f_p, f_e".
        clip_length: T frames, spread evenly over the whole video.
        flow_length: L, flow fields stacked at each frame.
        embedding: Size of the embedding.
        scale: Logits are -scale times the distance.
        every_boundary: Give the logits of all boundary pairs, (B, P, E,
            num_classes), to find the best pair in training.
        dropout: Rate after fc6 and fc7.
        normalization: A name in `layers.NORMALIZATIONS`.
        heads: Dict from data set to number of classes, for several heads.
        outputs: "fused", or "streams" for a dict from stream to logits.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's.

    Returns:
        A model from `rgb` (B, T, H, W, 3) and `flow` (B, T, H, W, 2L), of
        224 pixels or whole frames, to logits (B, num_classes). The taps are
        VGG-16's layers, means (of fc7, over all segments), embedding,
        precondition, effect, and transformation: the distances (B, P, E,
        num_classes). Separate towers put "precondition_" or "effect_" before
        the names.

    Raises:
        SpecError: If an option is not one of its choices, or the clip has
            fewer than two steps.

    Example:

    ```python
    model = keras_twostream.models.action_transformation(43)
    ```
    """
    spec = SPEC.replace(
        streams=streams, clip_length=clip_length, flow_length=flow_length
    ).replace(**(clip_spec or {}))
    _check(spec)
    inputs, x = stream_inputs(spec, normalization, smallest=vgg.SMALLEST)
    states = _shared_states if share_towers else _separate_states
    segments = boundaries(spec.clip_length)
    for stream, clip in x.items():
        tower = partial(_tower, clip, spec=spec, dropout=dropout)
        x[stream] = states(tower, stream, segments, embedding)
    scores = classifier(
        x,
        num_classes,
        fusion=spec.score_fusion,
        stream_weights=spec.stream_weights,
        heads=heads,
        outputs=outputs,
        activation=classifier_activation,
        name="transformation",
        head=partial(_score, scale=scale, every=every_boundary),
    )
    return keras.Model(inputs, scores, name="action_transformation")


def _check(spec: ClipSpec) -> None:
    if spec.clip_length < 2:
        raise SpecError(
            "action_transformation needs a precondition and an effect: "
            "clip_length must be 2 or more. Received: clip_length="
            f"{spec.clip_length}"
        )
