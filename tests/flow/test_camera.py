"""Flow without the camera's motion: what is left is what moves."""

import cv2
import numpy as np
import pytest

from keras_twostream import flow
from keras_twostream.flow._camera import camera_motion, without_camera

SIZE = 120, 160


@pytest.fixture(scope="module")
def scene():
    """A blurred random texture, larger than a frame."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (220, 260)).astype("uint8")
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)


def view(scene, left, top):
    return scene[top : top + SIZE[0], left : left + SIZE[1]].copy()


def frames_with_a_mover(scene):
    """The camera goes 4 px to the right; a square goes 6 px down."""
    frames = [view(scene, 40, 40), view(scene, 44, 40)]
    for number, frame in enumerate(frames):
        patch = scene[150:190, 150:190]
        top, left = 40 + 6 * number, 60
        frame[top : top + 40, left : left + 40] = patch
    return np.stack(frames)


@pytest.mark.parametrize("algorithm", ["dis", "farneback"])
def test_the_camera_is_taken_out(scene, algorithm):
    frames = frames_with_a_mover(scene)
    plain = flow.compute(frames, algorithm)[0, 95:115, 10:150]
    steady = flow.compute(frames, algorithm, warped=True)[0, 95:115, 10:150]
    np.testing.assert_allclose(np.median(plain, (0, 1)), [-4, 0], atol=0.3)
    np.testing.assert_allclose(np.median(steady, (0, 1)), 0, atol=0.2)


def test_the_flow_that_is_given_stays_as_it_is(scene):
    frames, pairs = frames_with_a_mover(scene), np.array([[0, 1]])
    plain = flow.compute(frames, "dis")
    before = plain.copy()
    steady = without_camera(frames, pairs, plain, lambda *_: 0 * plain)
    assert not steady.any()
    np.testing.assert_array_equal(plain, before)


def test_things_that_move_by_themselves_keep_their_flow(scene):
    frames = frames_with_a_mover(scene)
    steady = flow.compute(frames, warped=True)[0, 52:72, 70:90]
    # The square keeps its column on the screen, while the camera goes on.
    np.testing.assert_allclose(np.median(steady, (0, 1)), [4, 6], atol=0.5)


def test_a_turning_camera_is_a_homography(scene):
    turn = cv2.getRotationMatrix2D((80, 60), 3.0, 1.02)
    first = view(scene, 40, 40)
    second = cv2.warpAffine(first, turn, SIZE[::-1], borderMode=2)
    field = flow.compute(np.stack([first, second]))[0]
    motion = camera_motion(first, second, field)
    expected = np.vstack([turn, [0, 0, 1]])
    np.testing.assert_allclose(motion / motion[2, 2], expected, atol=0.3)
    np.testing.assert_allclose(
        (motion / motion[2, 2])[:2, :2], turn[:, :2], atol=5e-3
    )


def test_flat_images_have_no_camera_to_take_out():
    flat = np.full((2, 40, 50), 128, np.uint8)
    assert camera_motion(*flat, np.zeros((40, 50, 2), "float32")) is None
    assert not flow.compute(flat, "farneback", warped=True).any()


def test_a_still_camera_changes_little(scene):
    frames = np.stack([view(scene, 40, 40)] * 2)
    np.testing.assert_allclose(flow.compute(frames, warped=True), 0, atol=0.05)


def test_colour_frames_are_brought_back_too(scene):
    grey = frames_with_a_mover(scene)
    colour = np.repeat(grey[..., None], 3, axis=-1)
    np.testing.assert_allclose(
        flow.compute(colour, warped=True),
        flow.compute(grey, warped=True),
        atol=0.05,
    )
