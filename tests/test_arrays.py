"""Arrays from damaged and forged files: read, or an error that names them."""

import io
import random
import struct
import zipfile
import zlib

import numpy as np
import pytest
import scipy.io
from damage import damaged

from keras_twostream import _arrays
from keras_twostream.errors import SpecError, WeightsError


@pytest.fixture
def path(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(6.0), b=np.ones((2, 3), "f4"))
    return tmp_path / "a.npz"


def test_whole_arrays_come_back(path):
    tensors = _arrays.read_arrays(path, WeightsError)
    assert tensors["a"].tolist() == [0, 1, 2, 3, 4, 5] and len(tensors) == 2


def test_every_damaged_file_is_read_or_refused(path):
    rng, whole, refused = random.Random(0), path.read_bytes(), 0
    for _ in range(200):
        path.write_bytes(damaged(whole, rng))
        try:
            _arrays.read_arrays(path, WeightsError)
        except WeightsError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 100


def test_pickled_objects_are_not_read(path):
    np.savez(path, a=np.array([{}], object))
    with pytest.raises(SpecError, match="a.npz cannot be read"):
        _arrays.read_arrays(path, SpecError)


def test_a_missing_file_is_named_with_the_advice(tmp_path):
    with pytest.raises(SpecError, match="none.npz cannot be .* Go home."):
        _arrays.read_arrays(tmp_path / "none.npz", SpecError, "Go home.")


def test_a_bomb_is_refused_before_it_is_unpacked(path, monkeypatch):
    file = io.BytesIO()
    np.save(file, np.zeros(2**26 // 8 + 10**6))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", file.getvalue())
    with pytest.raises(SpecError, match="unpack to 75 MB, more than 67 MB"):
        _arrays.read_arrays(path, SpecError)
    monkeypatch.setenv(_arrays.ARRAYS_LIMIT, "1050")
    assert len(_arrays.read_arrays(path, SpecError)) == 1
    monkeypatch.setenv(_arrays.ARRAYS_LIMIT, "many")
    with pytest.raises(SpecError, match="must be a number above 0.*'many'"):
        _arrays.read_arrays(path, SpecError)


def test_arrays_of_a_bomb_are_counted_together(path):
    zeros = np.zeros(5_000_000)  # 40 MB, which one array may have
    np.savez_compressed(path, a=zeros, b=zeros)
    with pytest.raises(SpecError, match="unpack to 80 MB, more than 67 MB"):
        _arrays.read_arrays(path, SpecError)


def test_an_error_that_names_the_file_is_not_wrapped(path):
    with pytest.raises(SpecError) as refused:
        with _arrays.whole(path, WeightsError, "Go home."):
            raise SpecError(f"{path} has no classes.")
    assert str(refused.value) == f"{path} has no classes."


def test_matlab_s_variables_come_back(tmp_path):
    for packed in (False, True):
        path = tmp_path / f"{packed}.mat"
        scipy.io.savemat(path, {"a": np.arange(4.0)}, do_compression=packed)
        assert _arrays.read_matlab(path, SpecError)["a"].tolist() == [
            [0, 1, 2, 3]
        ]


def test_a_bomb_of_matlab_is_refused_before_it_is_unpacked(
    tmp_path, monkeypatch
):
    path = tmp_path / "bomb.mat"
    zeros = np.zeros((80, 1_000_000), np.uint8)
    scipy.io.savemat(path, {"a": zeros}, do_compression=True)
    assert path.stat().st_size < 200_000
    monkeypatch.setattr(scipy.io, "loadmat", lambda path: pytest.fail("read"))
    with pytest.raises(SpecError, match="bomb.mat would unpack to .* 67 MB"):
        _arrays.read_matlab(path, SpecError)
    monkeypatch.setenv(_arrays.ARRAYS_LIMIT, "2000")
    monkeypatch.setattr(scipy.io, "loadmat", lambda path: {"a": 1})
    assert _arrays.read_matlab(path, SpecError) == {"a": 1}


def test_a_bomb_of_a_big_endian_matlab_is_refused(tmp_path, monkeypatch):
    body = zlib.compress(bytes(80_000_000), 9)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"
    path = tmp_path / "bomb.mat"
    path.write_bytes(head + struct.pack(">II", 15, len(body)) + body)
    monkeypatch.setattr(scipy.io, "loadmat", lambda path: pytest.fail("read"))
    with pytest.raises(SpecError, match="bomb.mat would unpack to"):
        _arrays.read_matlab(path, SpecError)
