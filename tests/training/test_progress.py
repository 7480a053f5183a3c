"""Times as a run prints them."""

import pytest

from keras_twostream.training._progress import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.6, "1:00"), (245, "4:05"), (7445, "2:04:05")],
)
def test_seconds_are_rounded_to_whole_ones(seconds, text):
    assert duration(seconds) == text
