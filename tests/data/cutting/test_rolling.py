"""Ticks of a steady clock over frames that arrive when they do."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_twostream.data.cutting.kept_flow import KeptFlow
from keras_twostream.data.cutting.rolling import Ticker
from keras_twostream.spec import ClipSpec


def test_the_newest_field_of_a_stack_both_ways_is_no_backward_one():
    spec = ClipSpec(flow_algorithm="farneback", flow_length=4)
    kept = KeptFlow(spec.replace(stacking="bidirectional"))
    frames = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    pairs = np.array([(0, 1), (1, 2), (1, 0), (2, 1)])
    _, newest, _, _ = kept.of(pairs, np.arange(3), frames)
    np.testing.assert_array_equal(kept.newest(), newest)


def shown(times, rate):
    """Return the number of the frame that stands at each tick."""
    ticker, numbers = Ticker(rate), []
    for number, second in enumerate(times):
        before, now = ticker.ticks(second)
        numbers += [number - 1] * before + [number] * now
    return numbers


def test_frames_at_the_clocks_rate_are_taken_once_each():
    assert shown(np.arange(10) / 25, 25) == list(range(10))


def test_fewer_frames_stand_for_several_ticks():
    # Ticks at 0, 33, 67, 100, 133, 167 and 200 ms.
    assert shown(np.arange(3) / 10, 30) == [0, 0, 1, 1, 1, 2, 2]


def test_twice_as_many_frames_are_passed_over():
    assert shown(np.arange(9) / 50, 25) == [0, 2, 4, 6, 8]


@given(
    st.lists(st.floats(0.001, 0.4), min_size=1, max_size=30),
    st.sampled_from([5, 12.5, 25, 30]),
)
def test_each_tick_has_the_nearest_frame(steps, rate):
    times = np.concatenate([[0.0], np.cumsum(steps)])
    numbers = shown(times, rate)
    assert len(numbers) == int(np.floor(times[-1] * rate + 1e-6)) + 1
    for tick, number in enumerate(numbers):
        away = np.abs(times - tick / rate)
        assert away[number] <= away.min() + 1e-6
