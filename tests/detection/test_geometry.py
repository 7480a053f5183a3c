"""Boxes are inclusive; overlaps and suppression against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_twostream.detection import geometry
from keras_twostream.errors import SpecError

corner = st.integers(0, 11)
box = st.tuples(corner, corner, corner, corner).map(
    lambda c: (
        min(c[0], c[2]),
        min(c[1], c[3]),
        max(c[0], c[2]),
        max(c[1], c[3]),
    )
)
some_boxes = st.lists(box, min_size=1, max_size=6)


def mask(box):
    """The pixels of a box, on a 12 x 12 grid."""
    pixels = np.zeros((12, 12), bool)
    pixels[box[1] : box[3] + 1, box[0] : box[2] + 1] = True
    return pixels


@given(some_boxes, some_boxes)
def test_overlaps_count_pixels(first, second):
    shared = geometry.overlaps(np.array(first), np.array(second))
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            both = (mask(a) & mask(b)).sum()
            either = (mask(a) | mask(b)).sum()
            assert shared[i, j] == pytest.approx(both / either)


def test_a_box_of_one_pixel_has_area_one():
    assert geometry.areas(np.array([[3, 4, 3, 4], [0, 0, 9, 4]])).tolist() == [
        1,
        50,
    ]


@given(some_boxes, st.data())
def test_suppression_keeps_whatever_no_better_box_covers(boxes, data):
    boxes = np.array(boxes)
    scores = np.array(
        data.draw(
            st.lists(
                st.integers(0, 4), min_size=len(boxes), max_size=len(boxes)
            )
        )
    )
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        shared = [
            (mask(boxes[i]) & mask(boxes[j])).sum()
            / (mask(boxes[i]) | mask(boxes[j])).sum()
            for j in kept
        ]
        if all(x <= 0.3 for x in shared):
            kept.append(i)
    assert geometry.suppress(boxes, scores, 0.3).tolist() == kept


def test_sizes_become_inclusive_corners():
    assert geometry.from_sizes([[2, 3, 10, 5]]).tolist() == [[2, 3, 11, 7]]


def test_boxes_are_cut_to_the_image():
    cut = geometry.clip(np.array([[-3.0, 2, 40, 50]]), height=20, width=30)
    assert cut.tolist() == [[0, 2, 29, 19]]


def test_a_box_may_be_a_single_pixel():
    assert geometry.as_boxes([[5, 7, 5, 7]]).tolist() == [[5, 7, 5, 7]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [[1, 2, 3]],
            r"shape \(N, 4\), x1, y1, x2, y2. Received: shape=\(1, 3",
        ),
        ([[0, 0, np.nan, 1]], "must be finite numbers"),
        ([[10, 10, 5, 20]], r"x1 <= x2.*Received: \[10.0, 10.0, 5.0, 20.0\]"),
    ],
)
def test_what_is_no_box_is_refused(values, message):
    with pytest.raises(SpecError, match=message):
        geometry.as_boxes(values)


def test_boxes_around_a_kept_one_vote_on_its_place():
    boxes = np.array(
        [[0, 0, 9, 9], [2, 0, 11, 9], [40, 40, 49, 49], [0, 0, 9, 2]], "f4"
    )
    scores = np.array([2.0, 1.0, 0.5, 5.0])
    kept = np.array([0, 2])
    moved = geometry.voted(boxes, scores, kept, 0.5)
    share = np.exp(-1) / (1 + np.exp(-1))
    np.testing.assert_allclose(moved[0], [2 * share, 0, 9 + 2 * share, 9])
    np.testing.assert_array_equal(moved[1], boxes[2])
    np.testing.assert_array_equal(
        geometry.voted(boxes, scores, kept, 0), boxes[kept]
    )
    certain = np.array([2.0, 9.0, 0.5, 5.0])  # suppressed by a third box
    moved = geometry.voted(boxes, certain, kept[:1], 0.5)
    np.testing.assert_allclose(moved, [[1, 0, 10, 9]])
