"""Clips as arrays: the right frames, both streams alike, files or frames."""

import numpy as np
import pytest
from numbered_videos import numbered_frames, numbers, write_video

from keras_twostream import ClipSpec, flow
from keras_twostream.data import clips, read_frames
from keras_twostream.data.cutting.clip_frames import frames_of
from keras_twostream.data.cutting.cropping import (
    Crop,
    crop_flow,
    view_crops,
)
from keras_twostream.data.cutting.footage import Footage
from keras_twostream.data.video.resizing import fitted
from keras_twostream.errors import SpecError

SPEC = ClipSpec(
    clip_length=3,
    temporal_stride=4,
    flow_length=2,
    short_side=32,
    crop=(24, 24),
)


def moving_frames(count=30, height=32, width=48):
    """A random texture that moves 2 pixels to the right each frame."""
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (height // 4, width // 2), np.uint8)
    wide = wide.repeat(4, 0).repeat(4, 1)[..., None].repeat(3, -1)
    start = wide.shape[1] - width
    return np.stack([wide[:, start - 2 * t :][:, :width] for t in range(24)])[
        :count
    ]


def test_clips_have_the_shapes_and_types_of_the_spec(video):
    arrays = clips(video, SPEC, count=4)
    assert arrays["rgb"].shape == (4, 3, 24, 24, 3)
    assert arrays["flow"].shape == (4, 3, 24, 24, 4)
    assert arrays["rgb"].dtype == np.uint8
    assert arrays["flow"].dtype == np.float32


def test_the_frames_are_those_of_the_spec(video):
    arrays = clips(video, SPEC, count=1)
    start = (40 - SPEC.span()) // 2
    expected = start + SPEC.rgb_frames()[:, 0]
    assert numbers(arrays["rgb"][0]).tolist() == expected.tolist()


def test_several_frames_per_step_go_on_the_channels(video):
    spec = SPEC.replace(streams=("rgb",), frames_per_step=2, frame_gap=3)
    arrays = clips(video, spec, count=2, protocol="dense")
    assert list(arrays) == ["rgb"]
    assert arrays["rgb"].shape == (2, 3, 24, 24, 6)
    first, second = arrays["rgb"][..., :3], arrays["rgb"][..., 3:]
    apart = numbers(second.reshape(-1, 24, 24, 3)) - numbers(
        first.reshape(-1, 24, 24, 3)
    )
    assert set(apart) == {3}


def test_flow_is_that_of_the_frames():
    frames = moving_frames()
    arrays = clips(frames, SPEC, count=1)
    start = (len(frames) - SPEC.span()) // 2
    pairs = start + SPEC.flow_pairs()
    fields = flow.compute_pairs(frames, pairs)[:, :, 4:28, 12:36]
    for step in range(3):
        np.testing.assert_array_equal(
            arrays["flow"][0, step], flow.stack(fields[step])
        )
    assert np.median(arrays["flow"][..., 0::2]) == pytest.approx(2, abs=0.3)


@pytest.mark.parametrize("stacking", ["bidirectional", "trajectory"])
def test_every_stacking_has_its_shape(stacking):
    spec = SPEC.replace(stacking=stacking)
    arrays = clips(moving_frames(), spec, count=2)
    assert arrays["flow"].shape == (2, 3, 24, 24, 4)
    sign = -1 if stacking == "bidirectional" else 1
    assert np.median(arrays["flow"][..., 2]) == pytest.approx(2 * sign, abs=0.3)


@pytest.mark.parametrize("crops", ["centre", "10-crop", "3-crop"])
def test_trajectories_are_followed_on_the_whole_frame(crops):
    spec = SPEC.replace(stacking="trajectory")
    frames = moving_frames()
    arrays = clips(frames, spec, crops=crops)
    pairs = (len(frames) - spec.span()) // 2 + spec.flow_pairs()
    stacks = np.stack(
        [
            flow.stack(fields, "trajectory")
            for fields in flow.compute_pairs(frames, pairs)
        ]
    )
    wanted = view_crops(*frames.shape[1:3], spec.crop, crops)
    for row, crop in zip(arrays["flow"], wanted, strict=True):
        np.testing.assert_allclose(row, crop_flow(stacks, crop), atol=1e-5)


def test_trajectories_run_both_ways_from_the_middle_frame():
    spec = SPEC.replace(stacking="bidirectional_trajectory", flow_length=4)
    frames = moving_frames()
    arrays = clips(frames, spec, crops="10-crop")
    pairs = (len(frames) - spec.span()) // 2 + spec.flow_pairs()
    fields = flow.compute_pairs(frames, pairs)
    halves = [
        [flow.stack(step[half], "trajectory") for step in fields]
        for half in (slice(0, 2), slice(2, 4))
    ]
    stacks = np.concatenate(halves, axis=-1)
    wanted = view_crops(*frames.shape[1:3], spec.crop, "10-crop")
    for row, crop in zip(arrays["flow"], wanted, strict=True):
        np.testing.assert_allclose(row, crop_flow(stacks, crop), atol=1e-5)


def test_the_mean_that_is_subtracted_is_that_of_the_whole_frame():
    spec = SPEC.replace(mean_subtraction=True)
    frames = moving_frames()
    frames[:, :, 30:] = frames[0, :, 30:]  # still, mostly outside the crop
    pairs = (len(frames) - spec.span()) // 2 + spec.flow_pairs()
    fields = flow.compute_pairs(frames, pairs)
    fields -= fields.mean(axis=(2, 3), keepdims=True)
    (clip,) = clips(frames, spec)["flow"]
    for step, wanted in zip(clip, fields[:, :, 4:28, 12:36], strict=True):
        np.testing.assert_allclose(step, flow.stack(wanted), atol=1e-5)
    assert abs(clip[..., 0::2].mean()) > 0.1  # the crop's own mean is not 0


def test_crops_of_one_clip_stand_together():
    frames = moving_frames()
    ten = clips(frames, SPEC, count=2, crops="10-crop")
    assert ten["rgb"].shape == (20, 3, 24, 24, 3)
    centre = clips(frames, SPEC, count=2)
    np.testing.assert_array_equal(ten["rgb"][4::10], centre["rgb"])
    np.testing.assert_array_equal(ten["flow"][4::10], centre["flow"])
    np.testing.assert_array_equal(
        ten["rgb"][9::10], centre["rgb"][:, :, :, ::-1]
    )
    np.testing.assert_array_equal(
        ten["flow"][9::10], flow.mirror(centre["flow"])
    )
    whole = clips(frames, SPEC, crops="whole")
    assert whole["flow"].shape == (1, 3, 32, 48, 4)


def test_a_file_and_its_frames_give_the_same(video):
    from_file = clips(video, SPEC, count=3)
    from_frames = clips(read_frames(video), SPEC, count=3)
    for stream in SPEC.streams:
        np.testing.assert_array_equal(from_file[stream], from_frames[stream])


def test_frames_as_large_as_the_middle_are_still_resized():
    spec = SPEC.replace(streams=("rgb",), short_side=48, cut_to=(24, 24))
    frames = np.random.default_rng(0).integers(0, 255, (4, 24, 24, 3), "uint8")
    shown = clips(frames[:1], spec)["rgb"][0, 0]
    large = fitted(frames[0], short_side=48)
    np.testing.assert_array_equal(shown, large[12:36, 12:36])


def test_the_video_is_brought_to_the_rate_of_the_spec(tmp_path):
    path = write_video(
        tmp_path / "fast.mp4", numbered_frames(60), rate=50, qp="1"
    )
    spec = SPEC.replace(streams=("rgb",), temporal_stride=2)
    shown = numbers(clips(path, spec)["rgb"][0])
    assert np.diff(shown).tolist() == [4, 4]
    own_rate = numbers(clips(path, spec.replace(frame_rate=None))["rgb"][0])
    assert np.diff(own_rate).tolist() == [2, 2]


def test_a_video_shorter_than_the_clip_is_looped():
    frames = moving_frames(3)  # 5 at a stride of 1
    loop = clips(frames, SPEC, short="loop")
    assert np.median(loop["flow"][..., 0::2]) == pytest.approx(2, abs=0.3)
    pad = clips(frames, SPEC, short="pad")
    assert np.abs(pad["flow"][0, -1]).max() == 0
    still = clips(frames[:1], SPEC)
    assert np.abs(still["flow"]).max() == 0


def test_footage_keeps_the_leading_axes():
    frames = moving_frames()
    chosen = frames_of(np.arange(6).reshape(1, 2, 3), len(frames), SPEC)
    footage = Footage(frames[chosen.needed], chosen.needed, chosen, SPEC)
    cropped = footage.crop(Crop(0, 0, 16, 16, (16, 16)))
    assert cropped["rgb"].shape == (1, 2, 3, 16, 16, 3)
    assert cropped["flow"].shape == (1, 2, 3, 16, 16, 4)


def test_frames_that_are_not_0_to_255():
    frames = moving_frames()
    as_floats = clips(frames.astype(np.float32), SPEC)
    np.testing.assert_array_equal(as_floats["rgb"], clips(frames, SPEC)["rgb"])
    with pytest.raises(SpecError, match=r"0\.\.255.*from 0 to 0\.9"):
        clips(frames / 255.0, SPEC)
    with pytest.raises(SpecError, match=r"\(T, H, W, 3\) array"):
        clips(frames[0], SPEC)
    with pytest.raises(SpecError, match="Give at least one"):
        clips(frames[:0], SPEC)


@pytest.mark.parametrize("bound", [0, -3, float("nan")])
def test_a_bound_is_checked_for_frames_too(bound):
    with pytest.raises(SpecError, match="`bound` must be greater than 0"):
        clips(moving_frames(), SPEC, bound=bound)


@pytest.mark.parametrize("kind", ["?", "c16", "O", "U3", "M8[s]"])
def test_frames_of_other_types_are_refused(kind):
    frames = moving_frames().astype("i8").astype(kind)
    with pytest.raises(SpecError, match=r"dtype=.*astype\('uint8'\)"):
        clips(frames, SPEC)
