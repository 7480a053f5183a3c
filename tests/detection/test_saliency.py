"""Saliency, against loops over pixels written from the paper's formulas."""

import numpy as np
import pytest

from keras_twostream.detection import saliency


@pytest.fixture
def flow():
    rng = np.random.default_rng(3)
    field = rng.normal(0, 0.2, (20, 30, 2))
    field[5:12, 8:18] += (3.0, -4.0)
    return field.astype("float32")


def salient_by_hand(moving):
    height, width = moving.shape
    padded = np.pad(moving, 2)
    score = np.zeros_like(moving)
    for y in range(height):
        for x in range(width):
            mean = padded[y : y + 5, x : x + 5].sum() / 25
            score[y, x] = mean * moving[y, x] / moving.max()
    return score >= min(0.2, 0.7 * score.max())


def test_the_magnitude_is_the_byte_image_s():
    flow = np.zeros((4, 4, 2), "float32")
    flow[0, 0] = 3, 4  # 5 pixels: 80 levels of 128
    flow[1, 1] = 30, 40  # beyond the bound
    moving = saliency.magnitude(flow)
    assert moving[0, 0] == 80 / 128
    assert moving[1, 1] == 127 / 128
    assert moving[2, 2] == 0


def test_the_magnitude_has_whole_levels():
    flow = np.float32([[[1.03, 0.0], [1.04, 0.0]]])  # 16.48, 16.64 levels
    assert (128 * saliency.magnitude(flow)).tolist() == [[16, 17]]


def test_salient_pixels_as_the_formula_says(flow):
    moving = saliency.magnitude(flow)
    salient = saliency.salient_pixels(moving)
    np.testing.assert_array_equal(salient, salient_by_hand(moving))
    assert 0.5 < salient[5:12, 8:18].mean() and not salient[:3, :5].any()


def test_slow_motion_is_cut_at_a_share_of_its_maximum(flow):
    moving = saliency.magnitude(flow / 20)
    salient = saliency.salient_pixels(moving)
    np.testing.assert_array_equal(salient, salient_by_hand(moving))
    assert salient.any()


def test_a_box_s_share_of_what_is_salient():
    salient = np.zeros((10, 10), bool)
    salient[2, 2] = salient[2, 3] = salient[9, 9] = True
    boxes = np.array([[2, 2, 2, 2], [0, 0, 3, 2], [0, 0, 9, 9], [4, 4, 8, 8]])
    np.testing.assert_allclose(
        saliency.inclusion(boxes, salient), [1 / 3, 2 / 3, 1, 0]
    )


def test_the_mean_within_a_box_is_that_of_its_pixels(flow):
    moving = saliency.magnitude(flow)
    boxes = np.array([[8, 5, 17, 11], [0, 0, 0, 0], [3, 1, 29, 19]])
    means = [
        moving[y1 : y2 + 1, x1 : x2 + 1].mean() for x1, y1, x2, y2 in boxes
    ]
    np.testing.assert_allclose(
        saliency.mean_within(boxes, moving), means, rtol=1e-5
    )


def test_where_nothing_moves_every_pixel_is_salient():
    still = saliency.magnitude(np.zeros((6, 8, 2)))
    assert saliency.salient_pixels(still).all()


def test_a_camera_s_motion_can_be_taken_out(flow):
    panned = saliency.magnitude(flow + np.array([6.0, 0]), stabilise=True)
    steady = saliency.magnitude(flow - np.median(flow, axis=(0, 1)))
    np.testing.assert_allclose(panned, steady, atol=1.5 / 128)
