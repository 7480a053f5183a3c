"""Pickles and PyTorch files, read without Python's unpickler."""

import collections
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_twostream.errors import SpecError, WeightsError
from keras_twostream.pretrained import _pickles, _readers, _torch_pickles
from keras_twostream.pretrained import read_pickle as read

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner)
    ),
    max_leaves=10,
)


@given(plain, st.sampled_from(PROTOCOLS))
def test_plain_values_come_back(value, protocol):
    assert read(pickle.dumps(value, protocol)) == value


@given(st.sets(st.integers()), st.sampled_from(PROTOCOLS))
def test_sets_come_back(value, protocol):
    assert read(pickle.dumps(value, protocol)) == value
    if protocol >= 4:  # before, pickles call `frozenset`
        frozen = frozenset(value)
        assert read(pickle.dumps(frozen, protocol)) == frozen


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "dtype", "f2 <f4 >f4 f8 i1 <i2 >i8 u1 u8 ? c8 S3 U2".split()
)
def test_arrays_come_back(protocol, dtype):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 9, (3, 4)).astype(dtype)
    for stored in (array, array.T, array[:0], array[1, 1]):
        tensors = read(pickle.dumps([stored, stored], protocol))
        assert tensors[0].dtype == stored.dtype
        np.testing.assert_array_equal(tensors[0], stored)
        np.testing.assert_array_equal(tensors[1], stored)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_of_objects_come_from_their_list(protocol):
    array = np.empty((2, 2), object)
    for place in np.ndindex(2, 2):
        array[place] = np.full(place, 1.0)
    tensors = read(pickle.dumps(array, protocol))
    assert [x.shape for x in tensors.ravel()] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]


def test_an_ordered_dict_keeps_its_order_and_loses_attributes():
    value = collections.OrderedDict([("b", 1), ("a", 2)])
    value._metadata = {"version": 1}
    for protocol in PROTOCOLS:
        assert list(read(pickle.dumps(value, protocol)).items()) == [
            ("b", 1),
            ("a", 2),
        ]


# === Malice ===


def test_forged_addresses_are_refused(shared):
    data = (shared.parent / "faults" / "forged_O_4.pkl").read_bytes()
    with pytest.raises(SpecError, match="would be taken for addresses"):
        read(data)


class _Evil:
    def __init__(self, call, *arguments):
        self.reduced = call, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_runs_no_function(tmp_path, protocol):
    trap = tmp_path / "trap"
    with pytest.raises(SpecError, match=r"asks for (posix|nt)\.mkdir, which"):
        read(pickle.dumps([_Evil(os.mkdir, str(trap))], protocol))
    assert not trap.exists()


def doubled(times):
    """Return nested lists, each of which holds the next one twice."""
    value = [0]
    for _ in range(times):
        value = [value, value]
    return value


def own_child():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value", [doubled(40), own_child()], ids=["doubled", "circular"]
)
def test_endless_values_are_refused(value):
    with pytest.raises(SpecError, match="repeats or nests its values"):
        read(pickle.dumps(value))


def test_endless_keys_are_refused_like_endless_values():
    key = (0,)
    for _ in range(20):  # hashing walks them all: 40 would take for ever
        key = (key, key)
    with pytest.raises(SpecError, match="repeats or nests its values"):
        read(pickle.dumps({key: 1}))


@pytest.mark.parametrize(
    "data",
    [
        b"Nr" + struct.pack("<I", 2**32 - 1) + b".",  # a place in memory
        b"\x80\x05\x96" + struct.pack("<Q", 2**60) + b"x.",  # a length
        b"\x8b" + struct.pack("<I", 2**31 - 1) + b"1.",
        b"(" * 10_000 + b".",
    ],
)
def test_large_numbers_in_small_files_take_no_memory(data):
    import tracemalloc

    tracemalloc.start()
    try:
        read(data)
    except SpecError as error:
        assert str(error)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def forged_array(shape, dtype, data):
    """The pickle of an array with a state of our own making."""
    whole = pickle.dumps(np.zeros(3, "f4"), 4)
    assert b"K\x03\x85" in whole  # the shape, (3,)
    assert b"\x8c\x02f4" in whole
    whole = whole.replace(b"K\x03\x85", pickle.dumps(shape, 2)[2:-1])
    code = b"\x8c" + bytes([len(dtype)]) + dtype.encode()
    assert b"C\x0c" + bytes(12) in whole
    bytes_of = b"C" + bytes([len(data)]) + data
    whole = whole.replace(b"C\x0c" + bytes(12), bytes_of)
    # Without the frame, whose length is no longer right.
    return whole[:2] + whole[11:].replace(b"\x8c\x02f4", code)


@pytest.mark.parametrize(
    ("shape", "dtype", "data", "message"),
    [
        ((3,), "f4", bytes(8), "3 elements and comes with 2"),
        ((2**40,), "f4", bytes(12), "comes with 3"),
        ((-3,), "f4", bytes(12), "comes with 3"),
        ((-1, -3), "f4", bytes(12), "comes with 3"),
        ((3,), "f4", bytes(13), "no whole number"),
        ((3,), "M8", bytes(24), "of the kind 'M8'"),
        ((3,), "V4", bytes(12), "of the kind 'V4'"),
        ((3,), "O", bytes(24), "taken for addresses"),
        ((3,), "U0", b"", "no whole number"),
    ],
)
def test_forged_arrays_are_refused(shape, dtype, data, message):
    with pytest.raises(SpecError, match=message):
        read(forged_array(shape, dtype, data))


def test_the_forger_can_write_a_true_array():
    data = np.arange(3, dtype="f4").tobytes()
    assert read(forged_array((3,), "f4", data)).tolist() == [0, 1, 2]


@given(st.binary(max_size=60))
def test_any_bytes_end_in_our_error(data):
    try:
        read(data)
    except SpecError as error:
        assert str(error)


SAMPLE = pickle.dumps(
    [{"scores": np.ones((2, 3), "f4"), "label": np.int64(1)}, "text", (1, {})]
)


@given(
    st.integers(0, len(SAMPLE) - 1), st.integers(0, 255), st.binary(max_size=3)
)
def test_a_changed_pickle_ends_in_our_error(place, byte, more):
    data = bytearray(SAMPLE)
    data[place : place + 1] = bytes([byte]) + more
    try:
        read(bytes(data))
    except SpecError as error:
        assert str(error)


# === PyTorch ===


def state_of(torch):
    """Tensors of every kind, some of which share a storage."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    return collections.OrderedDict(
        whole=base,
        turned=base.t(),
        part=base[1:, ::2],
        scalar=torch.tensor(7),
        empty=torch.zeros(0, 3),
        half=base.half(),
        brain=base.to(torch.bfloat16),
        double=base.double(),
        small=torch.arange(-3, 3, dtype=torch.int8),
        flags=base > 5,
        parameter=torch.nn.Parameter(base + 1),
    )


@pytest.fixture(params=[True, False], ids=["zip", "stream"])
def torch_file(request, tmp_path):
    """A checkpoint with more than tensors, in either form, and its tensors."""
    torch = pytest.importorskip("torch")
    state, path = state_of(torch), tmp_path / "net.pth.tar"
    torch.save(
        {"epoch": 80, "arch": "any", "meta": [None], "state_dict": state},
        path,
        _use_new_zipfile_serialization=request.param,
    )
    return path, state


def test_our_reader_reads_what_pytorch_wrote(torch_file, monkeypatch):
    path, state = torch_file
    theirs = _readers.read(path)
    monkeypatch.setattr(_readers.importlib.util, "find_spec", lambda name: None)
    ours = _readers.read(path)
    assert ours.keys() == theirs.keys() == state.keys()
    for key, tensor in state.items():
        assert ours[key].dtype == theirs[key].dtype
        np.testing.assert_array_equal(ours[key], theirs[key])
        np.testing.assert_array_equal(ours[key], tensor.detach().float())


def test_a_torch_file_that_runs_something_is_refused(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    trap, path = tmp_path / "trap", tmp_path / "evil.pth"
    for zipped in (True, False):
        torch.save(
            _Evil(os.mkdir, str(trap)),
            path,
            _use_new_zipfile_serialization=zipped,
        )
        with pytest.raises(WeightsError, match="that hold code are never"):
            _readers.read(path)
        monkeypatch.setattr(
            _readers.importlib.util, "find_spec", lambda name: None
        )
        with pytest.raises(WeightsError, match=r"\.mkdir, which plain data"):
            _readers.read(path)
        monkeypatch.undo()
    assert not trap.exists()


@pytest.mark.parametrize(
    ("size", "stride", "offset", "message"),
    [
        ((9, 9), (0, 0), 0, "larger than its storage"),
        ((2, 2), (2, 1), 2, "reaches beyond its storage"),
        ((2, 2), (2, 1), 1, "reaches beyond its storage"),
        ((2,), (-1,), 3, "larger than its storage"),
        ((2,), (1,), -1, "larger than its storage"),
    ],
)
def test_a_tensor_stays_inside_its_storage(size, stride, offset, message):
    with pytest.raises(SpecError, match=message):
        _torch_pickles._tensor(np.arange(4.0), offset, size, stride)


def ours(path):
    return _torch_pickles.read_torch(path, _pickles.RULES)


def test_a_compressed_archive_is_refused(torch_file, tmp_path):
    path, _ = torch_file
    packed = tmp_path / "packed.pth"
    if not zipfile.is_zipfile(path):
        pytest.skip("the older form is no archive")
    with (
        zipfile.ZipFile(path) as archive,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as again,
    ):
        for name in archive.namelist():
            again.writestr(name, archive.read(name))
    with pytest.raises(SpecError, match=r"is compressed"):
        ours(packed)


@pytest.mark.parametrize("suffix", ["pth", "mat", "caffemodel", "index"])
def test_a_pipe_is_no_file_of_weights(tmp_path, suffix):
    pipe = tmp_path / f"net.{suffix}"
    os.mkfifo(pipe)
    with pytest.raises(WeightsError, match="is no regular file"):
        _readers.read(pipe)


@pytest.mark.parametrize("body", [b"", b"not a file of torch", b"\x80\x02K."])
def test_other_files_are_refused(tmp_path, body):
    path = tmp_path / "net.pth"
    path.write_bytes(body)
    with pytest.raises(WeightsError, match="no PyTorch file of tensors alone"):
        _readers.read(path)
    with pytest.raises(SpecError):
        ours(path)


def test_a_damaged_torch_file_ends_in_our_error(torch_file):
    path, _ = torch_file
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, min(len(whole), 1_500), 150):
        data = bytearray(whole)
        data[place] ^= int(rng.integers(1, 256))
        path.write_bytes(data)
        try:
            ours(path)
        except SpecError as error:
            assert str(error)


def test_a_file_that_is_cut_off_is_refused(torch_file):
    path, _ = torch_file
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 97):
        path.write_bytes(whole[:length])
        with pytest.raises(SpecError):
            ours(path)


def test_tensors_inside_a_pickle(tmp_path):
    torch = pytest.importorskip("torch")
    tensor = torch.tensor([[0.2, 0.8, 0.0], [0.9, 0.0, 0.1]])
    rows = {"scores": tensor, "column": tensor.t()[0], "half": tensor.half()}
    file = io.BytesIO()
    pickle.dump(rows, file)
    tensors = read(file.getvalue())
    for key, value in rows.items():
        np.testing.assert_array_equal(tensors[key], value)
