"""The pixels of our clips, against those that weights were trained on."""

import cv2
import numpy as np
import pytest

import keras_twostream as kts
from keras_twostream.models import _c3d, _context_fovea, _i3d, _r2plus1d

transforms = pytest.importorskip("torchvision.transforms.functional")


def moving_picture(height, width, count=16):
    """Smooth noise, as a camera would see it, uint8."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (count, height // 4, width // 4, 3), np.uint8)
    return np.stack([cv2.resize(frame, (width, height)) for frame in noise])


@pytest.mark.parametrize("size", [(240, 320), (360, 480), (96, 128)])
def test_r2plus1d_sees_the_pixels_of_torchvision(size):
    import torch

    frames = moving_picture(*size)
    spec = _r2plus1d.SPEC.replace(frame_rate=None)
    ours = kts.data.clips(frames, spec)["rgb"][0]
    video = torch.from_numpy(frames).permute(0, 3, 1, 2)
    video = transforms.resize(video, [128, 171], antialias=False)
    video = transforms.center_crop(video, [112, 112])
    theirs = video.permute(0, 2, 3, 1).numpy()
    difference = np.abs(ours.astype(int) - theirs)
    # Halves are rounded another way.
    assert difference.max() <= 1 and difference.mean() < 0.25


def test_c3d_sees_the_pixels_of_its_authors():
    frames = moving_picture(240, 320)
    ours = kts.data.clips(frames, _c3d.SPEC)["rgb"][0]
    theirs = [cv2.resize(frame, (171, 128)) for frame in frames]
    theirs = np.stack(theirs)[:, 8:120, 29:141]
    np.testing.assert_array_equal(ours, theirs)


def test_i3d_sees_bilinear_pixels():
    frames = moving_picture(480, 640, count=64)
    spec = _i3d.SPEC.replace(streams=("rgb",))
    ours = kts.data.clips(frames, spec)["rgb"][0]
    theirs = [cv2.resize(frame, (341, 256)) for frame in frames]
    theirs = np.stack(theirs)[:, 16:240, 58:282]
    np.testing.assert_array_equal(ours, theirs)


def test_a_circle_stays_one_for_karpathy():
    frame = np.zeros((240, 320, 3), np.uint8)
    cv2.circle(frame, (160, 120), 60, (255, 255, 255), -1)
    seen = kts.data.clips(frame[None], _context_fovea.SPEC)["rgb"][0, 0]
    assert seen.shape == (170, 170, 3)
    lit = seen[..., 0] > 127
    height, width = (np.flatnonzero(lit.any(axis)).size for axis in (1, 0))
    assert abs(height - 100) <= 1 and abs(width - 100) <= 1


def test_karpathy_crops_lie_inside_the_middle():
    columns = np.tile(np.arange(320, dtype="uint8")[None, :, None], (240, 1, 3))
    spec = _context_fovea.SPEC
    views = kts.data.clips(columns[None], spec, crops="10-crop")["rgb"][:, 0]
    whole = cv2.resize(columns, (267, 200), interpolation=cv2.INTER_AREA)
    middle = whole[:, 33:233]
    np.testing.assert_array_equal(views[0], middle[:170, :170])
    np.testing.assert_array_equal(views[3], middle[30:, 30:])
