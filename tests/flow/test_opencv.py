"""OpenCV: its absence, explained, and its limits, worked around."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_twostream._opencv import cv2, import_opencv
from keras_twostream.errors import MissingLibraryError
from keras_twostream.flow import _opencv_flow, compute
from keras_twostream.flow._opencv_flow import DIS_PRESETS


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


def test_farneback_weighs_its_window_by_a_gaussian_where_asked():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 255, (2, 32, 48), np.uint8)
    options = (None, 0.5, 5, 15, 3, 5, 1.2)
    wanted = cv2.calcOpticalFlowFarneback(
        a, b, *options, cv2.OPTFLOW_FARNEBACK_GAUSSIAN
    )
    result = _opencv_flow.farneback(a, b, gaussian=True)
    np.testing.assert_array_equal(result, wanted)
    assert (result != _opencv_flow.farneback(a, b)).any()


def _scene(size, kind):
    """Two grey images: of nothing, of noise, or of a half that moves."""
    rng = np.random.default_rng(0)
    first = np.full(size, 90, np.uint8)
    if kind == "noise":
        return rng.integers(0, 256, (2, *size), np.uint8)
    second = first.copy()
    if kind == "half":
        texture = rng.integers(0, 256, size, np.uint8)
        texture = cv2.GaussianBlur(texture, (0, 0), 3)
        half = slice(size[1] // 2, None)
        first[:, half] = texture[:, half]
        second[:, half] = np.roll(texture, 2, axis=1)[:, half]
    return np.stack([first, second])


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(DIS_PRESETS),
    st.lists(
        st.tuples(
            st.sampled_from([(64, 80), (40, 40), (128, 96), (100, 300)]),
            st.sampled_from(["flat", "noise", "half"]),
        ),
        min_size=2,
        max_size=6,
    ),
)
def test_a_pair_s_flow_is_that_of_a_new_solver(preset, scenes):
    """Whatever the thread's solver has seen before, of whatever size."""
    for size, kind in scenes:
        pair = _scene(size, kind)
        new = cv2.DISOpticalFlow_create(DIS_PRESETS.index(preset))
        np.testing.assert_array_equal(
            compute(pair, "dis", preset=preset)[0], new.calc(*pair, None)
        )
