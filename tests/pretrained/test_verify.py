"""A file that passed its check is remembered until something changes."""

import os

import pytest

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _verify

OTHER = "0" * 64


def rewrite(path, body, seconds):
    """New bytes, last changed that much later than the old ones."""
    changed = path.stat().st_mtime_ns + int(seconds * 1e9)
    path.write_bytes(body)
    os.utime(path, ns=(changed, changed))


@pytest.fixture
def published(caches, tmp_path):
    """A file that has passed, and its hash."""
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"weights")
    expected = _verify.sha256_of(path)
    _verify.verify(path, expected, "")
    return path, expected


@pytest.mark.parametrize(
    ("body", "seconds"),
    [(b"WEIGHTS", 1), (b"weights and more", 0)],
    ids=["of the same size", "of the same time"],
)
def test_a_changed_file_is_checked_again(published, body, seconds):
    path, expected = published
    rewrite(path, body, seconds)
    with pytest.raises(WeightsError, match=f"expected sha256 {expected}"):
        _verify.verify(path, expected, "")


def test_another_expected_hash_is_checked_too(published):
    path, _ = published
    with pytest.raises(WeightsError, match=f"{OTHER}\n.*received(.|\n)*Pull"):
        _verify.verify(path, OTHER, "Pull it again.")


def test_a_file_that_failed_is_not_remembered(published):
    path, expected = published
    rewrite(path, b"WEIGHTS", 1)
    for _ in range(2):
        with pytest.raises(WeightsError, match="damaged or was replaced"):
            _verify.verify(path, expected, "")


def test_an_unchanged_file_is_not_read_again(published, monkeypatch):
    path, expected = published
    monkeypatch.setattr(_verify, "sha256_of", lambda path: "not asked")
    _verify.verify(path, expected, "")
