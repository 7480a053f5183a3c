"""The first layer of every stream: normalisation, and the ClipSpec.

The layer turns physical quantities (rgb in 0..255, flow in pixels) into what
the weights were trained on, in float32 under every dtype policy. Its config
is the one place in a Keras model where metadata survives saving, cloning,
nesting and deep copies, so it also holds the ClipSpec, the architecture and
its options, and the class names. Which heads are trained is no part of the
config: it is saved with the weights, so that a clone, whose weights are new,
does not claim it.
"""

import json
import weakref
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_twostream.errors import SpecError, check_choice
from keras_twostream.registry import current_build
from keras_twostream.spec import ClipSpec

# (x / scale - mean) / std for rgb; clip(f, +-B) / 2B / std for flow, or
# (round(255 (f + B) / 2B) - 128) / std where weights saw 8-bit flow.
NORMALIZATIONS: dict[str, dict[str, dict[str, Any]]] = {
    "imagenet": {
        "rgb": {
            "scale": 255.0,
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
        "flow": {"std": 0.226},
    },
    "half": {
        "rgb": {"scale": 255.0, "mean": [0.5] * 3, "std": [0.5] * 3},
        "flow": {"std": 0.5},
    },
    "kinetics": {
        "rgb": {
            "scale": 255.0,
            "mean": [0.43216, 0.394666, 0.37645],
            "std": [0.22803, 0.22145, 0.216989],
        },
        "flow": {"std": 0.226},
    },
    "caffe": {
        "rgb": {
            "scale": 1.0,
            "mean": [104.0, 117.0, 123.0],
            "std": [1.0] * 3,
            "bgr": True,
        },
        "flow": {"bytes": True},
    },
    # The same in tsn-pytorch and Cadene's collection, but for one mean.
    "tsn_pytorch": {
        "rgb": {
            "scale": 1.0,
            "mean": [104.0, 117.0, 128.0],
            "std": [1.0] * 3,
            "bgr": True,
        },
        "flow": {"bytes": True},
    },
    "openmmlab": {
        "rgb": {
            "scale": 1.0,
            "mean": [123.675, 116.28, 103.53],
            "std": [58.395, 57.12, 57.375],
        },
        "flow": {"bytes": True, "std": 128.0},
    },
    # Caffe's means in the order of RGB, as OpenMMLab's C3D has them.
    "openmmlab_c3d": {
        "rgb": {
            "scale": 1.0,
            "mean": [104.0, 117.0, 128.0],
            "std": [1.0] * 3,
        },
        "flow": {"bytes": True, "std": 128.0},
    },
    # The means of the image networks that MatConvNet publishes.
    "matconvnet_resnet": {
        "rgb": {
            "scale": 1.0,
            "mean": [123.1516, 115.9029, 103.0626],
            "std": [1.0] * 3,
        },
        "flow": {"bytes": True},
    },
    "matconvnet_vgg": {
        "rgb": {
            "scale": 1.0,
            "mean": [123.68, 116.779, 103.939],
            "std": [1.0] * 3,
        },
        "flow": {"bytes": True},
    },
    # Karpathy et al. 2014 subtract one constant.
    "constant": {
        "rgb": {"scale": 1.0, "mean": [117.0] * 3, "std": [1.0] * 3},
        "flow": {"bytes": True},
    },
    # R-CNN's means; flow in units of its bound, for `FlowImage`.
    "action_tubes": {
        "rgb": {
            "scale": 1.0,
            "mean": [102.9801, 115.9465, 122.7717],
            "std": [1.0] * 3,
            "bgr": True,
        },
        "flow": {"std": 0.5},
    },
}


_MARK = "trained_heads"
_EVERY_HEAD = ("*",)  # a training step does not know the names


@keras.saving.register_keras_serializable(package="keras_twostream")
class StreamInput(keras.layers.Layer):
    """Normalise one stream and carry the model's identity.

    It sees every training step, of `fit` and of any loop that calls the model
    with `training=True`, and notes that the head is trained. Where a whole
    model was marked, as `keras_twostream.load` does, it also knows the head's
    layers, so that another layer of the same name is not taken for trained.

    Args:
        stream: "rgb" or "flow".
        normalization: Constants of this stream, a row of `NORMALIZATIONS`,
            with `bound` for flow.
        clip_spec: The clip the model takes, as `ClipSpec.to_json()` gives it.
        card: Architecture, options, classes.

    Attributes:
        trained_heads: Names of the head layers that are trained, None while
            there are none. It travels with the weights, not with the config.

    Input shape:
        `(B, T, H, W, C)`; rgb in 0..255, any dtype, or flow in pixels.

    Output shape:
        The same, float32.
    """

    def __init__(
        self,
        stream: str,
        normalization: Mapping[str, Any],
        clip_spec: Mapping[str, Any],
        card: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.stream = stream
        self.normalization = dict(normalization)
        self.clip_spec = dict(clip_spec)
        self.card = dict(card or {})
        form = ClipSpec.from_json(self.clip_spec)
        shape = (None, form.clip_length, None, None, form.channels(stream))
        # Not every backend holds what `predict` gets to the model's inputs.
        self.input_spec = keras.layers.InputSpec(shape=shape)
        self.trained_heads: tuple[str, ...] | None = None
        self._marked: weakref.WeakSet[Any] | None = None

    def call(self, clip: Any, training: bool | None = None) -> Any:
        if training:
            self.trained_heads = self.trained_heads or _EVERY_HEAD
            self._marked = None  # a step trains whatever head there is
        clip = ops.cast(of_known_shape(clip, self.input_spec.shape), "float32")
        if self.stream == "flow":
            return self._normalize_flow(clip)
        return self._normalize_rgb(clip)

    def _normalize_rgb(self, clip: Any) -> Any:
        constants = self.normalization
        frames = clip.shape[-1] // 3
        if constants.get("bgr"):
            order = [3 * f + c for f in range(frames) for c in (2, 1, 0)]
            clip = ops.take(clip, order, axis=-1)
        mean = ops.convert_to_tensor(constants["mean"] * frames, "float32")
        std = ops.convert_to_tensor(constants["std"] * frames, "float32")
        return (clip / constants["scale"] - mean) / std

    def _normalize_flow(self, flow: Any) -> Any:
        constants = self.normalization
        bound = constants["bound"]
        flow = ops.clip(flow, -bound, bound)
        if constants.get("bytes"):
            levels = ops.round(255.0 * (flow + bound) / (2 * bound)) - 128.0
            return levels / constants.get("std", 1.0)
        return flow / (2 * bound) / constants["std"]

    def neutral(self, channels: int) -> np.ndarray:
        """Return a pixel that says nothing: the mean colour, or no motion.

        Args:
            channels: C of the stream, 3F or 2L.

        Returns:
            (C,) float32, in the units of the input; it becomes 0 inside.
        """
        if self.stream == "flow":
            return np.zeros(channels, np.float32)
        constants = self.normalization
        mean = np.array(constants["mean"], np.float32) * constants["scale"]
        mean = mean[::-1] if constants.get("bgr") else mean
        return np.tile(mean, channels // 3)

    def mark(self, heads: Sequence[Any]) -> None:
        """Mark a model's head layers as trained, or none where none are given.

        Several models may share this layer, so earlier marks of layers hold.
        """
        self.trained_heads = tuple(sorted(x.name for x in heads)) or None
        known = self._marked or ()
        self._marked = weakref.WeakSet([*known, *heads]) if heads else None

    def trained(self, heads: Sequence[Any]) -> bool:
        """Return whether all of these head layers are marked as trained."""
        mark = tuple(self.trained_heads or ())
        names = {layer.name for layer in heads}
        if not mark or not (mark == _EVERY_HEAD or names <= set(mark)):
            return False
        return self._marked is None or all(x in self._marked for x in heads)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Save the mark of trained heads beside the model's weights."""
        if self.trained_heads is not None:
            text = json.dumps(list(self.trained_heads))
            store[_MARK] = np.frombuffer(text.encode(), np.uint8)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Take the mark that was saved with the weights being loaded."""
        self.trained_heads, self._marked = None, None
        if _MARK in store.keys():
            text = np.asarray(store[_MARK]).tobytes().decode()
            self.trained_heads = tuple(map(str, json.loads(text)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "stream": self.stream,
            "normalization": self.normalization,
            "clip_spec": self.clip_spec,
            "card": self.card,
        }


def of_known_shape(clip: Any, shape: tuple[int | None, ...]) -> Any:
    """Return a clip of which steps and channels are known to be right.

    After two batches of different shapes TensorFlow traces one graph for any
    shape. Twice the steps would pass there as two clips, and twice the
    channels as a convolution in groups.
    """
    if None not in (clip.shape[1], clip.shape[-1]):
        return clip
    import tensorflow as tf

    return tf.ensure_shape(clip, shape)


def stream_inputs(
    spec: ClipSpec,
    normalization: str = "imagenet",
    *,
    fixed_size: bool = False,
    smallest: int = 1,
) -> tuple[list, dict[str, Any]]:
    """Return the named inputs of a model and their normalised clips.

    Args:
        spec: The clip that the model takes.
        normalization: A name in `NORMALIZATIONS`.
        fixed_size: Fix height and width to `spec.crop`, for networks that
            end in dense layers; they are free otherwise.
        smallest: Side in pixels of the smallest crop that the network's
            strides and pools do not shrink to nothing.

    Returns:
        The list of `keras.Input`s to hand to `keras.Model`, in the order of
        `spec.streams`, and a dict from stream to normalised clip
        `(B, T, H, W, C)`.

    Raises:
        SpecError: If the normalisation has no such name, or the crop is too
            small.
    """
    if min(spec.crop) < smallest:
        raise SpecError(
            f"The network needs a crop of {smallest} x {smallest} pixels or "
            f"more. Received: crop={spec.crop!r}"
        )
    check_choice("normalization", normalization, sorted(NORMALIZATIONS))
    size = spec.crop if fixed_size else (None, None)
    card = _card()
    inputs, clips = [], {}
    for stream in spec.streams:
        shape = (spec.clip_length, *size, spec.channels(stream))
        raw = keras.Input(shape, name=stream)
        constants = dict(NORMALIZATIONS[normalization][stream])
        if stream == "flow":
            constants["bound"] = spec.flow_bound
        layer = StreamInput(
            stream, constants, spec.to_json(), card, name=f"{stream}_input"
        )
        inputs.append(raw)
        clips[stream] = layer(raw)
    return inputs, clips


def _card() -> dict[str, Any]:
    build = current_build()
    card: dict[str, Any] = {"classes": None}
    if build is not None:
        card["architecture"] = build.architecture
        card["options"] = _plain(build.options)
    return card


def _plain(value: Any) -> Any:
    """Return tuples as lists and specs as dicts, which JSON keeps."""
    if isinstance(value, ClipSpec):
        return value.to_json()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
