"""GoogLeNet for one stream, from BVLC's ImageNet weights or from none."""

from pathlib import Path

import keras
import numpy as np
from safetensors.numpy import load_file

import keras_twostream as kts

# ImageNet's photographs need their size; flow is smooth, and dear at size.
FIELDS = {
    "rgb": {"short_side": 256, "crop": [224, 224]},
    # A bound half that of 256 px, at half the size.
    "flow": {"short_side": 128, "crop": [112, 112], "flow_bound": 10.0},
}
SMALL = FIELDS["flow"]  # both streams, where they train


def googlenet(
    start: str, stream: str, fields: dict, values: Path | None
) -> keras.Model:
    """The network of one stream.

    Args:
        start: "imagenet" (flow by cross-modality, Wang et al. 2015: the mean
            of the first kernel over rgb, for every channel) or "random".
        stream: rgb or flow.
        fields: Fields of the clip.
        values: BVLC's values in safetensors, by the layers' names; without
            it they are the catalogue's.
    """
    options = {"streams": (stream,), "clip_spec": fields}
    if start == "imagenet" and values is None:
        return kts.load(
            "two_stream_googlenet.bvlc_imagenet", num_classes=1000, **options
        )
    keras.utils.set_random_seed(0)
    model = kts.load(
        "two_stream_googlenet", weights=None, normalization="caffe", **options
    )
    if start == "imagenet":
        _assign(model, stream, load_file(values))
    return model


def _assign(model, stream: str, values: dict[str, np.ndarray]) -> None:
    """Give the layers below the head their values."""
    for name in {key.partition(".")[0] for key in values} - {"predictions"}:
        kernel, bias = values[f"{name}.kernel"], values[f"{name}.bias"]
        layer = model.get_layer(f"{stream}_{name}")
        channels = layer.kernel.shape[-2]
        if channels != kernel.shape[-2]:
            kernel = kts.pretrained.cross_modality(kernel, channels)
        layer.set_weights([kernel, bias])
