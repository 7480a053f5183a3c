"""The states before and after an action, by hand."""

import numpy as np
import pytest

from keras_twostream.errors import SpecError
from keras_twostream.scoring.states import states


def test_the_closest_class_and_boundaries_are_the_answer():
    # Of 25 frames a precondition ends at 8 to 12, an effect starts at 13 to 17.
    distances = np.full((5, 5, 3), 1.0)
    distances[1, 3, 2] = 0.25
    times = np.arange(26) * 0.4
    found = states(distances, times)
    assert found.action == 2
    assert found.precondition == pytest.approx((0.0, 9 * 0.4))
    assert found.effect == pytest.approx((15 * 0.4, 25 * 0.4))
    assert found.distance == 0.25


def test_distances_of_another_clip_are_refused():
    with pytest.raises(SpecError, match=r"of 6 frames .*\(2, 2, n\)"):
        states(np.ones((5, 5, 3)), np.arange(7.0))
