"""Very deep two-stream networks: GoogLeNet in both streams.

L. Wang, Y. Xiong, Z. Wang, Y. Qiao: Towards Good Practices for Very Deep
Two-Stream ConvNets. 2015, arXiv 1507.02159. Neither the paper nor the
authors' files give GoogLeNet's dropout; ours is that of their temporal
segment networks.

    conv1 - pool1 - conv2 - pool2 - inception_3a, 3b - pool3
    - inception_4a .. 4e - pool4 - inception_5a, 5b - pool5 - dropout - fc
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from keras_twostream.layers import (
    FoldTime,
    UnfoldTime,
    classifier,
    stream_inputs,
)
from keras_twostream.models.backbones import googlenet
from keras_twostream.registry import register_model
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    clip_length=1,
    flow_length=10,
    sampling="uniform",
    score_fusion="softmax",
    stream_weights=(1.0, 2.0),
)
DROPOUT = {"rgb": 0.8, "flow": 0.7}

SMALLEST = 31

# === Network ===


@register_model(
    paper=(
        "Wang, Xiong, Wang, Qiao: Towards Good Practices for Very Deep "
        "Two-Stream ConvNets, arXiv 2015"
    )
)
def two_stream_googlenet(
    num_classes: int = 101,
    *,
    streams: Sequence[str] = ("rgb", "flow"),
    batch_norm: bool = False,
    clip_length: int = 1,
    flow_length: int = 10,
    dropout: float | None = None,
    normalization: str = "half",
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    classifier_activation: str | None = None,
    clip_spec: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Two-stream GoogLeNet (Wang et al. 2015), with random weights.

    Trainable parameters with 101 classes, no batch normalisation: rgb
    6,077,077, flow 6,130,389.

    Args:
        num_classes: Classes of the head.
        streams: "rgb", "flow" or both.
        batch_norm: False for the paper's network, True for torchvision's
            with batch normalisation, which public weights fit.
        clip_length: T frames, or stacks, whose scores are averaged.
        flow_length: L, flow fields stacked.
        dropout: Rate before the heads; 0.8 (rgb) and 0.7 (flow) when None.
        normalization: A name in `layers.NORMALIZATIONS`;
            "caffe" for Caffe's weights, "half" for torchvision's.
        heads: Dict from data set to number of classes, for several heads.
        outputs: "fused", or "streams" for a dict from stream to logits.
        classifier_activation: "softmax"; "sigmoid", of several classes at
            once; or None for logits.
        clip_spec: Fields of the ClipSpec that differ from the paper's.

    Returns:
        A model from `rgb` (B, T, H, W, 3) and `flow` (B, T, H, W, 2L) to
        logits (B, num_classes): the log of the streams' mean class
        probability, flow counting twice.

    Raises:
        SpecError: If an option is not one of its choices.

    Example:

    ```python
    model = keras_twostream.models.two_stream_googlenet(51, batch_norm=True)
    ```
    """
    spec = SPEC.replace(
        streams=streams,
        clip_length=clip_length,
        flow_length=flow_length,
    ).replace(**(clip_spec or {}))
    inputs, x = stream_inputs(spec, normalization, smallest=SMALLEST)
    for stream, clip in x.items():
        rate = DROPOUT[stream] if dropout is None else dropout
        frames = FoldTime(name=f"{stream}_fold")(clip)
        frames = googlenet.features(frames, stream, batch_norm=batch_norm)
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
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
        average_steps=True,
    )
    return keras.Model(inputs, scores, name="two_stream_googlenet")
