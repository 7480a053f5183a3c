"""Files of Caffe, MatConvNet, OpenMMLab, Cadene: read, and named our way."""

import zipfile

import numpy as np
import pytest
from foreign_weights import caffemodel, chain, dagnn, save_mat
from hypothesis import given
from hypothesis import strategies as st

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import (
    _caffe,
    _convert,
    _matconvnet,
    _readers,
    keymaps,
)

RNG = np.random.default_rng(0)


def values(*shape):
    return RNG.normal(size=shape).astype("float32")


# === Caffe ===

GOOGLENET = [
    ("conv1/7x7_s2", "Convolution", [values(4, 3, 7, 5), values(4)]),
    ("inception_3a/5x5_reduce", "Convolution", [values(2, 4, 1, 1)]),
    ("loss1/fc", "InnerProduct", [values(2, 2), values(2)]),
    ("loss3/classifier", "InnerProduct", [values(5, 4), values(5)]),
]


@pytest.mark.parametrize("old", [True, False], ids=["V1", "current"])
def test_both_generations_of_caffe_files(tmp_path, old):
    path = tmp_path / "net.caffemodel"
    layers = [*GOOGLENET, ("relu", "Convolution", [])]
    path.write_bytes(caffemodel(layers, old=old))
    tensors = _convert.canonical(_readers.read(path), "caffe")
    assert set(tensors) == {
        "conv1_7x7_s2.kernel",
        "conv1_7x7_s2.bias",
        "inception_3a_5x5_reduce.kernel",
        "head.kernel",
        "head.bias",
    }
    kernel, bias = GOOGLENET[0][2]
    np.testing.assert_array_equal(
        tensors["conv1_7x7_s2.kernel"], kernel.transpose(2, 3, 1, 0)
    )
    np.testing.assert_array_equal(tensors["conv1_7x7_s2.bias"], bias)
    head = GOOGLENET[-1][2][0]
    np.testing.assert_array_equal(tensors["head.kernel"], head.T)


def test_values_may_come_one_by_one(tmp_path):
    # Old writers do not pack repeated numbers: field 5, four bytes each.
    data = b"".join(b"\x2d" + np.float32(x).tobytes() for x in (1, 2, 3))
    shape = b"\x3a\x02\x08\x03"  # field 7, BlobShape: dim 3, not packed
    blob = shape + data
    layer = (
        b"\x0a\x01a\x12\x0bConvolution" + b"\x3a" + bytes([len(blob)]) + blob
    )
    path = tmp_path / "net.caffemodel"
    path.write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    tensors = _caffe.read(path)
    assert tensors["a.kernel"].tolist() == [1, 2, 3]


def test_sizes_that_an_old_file_leaves_out_are_one():
    # Field 2, channels: 3; field 5, the values.
    values = b"\x2a\x0c" + np.arange(3, dtype="<f4").tobytes()
    blob = _caffe._blob(memoryview(b"\x10\x03" + values))
    assert blob.shape == (1, 3, 1, 1)
    assert blob.ravel().tolist() == [0, 1, 2]


def bn_file(path, fourth):
    arrays = [values(1, 3) for _ in range(3)]
    layers = [
        ("conv2/3x3", "Convolution", [values(3, 3, 1, 1), values(3)]),
        ("conv2/3x3_bn", "BN", [*arrays, fourth.reshape(1, 3)]),
    ]
    path.write_bytes(caffemodel(layers))
    return _readers.read(path)


def test_the_row_says_what_a_normalisation_holds(tmp_path):
    variance = np.array([0.5, 1.0, 4.0], "float32")
    inverse = (variance + 1e-5) ** -0.5
    as_variance = bn_file(tmp_path / "a.caffemodel", variance)
    as_inverse = bn_file(tmp_path / "b.caffemodel.v5", inverse)
    for tensors, layout in (
        (as_variance, "caffe_variance"),
        (as_inverse, "caffe_inverse_std"),
    ):
        arrays = _convert.canonical(tensors, layout)
        assert set(arrays) == {
            "conv2_3x3.kernel", "conv2_3x3.bias", "conv2_3x3_bn.gamma",
            "conv2_3x3_bn.beta", "conv2_3x3_bn.moving_mean",
            "conv2_3x3_bn.moving_variance",
        }  # fmt: skip
        np.testing.assert_allclose(
            arrays["conv2_3x3_bn.moving_variance"], variance, rtol=1e-5
        )
    with pytest.raises(WeightsError, match="State it: layout='caffe_varia"):
        _convert.canonical(as_variance, "caffe")


def test_a_packed_file_is_read_where_it_is_the_only_one(tmp_path):
    path = tmp_path / "net.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/deploy.prototxt", "name: 'net'")
        archive.writestr("net/net.caffemodel", caffemodel(GOOGLENET))
    assert "conv1/7x7_s2.kernel" in _readers.read(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("net/other.caffemodel", caffemodel(GOOGLENET))
    with pytest.raises(WeightsError, match="must hold one .caffemodel file"):
        _readers.read(path)
    path.write_bytes(b"no archive")
    with pytest.raises(WeightsError, match="is no .caffemodel file"):
        _readers.read(path)


def test_an_unknown_layer_with_values_is_refused(tmp_path):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffemodel([("s", "Scale", [values(3)])]))
    with pytest.raises(WeightsError, match="'s' .* type Scale .* 1 arrays"):
        _caffe.read(path)


def test_a_shape_that_is_not_its_values_is_refused(tmp_path):
    path = tmp_path / "net.caffemodel"
    whole = caffemodel([("a", "Convolution", [values(2, 3)])])
    assert whole.count(b"\x02\x02\x03") == 1  # dim, packed
    path.write_bytes(whole.replace(b"\x02\x02\x03", b"\x02\x02\x7f"))
    with pytest.raises(WeightsError, match="6 values for the shape"):
        _caffe.read(path)


@given(st.integers(0, 400), st.integers(0, 255), st.integers(0, 400))
def test_damaged_caffe_files_end_in_our_error(place, byte, length):
    whole = caffemodel(GOOGLENET[:2])
    data = bytearray(whole)
    data[place % len(data)] = byte

    class File:
        suffix = ".caffemodel"

        def read_bytes(self):
            return bytes(data[: len(data) - length])

    try:
        _caffe.read(File())
    except WeightsError as error:
        assert str(error)


# === MatConvNet ===


def conv_bn(name, inputs, outputs, kind="dagnn.Conv", taps=(1, 1)):
    """A convolution and its normalisation, under import-caffe.py's names."""
    norm = name.replace("res", "bn")
    return [
        (name, kind, {f"{name}_filter": values(*taps, inputs, outputs)}),
        (
            norm,
            "dagnn.BatchNorm",
            {
                f"{norm}_mult": values(outputs, 1),
                f"{norm}_bias": values(outputs, 1),
                f"{norm}_moments": np.abs(values(outputs, 2)) + 0.5,
            },
        ),
    ]


def test_a_dagnn_under_our_names(tmp_path):
    layers = [
        *conv_bn("res2a_branch2a_spatial", 3, 4),
        *conv_bn(
            "res2b_branch2a_temporal", 4, 5, "dagnn.ConvTime", taps=(1, 3)
        ),
        ("res2a_relu_spatial", "dagnn.ReLU", {}),
        (
            "prediction_spatial",
            "dagnn.Conv",
            {
                "fc1000_filter_spatial": values(1, 1, 4, 7),
                "fc1000_bias_spatial": values(7, 1),
            },
        ),
    ]
    for wrapped in (True, False):
        path = tmp_path / "net.mat"
        save_mat(path, dagnn(layers), wrapped=wrapped)
        tensors = _convert.canonical(_readers.read(path), "matconvnet")
        assert {key: array.shape for key, array in tensors.items()} == {
            "rgb_res2a_branch2a.kernel": (1, 1, 3, 4),
            "rgb_bn2a_branch2a.gamma": (4,),
            "rgb_bn2a_branch2a.beta": (4,),
            "rgb_bn2a_branch2a.moving_mean": (4,),
            "rgb_bn2a_branch2a.moving_variance": (4,),
            "flow_res2b_branch2a.kernel": (3, 1, 1, 4, 5),
            "flow_bn2b_branch2a.gamma": (5,),
            "flow_bn2b_branch2a.beta": (5,),
            "flow_bn2b_branch2a.moving_mean": (5,),
            "flow_bn2b_branch2a.moving_variance": (5,),
            "rgb_head.kernel": (1, 1, 4, 7),
            "rgb_head.bias": (7,),
        }
    time = layers[2][2]["res2b_branch2a_temporal_filter"]
    np.testing.assert_array_equal(
        tensors["flow_res2b_branch2a.kernel"][:, 0, 0], time[0]
    )


def test_moments_are_means_and_standard_deviations(tmp_path):
    # vl_nnbnorm.m: sigma(k) = sqrt(sigma2(k) + EPSILON), epsilon inside.
    variance = np.array([0.25, 1.0, 9.0])
    moments = np.stack([[1, 2, 3], np.sqrt(variance + 1e-5)], axis=1)
    layers = conv_bn("bn9", 3, 3)[1:]
    layers[0][2]["bn9_moments"] = moments.astype("float32")
    save_mat(tmp_path / "net.mat", dagnn(layers))
    tensors = _convert.canonical(
        _readers.read(tmp_path / "net.mat"), "matconvnet"
    )
    np.testing.assert_allclose(
        tensors["bn9.moving_variance"], variance, rtol=1e-5
    )
    np.testing.assert_array_equal(tensors["bn9.moving_mean"], [1, 2, 3])


def test_a_channel_that_never_varies_is_no_damage():
    """Dead filters, as ResNets have them, in single precision."""
    deviation = np.sqrt(np.float32(1e-5))
    moments = np.array([[0.5, deviation], [0.5, 0.0]], "float32")
    tensors = keymaps.finish({"bn9.moments": moments})
    still, damaged = tensors["bn9.moving_variance"]
    assert still == 0 and damaged < 0
    tensors = keymaps.with_inverse_stds({"bn9.spread": 1 / deviation[None]})
    assert tensors["bn9.moving_variance"] == 0


def test_a_bias_and_a_scale_of_caffe_go_into_the_normalisation(tmp_path):
    """conv + bias, (x - mean) / sigma, then mult and bias of a Scale."""
    layers = [
        (
            "conv1",
            "dagnn.Conv",
            {"conv1_filter": values(7, 7, 3, 4), "conv1_bias": values(4, 1)},
        ),
        (
            "bn_conv1",
            "dagnn.BatchNorm",
            {
                "m": np.ones((4, 1), "float32") * 2,
                "b": values(4, 1),
                "o": np.abs(values(4, 2)) + 1,
            },
        ),
        (
            "scale_conv1",
            "dagnn.Scale",
            {"f": values(1, 1, 4), "g": values(1, 1, 4)},
        ),
    ]
    save_mat(tmp_path / "net.mat", dagnn(layers))
    tensors = _convert.canonical(
        _readers.read(tmp_path / "net.mat"), "matconvnet"
    )
    params = layers[1][2] | layers[2][2]
    x = values(4)
    mean, sigma = params["o"].T
    theirs = x + layers[0][2]["conv1_bias"].ravel()
    theirs = (theirs - mean) / sigma * 2 + params["b"].ravel()
    theirs = theirs * params["f"].ravel() + params["g"].ravel()
    ours = (x - tensors["bn_conv1.moving_mean"]) / np.sqrt(
        tensors["bn_conv1.moving_variance"] + 1e-5
    ) * tensors["bn_conv1.gamma"] + tensors["bn_conv1.beta"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert set(tensors) == {
        "conv1.kernel", "bn_conv1.gamma", "bn_conv1.beta",
        "bn_conv1.moving_mean", "bn_conv1.moving_variance",
    }  # fmt: skip


def test_a_matconvnet_file_may_be_a_chain_of_layers(tmp_path):
    layers = [
        ("conv1_1", "conv", [values(3, 3, 3, 2), values(2, 1)]),
        ("relu1_1", "relu", []),
        ("fc8", "conv", [values(1, 1, 2, 1), values(1, 1)]),
    ]
    save_mat(tmp_path / "net.mat", chain(layers), wrapped=False)
    tensors = _convert.canonical(
        _readers.read(tmp_path / "net.mat"), "matconvnet"
    )
    assert {key: array.shape for key, array in tensors.items()} == {
        "conv1_1.kernel": (3, 3, 3, 2),
        "conv1_1.bias": (2,),
        "head.kernel": (1, 1, 2, 1),  # MATLAB keeps no last axis of one
        "head.bias": (1,),
    }


def test_temporal_layers_of_the_multiplier():
    # STMulNet.m: [net.layers(i).name '_Time'], of the ReLU after branch2b.
    names = keymaps.matconvnet(
        [f"res{stage}b_branch2b_relu_{stream}_Time.time_kernel"
         for stage in (2, 5) for stream in ("spatial", "temporal")]
    )  # fmt: skip
    assert list(names.values()) == [
        "rgb_res2b_temporal.time_kernel",
        "flow_res2b_temporal.time_kernel",
        "rgb_res5b_temporal.time_kernel",
        "flow_res5b_temporal.time_kernel",
    ]


def test_an_unknown_class_with_parameters_is_refused(tmp_path):
    layers = [("up", "dagnn.ConvTranspose", {"up_f": values(2, 2, 1, 2)})]
    save_mat(tmp_path / "net.mat", dagnn(layers))
    with pytest.raises(WeightsError, match="'up' .*class dagnn.ConvTranspose"):
        _matconvnet.read(tmp_path / "net.mat")


@pytest.mark.parametrize("body", [b"", b"MATLAB 7.3 MAT-file", b"PK\x03\x04"])
def test_other_files_are_no_networks(tmp_path, body):
    path = tmp_path / "net.mat"
    path.write_bytes(body.ljust(200, b" "))
    with pytest.raises(WeightsError, match="no network of MatConvNet"):
        _matconvnet.read(path)


def test_matlabs_hdf5_form_is_named(tmp_path):
    path = tmp_path / "net.mat"
    # The header of 128 bytes ends in the version, 2.0, and the byte order.
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    with pytest.raises(WeightsError, match=r"version 7\.3, which is HDF5"):
        _matconvnet.read(path)


# === PyTorch's names ===


def test_names_of_openmmlabs_c3d():
    keys = ["backbone.conv1a.conv.weight", "backbone.fc6.bias",
            "conv5b.conv.bias", "cls_head.fc_cls.weight"]  # fmt: skip
    assert list(keymaps.mmaction_c3d(keys).values()) == [
        "conv1a.kernel", "fc6.bias", "head.kernel", "conv5b.bias",
    ]  # fmt: skip
    with pytest.raises(WeightsError, match="no key of mmaction2's C3D"):
        keymaps.mmaction_c3d(["backbone.conv9a.conv.weight"])


def test_cadene_calls_the_head_otherwise():
    names = keymaps.tsn(["conv1_7x7_s2.weight", "last_linear.weight"])
    assert set(names.values()) == {"conv1_7x7_s2.kernel", "head.kernel"}


def test_fc6_of_c3d_follows_a_flattened_clip():
    volume = values(3, 512 * 16)
    tensors = _convert.canonical({"fc6.weight": volume}, "mmaction_c3d")
    # PyTorch flattens (C, T, H, W), we flatten (T, H, W, C).
    theirs = volume.reshape(3, 512, 1, 4, 4)
    np.testing.assert_array_equal(
        tensors["fc6.kernel"].reshape(-1, 3).T,
        theirs.transpose(0, 2, 3, 4, 1).reshape(3, -1),
    )
