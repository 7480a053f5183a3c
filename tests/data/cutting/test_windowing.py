"""Windows: clips that cover a video, read in one pass."""

import itertools

import numpy as np
import pytest
from numbered_videos import numbered_frames, write_video

from keras_twostream import data, flow
from keras_twostream.data.cutting.kept_flow import Album
from keras_twostream.data.cutting.windowing import _Reel
from keras_twostream.errors import SpecError
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    clip_length=3,
    temporal_stride=4,
    flow_length=2,
    frame_rate=10.0,
    short_side=32,
    crop=(32, 32),
)  # spans 3 frames of flow after step 8: 11 frames


@pytest.fixture
def frames(rng=0):
    return np.random.default_rng(rng).integers(
        0, 256, (40, 32, 40, 3), np.uint8
    )


def test_windows_cover_the_video_without_a_gap(frames):
    windows = data.Windows(frames, SPEC)
    starts, ends = windows.spans.T
    assert starts[0] == 0 and ends[-1] == 4.0
    assert (starts[1:] <= ends[:-1]).all()
    assert np.allclose(ends - starts, SPEC.span() / 10)


def test_windows_of_uneven_frames_are_timed_by_the_clock(tmp_path):
    times = [0, 40, 80, 120, 160, 560, 600, 640]
    path = write_video(tmp_path / "a.mkv", numbered_frames(8), times=times)
    spec = SPEC.replace(clip_length=1, frame_rate=None)
    windows = data.Windows(path, spec)
    assert len(windows) > 1
    starts = 1000 * windows.spans[:, 0]
    assert np.isclose(starts[:, None], times, atol=0.5).any(axis=1).all()
    assert windows.times(0)[0] == 0
    assert windows.times(len(windows) - 1)[-1] == windows.spans[-1, 1] > 0.64


def test_hop_is_in_seconds_and_never_exceeded(frames):
    sparse = data.Windows(frames, SPEC, hop=1.0)
    assert np.diff(sparse.spans[:, 0]).max() <= 1.0
    assert len(sparse) == 4  # starts 0 to 29 frames, at most 10 apart


def test_a_window_is_the_clip_that_clips_cuts(frames):
    length = SPEC.span()
    windows = data.Windows(frames[:length], SPEC)
    assert len(windows) == 1
    (batch,) = windows.batches(4)
    expected = data.clips(frames[:length], SPEC)
    np.testing.assert_array_equal(batch["rgb"], expected["rgb"])
    np.testing.assert_array_equal(batch["flow"], expected["flow"])


def test_batch_size_changes_nothing(frames):
    def cut(size):
        batches = list(data.Windows(frames, SPEC).batches(size))
        return {k: np.concatenate([b[k] for b in batches]) for k in batches[0]}

    one, three = cut(1), cut(3)
    np.testing.assert_array_equal(one["rgb"], three["rgb"])
    np.testing.assert_array_equal(one["flow"], three["flow"])


@pytest.mark.parametrize("ahead", [False, True])
def test_flow_of_windows_that_overlap_is_computed_once(
    frames, monkeypatch, ahead
):
    compute, solved = flow.compute_pairs, []

    def watch(frames, pairs, *arguments, **parameters):
        solved.append(len(pairs))
        return compute(frames, pairs, *arguments, **parameters)

    monkeypatch.setattr(flow, "compute_pairs", watch)
    album = Album()
    windows = data.Windows(frames, SPEC, hop=0.1, album=album)
    batches = windows.batches_ahead(1) if ahead else windows.batches(1)
    found = np.concatenate([batch["flow"] for batch in batches])
    assert len(found) == 30
    # A window has 3 steps of 2 fields: 180 in all, of 39 pairs of neighbours.
    assert sum(solved) == 39
    expected = flow.compute(frames[20:22])[0]
    np.testing.assert_allclose(album.get(20), expected, rtol=1e-3, atol=1e-3)
    monkeypatch.undo()
    alone = data.clips(frames[12:23], SPEC)
    np.testing.assert_array_equal(found[12], alone["flow"][0])


def test_an_album_of_flow_is_no_larger_than_its_room():
    field = np.full((4, 4, 2), 1.5, np.float32)
    album = Album(room=2 * field.nbytes // 2)
    for number in range(3):
        album.add((number, number + 1), field + number)
    album.add((0, 5), field)  # no neighbours
    np.testing.assert_array_equal(album.get(1), field + 1)
    assert album.get(0).dtype == np.float32
    assert album.get(2) is None and album.get(5) is None


def test_a_video_shorter_than_a_clip_gives_one_window(frames):
    windows = data.Windows(frames[:4], SPEC)
    (batch,) = windows.batches(4)
    assert batch["rgb"].shape == (1, 3, 32, 32, 3)
    np.testing.assert_allclose(windows.spans, [[0, 0.4]])


def test_whole_video_sampling_looks_at_ten_seconds_at_once():
    frames = np.zeros((250, 32, 32, 3), np.uint8)
    windows = data.Windows(frames, SPEC.replace(sampling="segments"))
    assert np.allclose(np.diff(windows.spans, axis=1), 10.0)
    assert windows.spans[-1, 1] == 25.0


def test_windows_of_one_frame_are_not_at_every_frame():
    spec = SPEC.replace(streams=("rgb",), clip_length=1)
    frames = np.broadcast_to(np.zeros(1, np.uint8), (3600, 32, 32, 3))
    windows = data.Windows(frames, spec)
    assert len(windows) == 1801
    assert len(data.Windows(frames[:8], spec)) == 8  # a short one has few
    assert len(data.Windows(frames, spec, hop=0.1)) == 3600


def test_long_windows_stand_side_by_side():
    spec = SPEC.replace(
        clip_length=64, temporal_stride=1, flow_length=1, frame_rate=25.0
    )
    frames = np.broadcast_to(np.zeros(1, np.uint8), (250, 32, 32, 3))
    windows = data.Windows(frames, spec)
    starts, ends = windows.spans.T
    assert len(windows) == 4 and (starts[1:] <= ends[:-1]).all()
    assert ends[-1] == 10.0 and len(data.Windows(frames[:65], spec)) == 1
    assert len(data.Windows(frames, spec.replace(clip_length=16))) > 20


def test_a_long_hop_keeps_no_frame_between_windows(monkeypatch):
    frames = np.arange(400, dtype=np.uint32)[:, None, None, None] // 2
    frames = np.broadcast_to(frames.astype(np.uint8), (400, 32, 40, 3))
    take, kept = _Reel.take, []

    def watch(self, *arguments):
        taken = take(self, *arguments)
        kept.append(len(self._kept))
        return taken

    monkeypatch.setattr(_Reel, "take", watch)
    windows = data.Windows(frames, SPEC, hop=8.0)
    batches = list(windows.batches(4))
    assert len(kept) == len(batches) == 2
    assert max(kept) <= 4 * 3 * 3  # windows, steps, frames of a step
    alone = [clip["rgb"] for clip in windows.batches(1)]
    together = [clip["rgb"] for clip in batches]
    np.testing.assert_array_equal(
        np.concatenate(together), np.concatenate(alone)
    )


def test_a_reel_forgets_frames_before_the_ones_asked_for():
    reel = _Reel(iter(np.arange(100)))
    for first in range(0, 90, 5):
        wanted = np.arange(first, first + 10)
        reel.wind(wanted, first + 5)
        taken = reel.take(wanted)
        np.testing.assert_array_equal(taken, np.arange(first, first + 10))
        assert len(reel._kept) == 10


def test_a_reel_that_ends_early_repeats_its_last_frame():
    reel = _Reel(iter(np.arange(5)))
    wanted = np.array([1, 3, 6, 7])
    reel.wind(wanted, 8)
    assert reel.end == 4
    np.testing.assert_array_equal(reel.take(wanted), [1, 3, 4, 4])


def _ends_early(monkeypatch, readable):
    """Windows of 40 frames, of which only the first can be decoded."""
    frames = np.zeros((40, 32, 40, 3), np.uint8)
    decode = data.Windows._decode

    def cut_off(self):
        return itertools.islice(decode(self), readable)

    monkeypatch.setattr(data.Windows, "_decode", cut_off)
    return frames


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("last", [20, 21])
def test_windows_behind_an_early_end_are_left_out(monkeypatch, size, last):
    windows = data.Windows(_ends_early(monkeypatch, last + 1), SPEC, hop=0.3)
    seen = sum(len(batch["rgb"]) for batch in windows.batches(size))
    starts = np.rint(windows.spans[:, 0] * windows.rate)
    assert 20 in starts and 21 not in starts
    assert seen == np.sum(starts <= last) < len(windows)


def test_one_window_is_seen_however_little_can_be_decoded(monkeypatch):
    spec = SPEC.replace(sampling="segments")
    windows = data.Windows(_ends_early(monkeypatch, 2), spec)
    (batch,) = windows.batches(4)
    assert batch["rgb"].shape == (1, 3, 32, 32, 3)


@pytest.mark.parametrize("hop", [0, -3.0, np.nan, np.inf, "2", True])
def test_a_hop_that_goes_nowhere_is_refused(frames, hop):
    with pytest.raises(SpecError, match="`hop` must be seconds"):
        data.Windows(frames, SPEC, hop=hop)


@pytest.mark.parametrize("size", [2, 100])
def test_batches_ahead_are_the_same(frames, size):
    windows = data.Windows(frames, SPEC)
    expected = list(windows.batches(size))
    result = list(windows.batches_ahead(size))
    assert len(result) == len(expected)
    for one, other in zip(result, expected, strict=True):
        assert list(one) == list(other)
        for stream, clip in one.items():
            np.testing.assert_array_equal(clip, other[stream])
