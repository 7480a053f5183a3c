"""Weight files as Caffe and MatConvNet write them, by others' libraries.

Caffe's through Google's protobuf, whose messages are declared here as in
BVLC/caffe, src/caffe/proto/caffe.proto; MatConvNet's through SciPy, in the
structure of vlfeat/matconvnet, matlab/+dagnn/@DagNN/saveobj.m.
"""

import functools

import numpy as np
import scipy.io

_KINDS = {"Convolution": 4, "InnerProduct": 14}  # V1LayerParameter.LayerType
# name: (number, type, repeated)
_MESSAGES = {
    "BlobShape": {"dim": (1, "int64", True)},
    "BlobProto": {
        "shape": (7, "BlobShape", False),
        "data": (5, "float", True),
        "num": (1, "int32", False),
        "channels": (2, "int32", False),
        "height": (3, "int32", False),
        "width": (4, "int32", False),
    },
    "LayerParameter": {
        "name": (1, "string", False),
        "type": (2, "string", False),
        "blobs": (7, "BlobProto", True),
    },
    "V1LayerParameter": {
        "name": (4, "string", False),
        "type": (5, "int32", False),
        "blobs": (6, "BlobProto", True),
    },
    "NetParameter": {
        "name": (1, "string", False),
        "layer": (100, "LayerParameter", True),
        "layers": (2, "V1LayerParameter", True),
        "force_backward": (5, "bool", False),
    },
}


@functools.cache
def _classes():
    """Classes of protobuf's for the messages above."""
    from google.protobuf import (
        descriptor_pb2,
        descriptor_pool,
        message_factory,
    )

    field_kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="c.proto", package="caffe")
    for message, fields in _MESSAGES.items():
        declared = file.message_type.add(name=message)
        for name, (number, kind, repeated) in fields.items():
            field = declared.field.add(name=name, number=number)
            field.label = 3 if repeated else 1
            if kind in _MESSAGES:
                field.type, field.type_name = 11, f".caffe.{kind}"
            else:
                field.type = getattr(field_kind, f"TYPE_{kind.upper()}")
            field.options.packed = repeated and kind in ("float", "int64")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"caffe.{name}")
        )
        for name in _MESSAGES
    }


def caffemodel(layers, *, old=False):
    """The bytes of a .caffemodel.

    Args:
        layers: (name, type, arrays in Caffe's order) of each layer.
        old: Write the first generation: `layers`, four axes, numbered types.
    """
    net = _classes()["NetParameter"](name="net", force_backward=True)
    for name, kind, arrays in layers:
        layer = net.layers.add() if old else net.layer.add()
        layer.name, layer.type = name, _KINDS[kind] if old else kind
        for array in arrays:
            blob = layer.blobs.add()
            blob.data.extend(np.ravel(array).tolist())
            if old:
                axes = (1,) * (4 - np.ndim(array)) + np.shape(array)
                blob.num, blob.channels, blob.height, blob.width = axes
            else:
                blob.shape.dim.extend(np.shape(array))
    return net.SerializeToString()


def dagnn(layers, **meta):
    """The value of `net` in a .mat file.

    Args:
        layers: (name, class, {parameter's name: value}) of each layer.
        **meta: Fields of `net.meta`.
    """
    values = {}
    for _, _, params in layers:
        values |= params
    return {
        "vars": _structs([{"name": "input", "precious": False}]),
        "params": _structs(
            [
                {
                    "name": name,
                    "value": value,
                    "learningRate": 1.0,
                    "weightDecay": 1.0,
                }
                for name, value in values.items()
            ]
        ),
        "layers": _structs(
            [
                {
                    "name": name,
                    "type": kind,
                    "inputs": _cells(["x"]),
                    "outputs": _cells([name]),
                    "params": _cells(list(params)),
                    "block": {"opts": _cells(["cuDNN"])},
                }
                for name, kind, params in layers
            ]
        ),
        "meta": meta or {"normalization": {"averageImage": np.zeros((1, 1))}},
    }


def chain(layers):
    """A plain chain (vl_simplenn): (name, type, weights) of each layer."""
    cells = np.empty((1, len(layers)), object)
    for place, (name, kind, weights) in enumerate(layers):
        layer = {"name": name, "type": kind}
        if weights:
            layer["weights"] = _cells(weights)
        cells[0, place] = layer
    return {"layers": cells}


def save_mat(path, net, *, wrapped=True):
    """Write a network, in the field `net` or as the file itself."""
    scipy.io.savemat(path, {"net": net} if wrapped else net)


def _cells(values):
    cells = np.empty((1, len(values)), object)
    cells[0, :] = values
    return cells


def _structs(rows):
    """A struct array of one row, MATLAB's 1 x N."""
    array = np.empty((1, len(rows)), [(name, object) for name in rows[0]])
    for place, row in enumerate(rows):
        array[0, place] = tuple(row.values())
    return array
