"""Clips of a packed cache as TensorFlow ops.

For `tf.data` service, whose workers have no Python of ours; in a training's
own process `_packed_footage` takes half the time. Images are decoded inside
the crop alone. Flow stays in its 8 or 16 bits until it is resized, since
levels and pixels are linear in each other.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

from keras_twostream.data.cache import Contract
from keras_twostream.data.feeding.reader import ClipReader
from keras_twostream.spec import ClipSpec

Plan = Mapping[str, tf.Tensor]
_LEVELS = {8: tf.uint8, 16: tf.uint16}


class PackedOps:
    """From a plan of `Planner` to a clip.

    Args:
        contract: How the cache is packed.
        spec: The clip.
        colour: Whether plans change colours.
        flow_values: "scaled" or "unscaled", see `crop_flow`.
    """

    def __init__(
        self,
        contract: Contract,
        spec: ClipSpec,
        colour: bool,
        flow_values: str,
    ) -> None:
        self._contract, self._spec = contract, spec
        self._colour, self._flow_values = colour, flow_values

    @classmethod
    def of(cls, reader: ClipReader, spec: ClipSpec) -> "PackedOps":
        """The ops for the clips of a reader."""
        colour = reader.colour > 0
        return cls(reader.contract, spec, colour, reader.flow_values)

    def clip(self, plan: Plan) -> dict[str, tf.Tensor]:
        """The clip of a plan: "rgb" uint8 and/or "flow" float32 in pixels."""
        plan = {**plan, "content": tf.io.read_file(plan["path"])}
        makers = {"rgb": self._rgb, "flow": self._flow}
        return {stream: makers[stream](plan) for stream in self._spec.streams}

    def _rgb(self, plan: Plan) -> tf.Tensor:
        payloads = _read(plan, "rgb")
        frames = _each(payloads, self._frame_decoder(plan), tf.uint8, 3)
        frames = _resize(_mirror(frames, plan), self._spec.crop)
        if self._colour:
            # Rounded as if colours were changed in a step of their own.
            frames = _recolour(tf.round(frames), plan["colour"])
        frames = tf.cast(tf.round(frames), tf.uint8)
        return _on_channels(tf.gather(frames, plan["rgb_places"]))

    def _flow(self, plan: Plan) -> tf.Tensor:
        levels = _LEVELS[self._contract.bits]
        payloads = _read(plan, "flow")
        fields = _each(payloads, self._field_decoder(plan), levels, 2)
        fields = _on_channels(tf.gather(fields, plan["flow_places"]))
        fields = _resize(_mirror(fields, plan), self._spec.crop)
        factor, offset = self._pixels(plan)
        return fields * factor + offset

    def _pixels(self, plan: Plan) -> tuple[tf.Tensor, tf.Tensor]:
        """(T, 1, 1, 2L) factor and offset from levels to displacement."""
        bound = self._contract.flow_bound
        scale = tf.where(plan["mirror"], [-1.0, 1.0], [1.0, 1.0])
        if self._flow_values == "scaled":
            height, width = self._spec.crop
            taken = tf.cast(plan["crop"][2:], tf.float32)
            scale *= tf.stack([width / taken[1], height / taken[0]])
        scale = plan["moving"][..., None] * scale
        scale = tf.reshape(
            scale, (self._spec.clip_length, 1, 1, 2 * self._spec.flow_length)
        )
        step = 2 * bound / (2**self._contract.bits - 1)
        return scale * step, scale * -bound

    # === One frame, one field ===

    def _frame_decoder(self, plan: Plan) -> Callable:
        """Bytes to the (h, w, 3) uint8 crop of a frame."""
        if self._contract.rgb_encoding == "jpeg":
            return lambda payload: _crop_jpeg(payload, plan["crop"], 3)
        if self._contract.rgb_encoding == "png":
            return lambda payload: _cut(
                tf.io.decode_png(payload, channels=3), plan["crop"]
            )
        shape = tf.concat([plan["size"], [3]], 0)
        return lambda payload: _cut(
            tf.reshape(tf.io.decode_raw(payload, tf.uint8), shape),
            plan["crop"],
        )

    def _field_decoder(self, plan: Plan) -> Callable:
        """Bytes to the (h, w, 2) crop of a field, in levels."""
        height = plan["size"][0]
        top, left, rows, columns = tf.unstack(plan["crop"])
        # x stands above y in one image: a single cut takes both.
        both = tf.stack([top, left, height + rows, columns])
        image = self._plane_decoder(plan, both)

        def decode(payload):
            planes = image(payload)[..., 0]
            return tf.stack([planes[:rows], planes[height:]], axis=-1)

        return decode

    def _plane_decoder(self, plan: Plan, both: tf.Tensor) -> Callable:
        levels = _LEVELS[self._contract.bits]
        if self._contract.flow_encoding == "jpeg":
            return lambda payload: _crop_jpeg(payload, both, 1)
        if self._contract.flow_encoding == "png":
            return lambda payload: _cut(
                tf.io.decode_png(payload, channels=1, dtype=levels), both
            )
        shape = tf.stack([2 * plan["size"][0], plan["size"][1], 1])
        return lambda payload: _cut(
            tf.reshape(tf.io.decode_raw(payload, levels), shape), both
        )


# === Parts ===


def _each(payloads, decode: Callable, dtype, channels: int) -> tf.Tensor:
    """(K, h, w, channels) of K payloads."""
    return tf.map_fn(
        decode,
        payloads,
        fn_output_signature=tf.TensorSpec((None, None, channels), dtype),
    )


def _read(plan: Plan, stream: str) -> tf.Tensor:
    """(K,) strings, the bytes of distinct frames or fields."""

    def cut(row):
        return tf.strings.substr(plan["content"], row[0], row[1])

    rows = _rows(plan, stream)
    return tf.map_fn(cut, rows, fn_output_signature=tf.string)


def _rows(plan: Plan, stream: str) -> tf.Tensor:
    return plan[f"{stream}_rows"][: plan[f"{stream}_count"]]


def _crop_jpeg(payload, crop, channels: int) -> tf.Tensor:
    return tf.image.decode_and_crop_jpeg(
        payload, crop, channels=channels, dct_method="INTEGER_ACCURATE"
    )


def _cut(image: tf.Tensor, crop) -> tf.Tensor:
    top, left, height, width = tf.unstack(crop)
    return image[top : top + height, left : left + width]


def _mirror(images: tf.Tensor, plan: Plan) -> tf.Tensor:
    dims = tf.stack([False, False, plan["mirror"], False])
    return tf.raw_ops.Reverse(tensor=images, dims=dims)


def _resize(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Bilinear, float32, the geometry of OpenCV's."""
    return tf.raw_ops.ResizeBilinear(
        images=images, size=size, half_pixel_centers=True
    )


def _recolour(frames: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    changed = tf.tensordot(frames, matrix[:, :3], [[3], [1]]) + matrix[:, 3]
    return tf.clip_by_value(changed, 0.0, 255.0)


def _on_channels(images: tf.Tensor) -> tf.Tensor:
    """(T, K, H, W, C) to (T, H, W, K*C)."""
    steps, count, height, width, channels = tf.unstack(tf.shape(images))
    if images.shape[1] != 1:
        images = tf.transpose(images, (0, 2, 3, 1, 4))
    return tf.reshape(images, (steps, height, width, count * channels))
