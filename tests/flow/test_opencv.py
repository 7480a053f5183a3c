"""OpenCV: its absence, explained, and its limits, worked around."""

import sys

import numpy as np
import pytest

from keras_twostream._opencv import import_opencv
from keras_twostream.errors import MissingLibraryError
from keras_twostream.flow import compute


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


@pytest.mark.parametrize("preset", ["ultrafast", "medium"])
@pytest.mark.parametrize("size", [(4, 4), (8, 200), (15, 40), (31, 256)])
def test_narrow_frames_have_flow(preset, size):
    noise = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
    frames = np.repeat(noise, 2, axis=0)
    flow = compute(frames, "dis", preset=preset)
    assert flow.shape == (1, *size, 2)
    np.testing.assert_allclose(flow, 0, atol=0.1)
