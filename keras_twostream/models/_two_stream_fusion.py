"""Two-stream networks fused at convolutions, in space and in time.

C. Feichtenhofer, A. Pinz, A. Zisserman: Convolutional Two-Stream Network
Fusion for Video Action Recognition. CVPR 2016, arXiv 1604.06573. Where the
paper leaves room, the authors' code decides (feichtenhofer/twostreamfusion).

    rgb   conv1_1 ... conv5_3 --+-- 3-D conv - 3-D pool5 - fc6 - fc7 - fc8
                                |                                        \\
                              concat                                      mean
                                |                                        /
    flow  conv1_1 ... conv5_3 --+------------- 3-D pool5 - fc6 - fc7 - fc8

The fused maps replace those of the rgb tower, which becomes spatiotemporal;
the flow tower goes on beside it or ends there. The authors train from the
fusion on and leave the convolutions before it as they were.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import layers

from keras_twostream.errors import SpecError, check_choice
from keras_twostream.layers import (
    AverageScores,
    FoldTime,
    StreamFusion,
    classifier,
    stream_inputs,
)
from keras_twostream.models.backbones.towers import (
    SMALLEST,
    TOWERS,
    Tower,
    matching_steps,
)
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    clip_length=5,
    temporal_stride=15,
    train_strides=(5, 15),
    flow_length=10,
    flow_offset=-5,
)
TEMPORAL_POOLS = (None, "2d", "3d")
SCORES = "fc8"

# === Parts ===


def _fuse(rgb: Tower, flow: Tower, method: str, site: str) -> None:
    """Put the fused maps into the rgb tower."""
    name = f"fused_{site}"
    if method == "conv3d" and site.startswith(("fc", "full")):
        raise SpecError(
            "conv3d fusion needs maps of a convolution or a pool. "
            f"Received: fuse_at={site!r}"
        )
    maps = [rgb.x, flow.x]
    whole_clip = method == "conv3d" or (method == "bilinear" and rgb.in_3d)
    if whole_clip:
        maps = [
            tower.unfolded(f"{name}_{tower.stream}") for tower in (rgb, flow)
        ]
    rgb.x = StreamFusion(method, name=name)(maps)
    if method == "conv3d":
        rgb.x = FoldTime(name=f"{name}_fold")(rgb.x)
    if method == "bilinear":
        # Its second-order statistics go to the classifier (section 3.1).
        rgb.steps.clear()
        rgb.length = 1 if whole_clip else rgb.length


def _sites(names: str | Sequence[str], rgb: Tower, flow: Tower) -> list:
    """The (rgb, flow) steps to fuse at, in the network's order."""
    names = [names] if isinstance(names, str) else names
    pairs = [
        [SCORES] * 2 if name == SCORES else matching_steps(name, rgb, flow)
        for name in names
    ]
    if len({here for here, _ in pairs}) != len(pairs):
        raise SpecError(
            "`fuse_at` must not name a layer twice. "
            f"Received: fuse_at={names!r}, which are {pairs!r}"
        )
    order = [*rgb.steps, SCORES]
    return sorted(pairs, key=lambda pair: order.index(pair[0]))


def _score_fusing_head(method: str, motion: Any) -> Callable:
    """A linear head whose rgb scores are fused with those of `motion`."""
    made = {}

    def linear(x, classes, name):
        if name not in made:
            made[name] = layers.Dense(
                classes,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
                dtype="float32",
                name=name,
            )(x)
        return made[name]

    def head(x, classes, name):
        scores = linear(x, classes, name)
        if name.startswith("rgb"):
            other = linear(motion, classes, name.replace("rgb", "flow", 1))
            scores = StreamFusion(
                method,
                activation=None,
                dtype="float32",
                name=name.replace("rgb", "fused", 1),
            )([scores, other])
        return AverageScores("logits", name=f"{name}_mean")(scores)

    return head


# === Network ===


@register_model(
    paper=(
        "Feichtenhofer, Pinz, Zisserman: Convolutional Two-Stream Network "
        "Fusion for Video Action Recognition, CVPR 2016"
    )
)
def two_stream_fusion(
    num_classes: int = 101,
    *,
    streams: Sequence[str] = ("rgb", "flow"),
    backbones: Sequence[str] = ("vgg16", "vgg16"),
    fusion: str = "conv3d",
    fuse_at: str | Sequence[str] = "conv5",
    temporal_pool: str | None = "3d",
    keep_temporal: bool = True,
    clip_length: int | None = None,
    flow_length: int = 10,
    dropout: float = 0.85,
    normalization: str = "imagenet",
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Convolutional two-stream fusion (Feichtenhofer et al. 2016), untrained.

    Trainable parameters with 101 classes: 283,514,762; 163,555,109 without
    the flow tower after the fusion.

    Args:
        num_classes: Classes of the head.
        streams: "rgb", "flow" or both; one alone has no fusion.
        backbones: Towers of rgb and flow, "vgg16" or "cnn_m".
        fusion: "sum", "max", "concat", "conv", "bilinear" or "conv3d".
        fuse_at: One layer or several, as "conv3_3", "conv5" (the last one of
            block 5), "pool5", "fc6", or "fc8" for the scores.
        temporal_pool: "3d" for pool5 through space and time, "2d" for pool5
            of each step and the mean of the steps' scores, None for a single
            step, as in the paper's comparison of operators.
        keep_temporal: Keep the flow tower after the fusion, with a head of
            its own.
        clip_length: T; the paper's 5 when None, or 1 without temporal
            pooling. Weights fit any T.
        flow_length: L, flow fields stacked at each step.
        dropout: Rate after both dense layers of each tower.
        normalization: A name in `layers.NORMALIZATIONS`.
        heads: Dict from data set to number of classes, for several heads.
        outputs: "fused", or "streams" for a dict from stream to logits.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's.

    Returns:
        A model from `rgb` (B, T, H, W, 3) and `flow` (B, T, H, W, 2L) to
        logits (B, num_classes): the mean of both towers' logits. Frames
        larger than the crop of 224 are seen whole, as the authors test: fc6
        runs as a 7x7 convolution, and the scores of its places are averaged.
        Fused maps are taps of their own, as "fused.conv5_3".

    Raises:
        SpecError: If an option is not one of its choices, or two of them do
            not go together.
        UnknownNameError: If a tower has no layer of a name in `fuse_at`.

    Example:

    ```python
    model = keras_twostream.models.two_stream_fusion(
        51, fusion="conv", fuse_at=("conv3", "conv5"), keep_temporal=False
    )
    ```
    """
    if clip_length is None:
        clip_length = 1 if temporal_pool is None else SPEC.clip_length
    spec = SPEC.replace(
        **{
            "streams": streams,
            "clip_length": clip_length,
            "flow_length": flow_length,
            **(clip_spec or {}),
        }
    )
    _check(backbones, fusion, fuse_at, temporal_pool, spec.clip_length)
    names = dict(zip(("rgb", "flow"), backbones, strict=True))
    smallest = max(SMALLEST[names[stream]] for stream in spec.streams)
    inputs, x = stream_inputs(spec, normalization, smallest=smallest)
    towers = {
        stream: Tower(
            stream,
            FoldTime(name=f"{stream}_fold")(clip),
            spec.clip_length,
            TOWERS[names[stream]](stream, (dropout, dropout), spec.crop),
            in_3d=temporal_pool == "3d",
        )
        for stream, clip in x.items()
    }
    x, head = _features(towers, fusion, fuse_at, keep_temporal)
    x = {stream: x[stream] for stream in spec.streams if stream in x}
    scores = classifier(
        x,
        num_classes,
        fusion=spec.score_fusion,
        stream_weights=spec.stream_weights,
        heads=heads,
        outputs=outputs,
        activation=classifier_activation,
        name=SCORES,
        average_steps=True,
        head=head,
    )
    return keras.Model(inputs, scores, name="two_stream_fusion")


def _features(
    towers: dict[str, Tower],
    fusion: str,
    fuse_at: str | Sequence[str],
    keep_temporal: bool,
) -> tuple[dict[str, Any], Callable | None]:
    """Return the heads' inputs, (B, steps, D) by stream, and their scorer."""
    if len(towers) == 1:
        return {stream: _end(tower) for stream, tower in towers.items()}, None
    rgb, flow = towers["rgb"], towers["flow"]
    sites = _sites(fuse_at, rgb, flow)
    for here, there in sites:
        if here != SCORES:
            rgb.run(here)
            flow.run(there)
            _fuse(rgb, flow, fusion, here)
    x = {"rgb": _end(rgb)}
    at_scores = [SCORES] * 2 in sites
    if keep_temporal or at_scores:
        x["flow"] = _end(flow)
    head = _score_fusing_head(fusion, x["flow"]) if at_scores else None
    if not keep_temporal:
        x.pop("flow", None)
    return x, head


def _end(tower: Tower) -> Any:
    tower.run()
    return tower.unfolded(f"{tower.stream}_unfold")


def _check(backbones, fusion, fuse_at, temporal_pool, clip_length) -> None:
    if len(backbones) != 2 or not set(backbones) <= set(TOWERS):
        raise SpecError(
            f"`backbones` must be two of {', '.join(TOWERS)}, for rgb and "
            f"flow. Received: backbones={backbones!r}"
        )
    check_choice("temporal_pool", temporal_pool, TEMPORAL_POOLS)
    if temporal_pool is None and clip_length > 1:
        raise SpecError(
            "`temporal_pool=None` takes one step; choose 2d or 3d for more. "
            f"Received: clip_length={clip_length}"
        )
    sites = (fuse_at,) if isinstance(fuse_at, str) else fuse_at
    if not sites:
        raise SpecError(
            "`fuse_at` must name one layer or more; streams that meet in "
            f"their scores do so at {SCORES}. Received: fuse_at={fuse_at!r}"
        )
    if fusion == "bilinear" and len(sites) != 1:
        raise SpecError(
            "Bilinear fusion leaves no maps to fuse again: name one layer. "
            f"Received: fuse_at={fuse_at!r}"
        )
    if SCORES in sites and fusion not in ("sum", "max", "conv"):
        raise SpecError(
            "Scores (fc8) are fused by sum, max or conv. "
            f"Received: fusion={fusion!r}, fuse_at={fuse_at!r}"
        )
