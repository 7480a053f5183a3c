"""Checkpoints that TensorFlow wrote, read without it."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _tf_checkpoint
from keras_twostream.pretrained._crc32c import _TABLE, crc32c

DTYPES = "float16 float32 float64 bfloat16 bool uint8 int8 int16 int32 int64"


def written(folder, tensors):
    """Save tensors by name; the path of their index."""
    tf.raw_ops.SaveV2(
        prefix=str(folder / "net"),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )
    return folder / "net.index"


@pytest.fixture
def small(tmp_path):
    kernel = np.arange(6, dtype="float32").reshape(2, 3)
    tensors = {"conv/kernel": kernel, "conv/bias": np.float32([1, -1])}
    return written(tmp_path, tensors)


def data_of(index):
    return index.with_name("net.data-00000-of-00001")


def test_every_tensor_is_what_tensorflow_reads(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {
        name: tf.cast(rng.integers(0, 99, (3, 1, 2)), name)
        for name in DTYPES.split()
    }
    tensors |= {
        "scalar": tf.constant(3.5),
        "empty": tf.zeros((0, 4)),
        "wide": tf.constant(rng.normal(size=(70, 333))),
    }
    # Names that share beginnings, in more than one block of the table.
    tensors |= {
        f"{number % 7}/{rng.bytes(400).hex()}": tf.constant(number)
        for number in range(350)
    }
    index = written(tmp_path, tensors)
    assert index.stat().st_size > 1 << 18
    reader = tf.train.load_checkpoint(str(tmp_path / "net"))
    arrays = _tf_checkpoint.read(index)
    assert set(arrays) == set(reader.get_variable_to_shape_map())
    for name, array in arrays.items():
        expected = reader.get_tensor(name)
        assert array.dtype == expected.dtype, name
        np.testing.assert_array_equal(array, expected)


def test_a_checkpoint_of_keras_objects_is_its_numbers(tmp_path):
    values = {"scores": tf.Variable([1.0, 2.0])}
    tf.train.Checkpoint(**values).write(str(tmp_path / "net"))
    (result,) = _tf_checkpoint.read(tmp_path / "net.index").values()
    assert result.tolist() == [1, 2]
    result += 1  # as other readers' arrays allow


@given(st.binary(max_size=300))
def test_checksums_are_those_of_a_loop(content):
    state = 0xFFFFFFFF
    for byte in content:
        state = int(_TABLE[(state ^ byte) & 255]) ^ state >> 8
    assert crc32c(content) == state ^ 0xFFFFFFFF


def test_the_checksum_is_castagnoli_s():
    assert crc32c(b"123456789") == 0xE3069283
    # RFC 3720, appendix B.4, and more than one chunk.
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    content = bytearray(5 << 20)
    whole = crc32c(content)
    content[9 << 19] = 1
    assert crc32c(content) != whole


def test_a_flipped_bit_anywhere_in_the_data_is_seen(small):
    whole = data_of(small).read_bytes()
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= 1 << place % 8
        data_of(small).write_bytes(broken)
        with pytest.raises(WeightsError, match="is damaged: the bytes of conv"):
            _tf_checkpoint.read(small)


def test_a_damaged_index_is_refused_or_read_as_it_was(small):
    expected = _tf_checkpoint.read(small)
    whole, refused = small.read_bytes(), 0
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= 0x41
        small.write_bytes(broken)
        try:
            np.testing.assert_equal(_tf_checkpoint.read(small), expected)
        except WeightsError as error:
            assert "is damaged" in str(error)
            refused += 1
    assert refused > len(whole) / 2  # the rest is of no meaning to a reader


@pytest.mark.parametrize("missing", [1, 10, 60])
def test_an_index_that_is_cut_off_is_refused(small, missing):
    small.write_bytes(small.read_bytes()[:-missing])
    with pytest.raises(WeightsError, match="does not end as one"):
        _tf_checkpoint.read(small)


def test_data_that_is_cut_off_is_damaged(small):
    for length in (0, 3, data_of(small).stat().st_size - 1):
        data_of(small).write_bytes(data_of(small).read_bytes()[:length])
        with pytest.raises(WeightsError, match="beyond the end of its data"):
            _tf_checkpoint.read(small)


def test_a_checkpoint_without_its_data_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"net.data-00000-of-00001"):
        _tf_checkpoint.read(tmp_path / "net.index")


def test_variables_in_slices_are_refused_by_name(tmp_path):
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "net"),
        tensor_names=["table"],
        shape_and_slices=["4 2 0,2:-"],
        tensors=[tf.ones((2, 2))],
    )
    with pytest.raises(WeightsError, match="table is kept in slices"):
        _tf_checkpoint.read(tmp_path / "net.index")
