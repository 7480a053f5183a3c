"""Times of frames, out of stamps of every kind."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_twostream.data.video import clock
from keras_twostream.data.video.clock import Packet, average_rate, frame_times

TICK = 0.001


def packets(stamps, dts="same", duration=40, keys=(0,)):
    decoded = stamps if dts == "same" else dts
    return [
        Packet(pts, at, duration, number in keys)
        for number, (pts, at) in enumerate(zip(stamps, decoded, strict=True))
    ]


def seconds(listed, shown=None, rate=25.0):
    shown = range(len(listed)) if shown is None else shown
    return frame_times(listed, shown, TICK, rate)


def test_plain_stamps_are_seconds_since_the_first():
    times = seconds(packets([1000, 1040, 1080]))
    np.testing.assert_allclose(times.seconds, [0, 0.04, 0.08])
    assert (times.joins, times.holes) == (0, 0)


def test_negative_stamps_are_as_good_as_others():
    times = seconds(packets([-80, -40, 0, 40]))
    np.testing.assert_allclose(times.seconds, [0, 0.04, 0.08, 0.12])


def test_stamps_in_the_order_of_decoding_count_up_as_frames_do():
    # Packets 0 2 1 3 are shown in that order, as a decoder says.
    times = seconds(packets([0, 40, 80, 120]), shown=[0, 2, 1, 3])
    np.testing.assert_allclose(times.seconds, [0, 0.04, 0.08, 0.12])


def test_without_stamps_time_is_number_over_rate():
    none = [None] * 4
    stated = seconds(packets(none, duration=0), rate=10.0)
    np.testing.assert_allclose(stated.seconds, [0, 0.1, 0.2, 0.3])
    unstated = seconds(packets(none, duration=0), rate=None)
    np.testing.assert_allclose(unstated.seconds, [0, 0.04, 0.08, 0.12])
    of_packets = seconds(packets(none, duration=20), rate=None)
    np.testing.assert_allclose(of_packets.seconds, [0, 0.02, 0.04, 0.06])


def test_missing_stamps_lie_between_their_neighbours():
    times = seconds(packets([0, None, None, 120]))
    np.testing.assert_allclose(times.seconds, [0, 0.04, 0.08, 0.12])


def test_unknown_stamps_at_the_ends_are_an_interval_apart():
    times = seconds(packets([None, None, 80, 120, None]))
    np.testing.assert_allclose(times.seconds, [0, 0.04, 0.08, 0.12, 0.16])


def test_stamps_of_decoding_serve_where_those_of_showing_are_made_up():
    # An AVI file whose tick is shorter than a frame: the demuxer takes the
    # next frame's stamp, and after the last frame the next tick.
    listed = packets([40, 80, 120, 121], dts=[0, 40, 80, 120], duration=1)
    times = seconds(listed, shown=[0, 2, 1, 3])
    np.testing.assert_allclose(times.seconds, [0, 0.04, 0.08, 0.12])


def test_stamps_of_showing_serve_where_those_of_decoding_begin_with_a_leap():
    # An AVI file of an encoder that holds frames back at the start.
    listed = packets([120, 200, 160, 240], dts=[0, 120, 160, 200])
    times = seconds(listed, shown=[0, 1, 2, 3])
    np.testing.assert_allclose(times.seconds, [0, 0.04, 0.08, 0.12])


def test_equal_stamps_are_spread_to_the_next():
    times = seconds(packets([0, 0, 80, 80, 160]))
    np.testing.assert_allclose(times.seconds, [0, 0.04, 0.08, 0.12, 0.16])
    ends = seconds(packets([0, 40, 40]))
    np.testing.assert_allclose(ends.seconds, [0, 0.04, 0.08])


def test_a_frame_with_its_neighbours_stamp_is_in_its_own_place():
    # As in joined program streams: 120 is missing, and 40 is there twice.
    times = seconds(packets([0, 40, 40, 80, 160, 200, 240]))
    np.testing.assert_allclose(times.seconds, np.arange(7) * 0.04)


def test_time_goes_on_where_a_recording_is_joined():
    # Both are 0 80 40 120 in the file: the third frame is shown second.
    pts, dts = [0, 80, 40, 120], [-40, 0, 40, 80]
    listed = packets(pts * 2, dts * 2, keys=(0, 4))
    times = seconds(listed, shown=[0, 2, 1, 3, 4, 6, 5, 7])
    np.testing.assert_allclose(times.seconds, np.arange(8) * 0.04)
    assert times.joins == 1


def test_frames_that_are_shown_late_are_no_join():
    # An open group: frames before the key frame follow it in the file.
    pts = [0, 120, 40, 80, 240, 160, 200]
    listed = packets(pts, [-80, -40, 0, 40, 80, 120, 160], keys=(0, 4))
    times = seconds(listed, shown=[0, 2, 3, 1, 5, 6, 4])
    np.testing.assert_allclose(times.seconds, np.arange(7) * 0.04)
    assert times.joins == 0


def test_a_key_frame_that_is_decoded_early_is_no_join():
    # Its stamp of decoding steps back, but it is shown after all before it.
    listed = packets([0, 40, 80, 120], [0, 40, 10, 50], keys=(0, 2))
    times = seconds(listed)
    np.testing.assert_allclose(times.seconds, [0, 0.04, 0.08, 0.12])
    assert times.joins == 0


def test_a_hole_closes_up_and_a_slide_show_stays():
    hole = seconds(packets([0, 40, 80, 60_000, 60_040, 60_080]))
    np.testing.assert_allclose(hole.seconds, np.arange(6) * 0.04)
    assert hole.holes == 1
    slides = seconds(packets([0, 20_000, 45_000, 60_000], duration=0))
    np.testing.assert_allclose(slides.seconds, [0, 20, 45, 60])
    assert slides.holes == 0


@given(
    st.lists(
        st.one_of(st.none(), st.integers(-(10**12), 10**12)),
        min_size=1,
        max_size=40,
    ),
    st.randoms(use_true_random=False),
)
def test_times_never_go_back_and_have_no_long_hole(stamps, random):
    shown = list(range(len(stamps)))
    random.shuffle(shown)
    times = seconds(packets(stamps), shown).seconds
    assert len(times) == len(stamps) and np.isfinite(times).all()
    steps = np.diff(times)
    assert times[0] == 0 and (steps >= 0).all()
    if len(steps):
        # Holes were told by the median before they closed up to it. Where it
        # lies between two steps, the closed ones may take it down to a half.
        usual = 2 * np.median(steps)
        most = max(clock.HOLE_SECONDS, clock.HOLE_FRAMES * usual)
        assert steps.max() <= most * (1 + 1e-6) + 1e-6


@pytest.mark.parametrize(
    "times, stated, rate",
    [
        ([0.0], 30.0, 30.0),
        ([0.0], None, 25.0),
        ([0.0, 0.04, 0.08], 25.0, 25.0),
        ([0.0, 0.04, 0.08], 25.1, 25.1),  # rounded stamps
        ([0.0, 0.04, 0.08], 50.0, 25.0),
        ([0.0, 0.5, 1.0], None, 2.0),
    ],
)
def test_the_stated_rate_counts_where_times_bear_it_out(times, stated, rate):
    assert average_rate(np.array(times), stated) == pytest.approx(rate)
