"""OpenCV's absence, explained."""

import sys

import pytest

from keras_twostream._opencv import import_opencv
from keras_twostream.errors import MissingLibraryError


def _fake_opencv(monkeypatch, folder, source):
    (folder / "cv2.py").write_text(source)
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    monkeypatch.syspath_prepend(folder)


def test_missing_system_library_says_what_to_install(monkeypatch, tmp_path):
    _fake_opencv(
        monkeypatch,
        tmp_path,
        'raise ImportError("libGL.so.1: cannot open shared object file")',
    )
    with pytest.raises(
        MissingLibraryError,
        match=r"libGL\.so\.1.*apt-get install libgl1 libglib2\.0-0",
    ):
        import_opencv()


def test_missing_opencv_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingLibraryError, match="pip install opencv-python"):
        import_opencv()
