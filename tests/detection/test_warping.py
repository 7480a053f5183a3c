"""Warping on tensors, against OpenCV and the rules of R-CNN."""

import cv2
import numpy as np
import pytest
from keras import ops

from keras_twostream.detection.warping import warp, warp_on_host

pytestmark = pytest.mark.agnostic


def rounded(value):
    return int(np.floor(value + 0.5))


def crop_with_opencv(image, box, size, context, fill):
    """One region: grow, round, cut, resize, pad."""
    frame = image.shape[:2]
    first, last, lead, wide = [], [], [], []
    for axis, (low, high) in enumerate(((box[1], box[3]), (box[0], box[2]))):
        half = (high - low + 1) / 2
        reach = half * size[axis] / (size[axis] - 2 * context)
        start, stop = rounded(low + half - reach), rounded(low + half + reach)
        zoom = size[axis] / (stop - start + 1)
        lead.append(rounded(max(0, -start) * zoom))
        first.append(max(0, start))
        last.append(min(frame[axis] - 1, stop))
        shown = rounded((last[-1] - first[-1] + 1) * zoom)
        wide.append(min(shown, size[axis] - lead[-1]))
    window = image[first[0] : last[0] + 1, first[1] : last[1] + 1]
    crop = np.full((*size, image.shape[2]), fill, np.float32)
    crop[lead[0] : lead[0] + wide[0], lead[1] : lead[1] + wide[1]] = cv2.resize(
        window, (wide[1], wide[0]), interpolation=cv2.INTER_LINEAR
    )
    return crop


BOXES = [
    (10, 8, 40, 50),  # inside
    (0, 0, 12, 9),  # in a corner: part of the context is outside
    (50, 20, 63, 47),  # at the far edges
    (0, 0, 63, 47),  # the whole frame
    (30, 30, 30, 30),  # one pixel
    (3, 40, 60, 47),  # wide and low
]


@pytest.mark.parametrize(
    ("size", "context"), [((227, 227), 16), ((40, 56), 5), ((32, 32), 0)]
)
def test_regions_are_those_of_r_cnn(size, context):
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (2, 48, 64, 3)).astype("float32")
    places = [0, 1, 0, 1, 0, 1]
    fill = (122.0, 115.0, 102.0)
    crops = ops.convert_to_numpy(
        warp(images, places, BOXES, size, context, fill)
    )
    for crop, place, box in zip(crops, places, BOXES, strict=True):
        wanted = crop_with_opencv(images[place], box, size, context, fill)
        np.testing.assert_allclose(crop, wanted, atol=0.05)
    fast = warp_on_host(images, places, np.array(BOXES), size, context, fill)
    np.testing.assert_allclose(fast, crops, atol=0.05)


def test_the_context_is_sixteen_pixels_of_the_crop():
    image = np.zeros((1, 400, 400, 1), "float32")
    image[0, 100:295, 100:295] = 1.0  # a box of 195 pixels: no resizing
    crop = warp(image, [0], [(100, 100, 294, 294)], (227, 227))
    rows = np.flatnonzero(ops.convert_to_numpy(crop)[0, 113, :, 0] > 0.5)
    assert abs(rows[0] - 16) <= 1 and abs(rows[-1] - 210) <= 1


def test_outside_the_frame_is_filled():
    image = np.full((1, 20, 20, 2), 9.0, "float32")
    crop = warp(image, [0], [(0, 0, 9, 9)], (227, 227), 16, (0.0, -1.0))
    crop = ops.convert_to_numpy(crop)[0]
    assert crop[3, 3].tolist() == [0, -1]
    assert crop[100, 100].tolist() == [9, 9]
