"""A part of a video: its name, its frames, its flow, wherever it is read."""

import numpy as np
import pytest
from numbered_videos import numbered_frames, numbers, write_video

from keras_twostream import ClipSpec
from keras_twostream.data import clips, video_dataset
from keras_twostream.data.cache import Contract
from keras_twostream.data.cutting.clip_sources import open_source
from keras_twostream.data.extraction import extract
from keras_twostream.data.source import Part
from keras_twostream.errors import SpecError, VideoError

WHOLE = ClipSpec(
    streams=("rgb",),
    clip_length=4,
    sampling="whole",
    short_side=48,
    crop=(48, 64),
    frame_rate=25.0,
)


@pytest.mark.parametrize(
    "path, part",
    [
        ("a.mp4", Part("a.mp4")),
        ("a.mp4#t=1.5,20", Part("a.mp4", 1.5, 20.0)),
        ("take #t=3.mp4", Part("take #t=3.mp4")),
    ],
)
def test_a_path_ends_in_the_seconds_it_means(path, part):
    assert Part.of(path) == part
    assert str(part) == path


@pytest.mark.parametrize("rate", [25.0, None])
def test_clips_of_a_part_hold_its_frames_alone(video, rate):
    spec = WHOLE.replace(frame_rate=rate)
    shown = clips(f"{video}#t=0.4,0.8", spec)["rgb"][0]
    assert numbers(shown).tolist() == [10, 13, 16, 19]


def test_a_part_of_uneven_frames_follows_the_clock(tmp_path):
    times = [40 * number for number in range(10)]
    times += [2000 + time for time in times]
    path = tmp_path / "a.mkv"
    write_video(path, numbered_frames(20), times=times)
    spec = WHOLE.replace(frame_rate=None)
    shown = clips(f"{path}#t=1.99,2.16", spec)["rgb"][0]
    assert numbers(shown).tolist() == [10, 11, 12, 13]


def test_a_short_part_begins_again_inside_itself(video):
    spec = WHOLE.replace(sampling="uniform", clip_length=6)
    shown = clips(f"{video}#t=0.4,0.52", spec)["rgb"][0]
    assert numbers(shown).tolist() == [10, 11, 12, 10, 11, 12]


def test_flow_of_a_part_is_that_of_its_frames(video, tmp_path):
    spec = WHOLE.replace(streams=("rgb", "flow"), flow_length=1)
    extract(video, tmp_path, Contract.of(spec, 16, "raw"), workers=1)
    packed = tmp_path / "numbered.mp4.safetensors"
    from_video = clips(f"{video}#t=0.4,0.8", spec)
    from_cache = clips(f"{packed}#t=0.4,0.8", spec)
    assert numbers(from_cache["rgb"][0]).tolist() == [10, 13, 15, 18]
    np.testing.assert_allclose(
        from_cache["flow"], from_video["flow"], atol=2e-3
    )


@pytest.mark.parametrize("cache", [None, "memory", "folder"])
def test_parts_of_one_video_are_items_of_their_own(video, tmp_path, cache):
    items = [(f"{video}#t=0.4,0.8", 0), (f"{video}#t=1.2,1.6", 1)]
    cache = str(tmp_path / "cache") if cache == "folder" else cache
    dataset = video_dataset(items, WHOLE, 2, cache=cache)
    shown, labels = next(iter(dataset))
    assert [numbers(clip).tolist() for clip in shown["rgb"].numpy()] == [
        [10, 13, 16, 19],
        [30, 33, 36, 39],
    ]
    assert labels.numpy().tolist() == [0, 1]


def test_a_part_behind_the_end_is_set_aside(video):
    with pytest.raises(VideoError, match=r"no frame there; it lasts 1\.60 s"):
        open_source(f"{video}#t=2,3", WHOLE)
    items = [(f"{video}#t=2,3", 0), (f"{video}#t=0,1", 1)]
    dataset = video_dataset(items, WHOLE, 1, training=True)
    with pytest.warns(UserWarning, match="Set aside: Cannot read"):
        assert [label.numpy().tolist() for _, label in dataset] == [[1], [1]]


def test_seconds_need_a_frame_rate(video, tmp_path):
    spec = WHOLE.replace(frame_rate=None)
    extract(video, tmp_path, Contract.of(spec), workers=1)
    packed = tmp_path / "numbered.mp4.safetensors"
    with pytest.raises(SpecError, match="nothing tells its frame rate"):
        open_source(f"{packed}#t=0,1", spec)
