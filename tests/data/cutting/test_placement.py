"""Places of clips: in range for any video, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_twostream import ClipSpec
from keras_twostream.data import views
from keras_twostream.data.cutting import placement as sampling
from keras_twostream.data.cutting.clip_frames import SHORT, frames_of
from keras_twostream.errors import SpecError

SPEC = ClipSpec(
    clip_length=5, temporal_stride=4, train_strides=(2, 6), flow_length=5
)


@st.composite
def specs(draw):
    low = draw(st.integers(1, 12))
    stacking = draw(st.sampled_from(("forward", "bidirectional")))
    forward = stacking == "forward"
    return ClipSpec(
        clip_length=draw(st.integers(1, 12)),
        frames_per_step=draw(st.integers(1, 3)),
        frame_gap=draw(st.integers(1, 4)),
        temporal_stride=draw(st.integers(1, 20)),
        train_strides=(low, low + draw(st.integers(0, 10))),
        flow_length=2 * draw(st.integers(1, 5)),
        flow_offset=draw(st.integers(-6, 3)) if forward else 0,
        stacking=stacking,
    )


def check(placement, frames, spec, short):
    chosen = frames_of(placement, frames, spec, short)
    steps = (*placement.shape, spec.frames_per_step)
    assert chosen.rgb.shape == steps
    assert chosen.pairs.shape == (*placement.shape, spec.flow_length, 2)
    assert chosen.needed.min() >= 0 and chosen.needed.max() < frames
    jumps = np.abs(np.diff(chosen.pairs, axis=-1))
    assert jumps.max() <= 1  # flow is always between neighbours
    if short == "loop" and frames > 1:
        assert jumps.min() == 1


@settings(deadline=None, max_examples=150)
@given(
    specs(),
    st.integers(1, 400),
    st.sampled_from(sorted(sampling.SAMPLERS)),
    st.sampled_from(SHORT),
    st.integers(0, 2**31),
)
def test_training_clips_stay_inside(spec, frames, name, short, seed):
    rng = sampling.generator(seed, 0, 0)
    placement = sampling.SAMPLERS[name](frames, spec, rng)
    assert placement.shape == (spec.clip_length,)
    check(placement, frames, spec, short)
    if frames >= spec.span(1) and name in ("multi_stride", "single"):
        # Nothing loops where the stride can shrink.
        assert placement[0] >= 0
        stride = placement[-1] - placement[0]
        stride = stride // max(spec.clip_length - 1, 1) or 1
        assert placement[0] + spec.span(int(stride)) <= frames


@settings(deadline=None, max_examples=100)
@given(
    specs(),
    st.integers(1, 400),
    st.sampled_from(("uniform", "dense", "segments", "whole")),
    st.integers(1, 30),
)
def test_test_clips_stay_inside(spec, frames, protocol, clips):
    placements = views(frames, spec, clips, protocol)
    assert 1 <= len(placements) <= clips
    assert len(np.unique(placements, axis=0)) == len(placements)
    assert placements.min() >= 0
    check(placements, frames, spec, "loop")
    window = spec.replace(clip_length=1).span()
    if frames >= spec.span(1):
        # Every frame is there, in order: nothing loops.
        assert placements.max() + window <= frames
        assert (np.diff(placements, axis=1) >= 0).all()
    room = frames - spec.span() + 1
    if protocol == "uniform" and room >= clips:
        assert len(placements) == clips


def test_a_short_video_is_tested_in_order():
    # ST-ResNet's clip spans 71 frames.
    spec = ClipSpec(
        clip_length=5, temporal_stride=15, flow_length=10, flow_offset=-5
    )
    assert views(50, spec).tolist() == [[1, 10, 19, 28, 37]]
    assert len(views(50, spec, 25)) == 50 - spec.span(9) + 1
    shorter = views(12, spec, 25)
    assert shorter.tolist() == [[0, 1, 2, 3, 4]]


def test_a_whole_video_is_one_clip():
    assert len(views(105, SPEC, 10, "whole")) == 1


def test_draws_depend_on_seed_epoch_and_index_alone():
    def draw(*key):
        return sampling.generator(*key).random()

    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0, 2)]
    assert len({draw(*key) for key in keys}) == len(keys)
    assert draw(0, 1, 2) == draw(0, 1, 2)
    # The same on every machine and with every version of NumPy.
    assert sampling.generator(7, 3, 5).integers(1000, size=4).tolist() == (
        FIXED_DRAW
    )


FIXED_DRAW = [819, 395, 303, 406]


def test_order_is_a_permutation_that_changes_by_epoch():
    first = sampling.epoch_order(50, seed=1, epoch=0)
    assert sorted(first) == list(range(50))
    assert first.tolist() == sampling.epoch_order(50, 1, 0).tolist()
    assert first.tolist() != sampling.epoch_order(50, 1, 1).tolist()
    unshuffled = sampling.epoch_order(50, 1, 0, shuffle=False)
    assert unshuffled.tolist() == list(range(50))


def test_multi_stride_draws_every_stride_and_place():
    strides, starts = set(), set()
    for index in range(400):
        placement = sampling.multi_stride(
            60, SPEC, sampling.generator(0, 0, index)
        )
        strides.add(int(placement[1] - placement[0]))
        starts.add(int(placement[0]))
    assert strides == {2, 3, 4, 5, 6}
    assert min(starts) == 0
    assert 60 - SPEC.span(3) < max(starts) <= 60 - SPEC.span(2)


@pytest.mark.parametrize("sampler", ["single", "multi_stride", "dense"])
def test_every_place_is_drawn_the_last_one_too(sampler):
    spec = SPEC.replace(temporal_stride=2, train_strides=(2, 2))
    stride = 1 if sampler == "dense" else 2
    frames = spec.span(stride) + 4
    starts = {
        int(
            sampling.SAMPLERS[sampler](
                frames, spec, sampling.generator(0, 0, index)
            )[0]
        )
        for index in range(100)
    }
    assert starts == {0, 1, 2, 3, 4}


def test_multi_stride_shrinks_in_a_short_video():
    frames = SPEC.span(1)
    placement = sampling.multi_stride(frames, SPEC, sampling.generator(0, 0, 0))
    assert placement.tolist() == [0, 1, 2, 3, 4]


def test_segments_draw_one_window_each():
    for index in range(50):
        placement = sampling.segments(55, SPEC, sampling.generator(0, 0, index))
        assert (placement // 10).tolist() == [0, 1, 2, 3, 4]


def test_uniform_views_are_spread_evenly():
    spec = ClipSpec(clip_length=1, flow_length=10)
    starts = views(111, spec, 25)[:, 0]
    assert starts[0] == 0 and starts[-1] == 111 - 11
    assert set(np.diff(starts)) <= {4, 5}
    assert views(111, spec, 1).tolist() == [[50]]


def test_dense_views_cover_the_video():
    starts = views(90, SPEC, None, "dense")[:, 0]
    span = SPEC.span()
    assert starts.tolist() == [0, span, 2 * span, 3 * span, 90 - span]


def test_segment_views_are_centres():
    spec = ClipSpec(clip_length=3, flow_length=5)
    assert views(65, spec, 1, "segments").tolist() == [[10, 30, 50]]
    assert len(np.unique(views(65, spec, 4, "segments"))) == 12


def test_a_whole_view_spans_the_video():
    placement = views(105, SPEC, 1, "whole")[0]
    assert placement.tolist() == [0, 25, 50, 74, 99]


def test_short_videos_loop_or_repeat_their_last_frame():
    spec = ClipSpec(clip_length=6, flow_length=1)
    steps = np.arange(6)
    loop = frames_of(steps, 4, spec, "loop")
    assert loop.rgb[:, 0].tolist() == [0, 1, 2, 3, 0, 1]
    # Not from the last frame to the first: the pair beside stands in.
    assert loop.pairs[3, 0].tolist() == [2, 3]
    assert loop.pairs[4, 0].tolist() == [0, 1]
    pad = frames_of(steps, 4, spec, "pad")
    assert pad.rgb[:, 0].tolist() == [0, 1, 2, 3, 3, 3]
    assert pad.pairs[5, 0].tolist() == [3, 3]
    still = frames_of(steps, 1, spec, "loop")
    assert still.pairs.max() == 0


def test_sampler_by_name_spec_or_function():
    assert sampling.get_sampler(None, SPEC) is sampling.multi_stride
    segments = SPEC.replace(sampling="segments")
    assert sampling.get_sampler(None, segments) is sampling.segments
    assert sampling.get_sampler(sampling.whole, SPEC) is sampling.whole
    with pytest.raises(SpecError, match="Did you mean single"):
        sampling.get_sampler("singel", SPEC)


def test_wrong_arguments_are_refused():
    with pytest.raises(SpecError, match="`protocol` must be one of"):
        views(10, SPEC, 1, "sparse")
    with pytest.raises(SpecError, match="number of clips .* Received: 0 with"):
        views(10, SPEC, 0)
    with pytest.raises(SpecError, match="Received: None with prot"):
        views(10, SPEC, None, "uniform")
    with pytest.raises(SpecError, match="Received: short='mirror'"):
        frames_of(np.arange(5), 9, SPEC, "mirror")
    with pytest.raises(SpecError, match="at least 1 frame"):
        frames_of(np.arange(5), 0, SPEC)


def test_dense_clips_are_consecutive():
    placement = sampling.get_sampler("dense", SPEC)(
        90, SPEC, sampling.generator(0, 0, 0)
    )
    np.testing.assert_array_equal(np.diff(placement), 1)


def test_dense_clips_may_overlap_by_a_step():
    spec = ClipSpec(clip_length=16, temporal_stride=1, streams=("rgb",))
    starts = views(40, spec, None, "dense", step=8)[:, 0]
    assert starts.tolist() == [0, 8, 16, 24]  # C3D's clips of 16, 8 apart
    assert views(42, spec, None, "dense", step=8)[-1, -1] == 41
    with pytest.raises(SpecError, match="`step` is of dense clips"):
        views(40, spec, 2, "uniform", step=8)
