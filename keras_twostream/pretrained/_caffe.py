"""A reader of Caffe's .caffemodel files, old and new, without Caffe.

A file is a NetParameter message (BVLC/caffe, src/caffe/proto/caffe.proto) in
protobuf's wire format. Only names, types and values of layers are read, and
no field may claim more bytes than the message around it has.
"""

import math
import zipfile
from pathlib import Path

import numpy as np

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _wire

_LARGEST = 1 << 30  # bytes of an unpacked file, at most
_SUFFIX = ".caffemodel"
# Fields of NetParameter, and in it of a layer.
_LAYER, _OLD_LAYER = 100, 2
_FIELDS = {_LAYER: (1, 2, 7), _OLD_LAYER: (4, 5, 6)}  # name, type, blobs
_OLD_TYPES = {4: "Convolution", 14: "InnerProduct"}  # V1LayerParameter
# Fields of BlobProto.
_OLD_SHAPE = (1, 2, 3, 4)  # num, channels, height, width
_DATA, _SHAPE, _DOUBLES = 5, 7, 8

ROLES = {
    "Convolution": ("kernel", "bias"),
    "InnerProduct": ("kernel", "bias"),
    # yjxiong/caffe, src/caffe/layers/bn_layer.cpp: slope, bias, mean, and the
    # variance; before April 2016 1 / sqrt(variance + epsilon) in its place.
    "BN": ("gamma", "beta", "moving_mean", "spread"),
}


def read(path: Path) -> dict[str, np.ndarray]:
    """Read arrays by "layer.role", in Caffe's axis order, outputs first.

    Args:
        path: The .caffemodel file, or a .zip with one inside.

    Returns:
        A dict with keys such as "conv1/7x7_s2.kernel"; see `ROLES`.

    Raises:
        WeightsError: If it is not such a file, or a layer of an unknown
            type has values.
    """
    try:
        net = memoryview(_content(path))
        layers = [
            field for field in _wire.fields(net) if field.number in _FIELDS
        ]
        tensors: dict[str, np.ndarray] = {}
        for layer in layers:
            tensors |= _layer(layer, path)
    except (ValueError, OverflowError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"{path} is no .caffemodel file, or is damaged: {error}. "
            "Download or copy it again."
        ) from error
    if not tensors:
        raise WeightsError(f"{path} holds no layers with weights.")
    return tensors


def _content(path: Path) -> bytes:
    if path.suffix != ".zip":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = [
            i for i in archive.infolist() if i.filename.endswith(_SUFFIX)
        ]
        if len(members) != 1 or members[0].file_size > _LARGEST:
            raise ValueError(
                f"it must hold one {_SUFFIX} file of 1 GiB at most, and has "
                f"{[member.filename for member in members]}"
            )
        return archive.read(members[0])


def _layer(layer: _wire.Field, path: Path) -> dict[str, np.ndarray]:
    number_of = _FIELDS[layer.number]
    name, kind, blobs = "", "", []
    for field in _wire.fields(layer.data):
        if field.number == number_of[0]:
            name = bytes(field.data).decode()
        elif field.number == number_of[1]:
            kind = bytes(field.data).decode() or _OLD_TYPES.get(
                field.value, f"number {field.value}"
            )
        elif field.number == number_of[2]:
            blobs.append(_blob(field.data))
    if not blobs:
        return {}
    roles = ROLES.get(kind, ())
    if len(blobs) > len(roles):
        raise WeightsError(
            f"The layer {name!r} in {path} is of the type {kind} and has "
            f"{len(blobs)} arrays, whose meaning is not known here. Known "
            f"types: {', '.join(ROLES)}."
        )
    return {
        f"{name}.{role}": _in_shape(kind, role, blob)
        for role, blob in zip(roles, blobs, strict=False)
    }


def _in_shape(kind: str, role: str, blob: np.ndarray) -> np.ndarray:
    """Remove the leading axes of length one that old files have."""
    if role != "kernel":
        return blob.reshape(-1)
    return blob.reshape(blob.shape[-2:]) if kind == "InnerProduct" else blob


def _blob(data: memoryview) -> np.ndarray:
    """Return the values of a BlobProto in their shape."""
    parts: list[np.ndarray] = []
    old, shape = {}, None
    for field in _wire.fields(data):
        if field.number == _DATA:  # packed, or one value at a time
            parts.append(np.frombuffer(field.data, "<f4"))
        elif field.number == _DOUBLES:
            parts.append(np.frombuffer(field.data, "<f8").astype("f4"))
        elif field.number == _SHAPE:
            shape = _dimensions(field.data)
        elif field.number in _OLD_SHAPE:
            old[field.number] = field.value
    values = np.concatenate([*parts, np.empty(0, "f4")])
    if shape is None:
        shape = [old.get(number, 1) for number in _OLD_SHAPE]
    if math.prod(shape) != values.size:
        raise ValueError(f"{values.size} values for the shape {shape}")
    return values.reshape(shape)


def _dimensions(data: memoryview) -> list[int]:
    """Return the numbers of a BlobShape, packed or not."""
    sizes: list[int] = []
    for field in _wire.fields(data):
        if field.wire == _wire.VARINT:
            sizes.append(field.value)
            continue
        place = 0
        while place < len(field.data):
            value, place = _wire.varint(field.data, place)
            sizes.append(value)
    return sizes
