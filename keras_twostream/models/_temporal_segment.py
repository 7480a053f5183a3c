"""Temporal segment networks.

L. Wang, Y. Xiong, Z. Wang, Y. Qiao, D. Lin, X. Tang, L. Van Gool: Temporal
Segment Networks: Towards Good Practices for Deep Action Recognition. ECCV
2016, arXiv 1608.00859. Where the paper leaves room, the authors' code decides
(yjxiong/temporal-segment-networks, yjxiong/tsn-pytorch).

    segment 1 .. K   one snippet each - tower - fc -+
                     (the same tower)               | consensus - softmax
                                                    +

The clip's T steps are the K segments. The consensus joins scores before the
softmax. Partial batch normalisation (section 3.2), which freezes all batch
normalisation but the first, is a matter of training, not of this file.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from keras_twostream.errors import SpecError, check_choice
from keras_twostream.layers import (
    FoldTime,
    FrameDifference,
    SegmentConsensus,
    UnfoldTime,
    classifier,
    stream_inputs,
)
from keras_twostream.models.backbones import bn_inception, resnet
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    clip_length=3,
    flow_length=5,
    sampling="segments",
    stream_weights=(1.0, 1.5),
)
DROPOUT = {"rgb": 0.8, "flow": 0.7}
# Frames that the rgb stream stacks at each step.
MODALITIES = {"rgb": 1, "rgb_diff": 6}
BACKBONES = ("bn_inception", "resnet50")

# === Parts ===


def _features(x, stream: str, backbone: str, stride_in: str):
    """The features (B * K, D) of segments' frames (B * K, H, W, C)."""
    if backbone == "bn_inception":
        return bn_inception.features(x, stream)
    return resnet.features(x, stream, depth=50, stride_in=stride_in)


def _consensus_head(method: str, k: int):
    """A linear layer on each segment, and the segments' consensus."""

    def head(features, classes, name):
        scores = layers.Dense(
            classes,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
            dtype="float32",
            name=name,
        )(features)
        join = SegmentConsensus(method, k, name=f"{name}_consensus")
        return join([scores, features] if method == "attention" else scores)

    return head


# === Network ===


@register_model(
    paper=(
        "Wang, Xiong, Wang, Qiao, Lin, Tang, Van Gool: Temporal Segment "
        "Networks: Towards Good Practices for Deep Action Recognition, "
        "ECCV 2016"
    )
)
def temporal_segment(
    num_classes: int = 101,
    *,
    streams: Sequence[str] = ("rgb", "flow"),
    modality: str = "rgb",
    backbone: str = "bn_inception",
    stride_in: str = "3x3",
    consensus: str = "average",
    top_k: int = 3,
    clip_length: int = 3,
    flow_length: int = 5,
    dropout: float | None = None,
    normalization: str = "imagenet",
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """A temporal segment network (Wang et al. 2016), random weights.

    Trainable parameters with 101 classes and BN-Inception: rgb 10,373,765,
    flow 10,395,717, rgb_diff 10,411,397.

    Args:
        num_classes: Classes of the head.
        streams: "rgb", "flow" or both.
        modality: Input of the rgb stream: "rgb" frames, or "rgb_diff", the
            differences of six consecutive frames, made inside the model.
        backbone: "bn_inception" or "resnet50".
        stride_in: Convolution of resnet50's blocks that strides: "3x3" as in
            torchvision and the authors' PyTorch code, or "1x1" as in He et
            al.
        consensus: "average", "max", "weighted", "top_k" or "attention".
        top_k: Segments that "top_k" averages.
        clip_length: K segments; the paper trains with 3 and tests with 25.
            Weights fit any K, except those of "weighted".
        flow_length: L, flow fields stacked.
        dropout: Rate before the heads; the authors' 0.8 (rgb) and 0.7 (flow)
            when None.
        normalization: A name in `layers.NORMALIZATIONS`;
            "caffe" for the authors' own weights.
        heads: Dict from data set to number of classes, for several heads.
        outputs: "fused", or "streams" for a dict from stream to logits.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's.

    Returns:
        A model from `rgb` (B, K, H, W, 3), or (B, K, H, W, 18) for
        rgb_diff, and `flow` (B, K, H, W, 2L) to logits (B, num_classes):
        the streams' weighted mean, 1 to 1.5.

    Raises:
        SpecError: If an option is not one of its choices.

    Example:

    ```python
    model = keras_twostream.models.temporal_segment(51, consensus="top_k")
    ```
    """
    check_choice("modality", modality, MODALITIES)
    check_choice("backbone", backbone, BACKBONES)
    spec = SPEC.replace(
        streams=streams,
        clip_length=clip_length,
        frames_per_step=MODALITIES[modality],
        flow_length=flow_length,
    ).replace(**(clip_spec or {}))
    _check(spec, modality)
    smallest = bn_inception.SMALLEST if backbone == "bn_inception" else 1
    inputs, x = stream_inputs(spec, normalization, smallest=smallest)
    if modality == "rgb_diff" and "rgb" in x:
        x["rgb"] = FrameDifference(name="rgb_difference")(x["rgb"])
    for stream, clip in x.items():
        rate = DROPOUT[stream] if dropout is None else dropout
        frames = FoldTime(name=f"{stream}_fold")(clip)
        frames = _features(frames, stream, backbone, stride_in)
        frames = layers.Dropout(rate, name=f"{stream}_dropout")(frames)
        x[stream] = UnfoldTime(spec.clip_length, name=f"{stream}_unfold")(
            frames
        )
    scores = classifier(
        x,
        num_classes,
        fusion=spec.score_fusion,
        stream_weights=spec.stream_weights,
        heads=heads,
        outputs=outputs,
        activation=classifier_activation,
        head=_consensus_head(consensus, top_k),
    )
    return keras.Model(inputs, scores, name="temporal_segment")


def _check(spec: ClipSpec, modality: str) -> None:
    if modality == "rgb_diff" and spec.frames_per_step < 2:
        raise SpecError(
            "modality='rgb_diff' subtracts the frames stacked at each step, so "
            "frames_per_step must be 2 or more. Received: "
            f"frames_per_step={spec.frames_per_step}"
        )
