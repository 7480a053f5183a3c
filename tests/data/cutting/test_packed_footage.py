"""Clips of packed files: plane by plane, or by whole fields."""

import numpy as np
import pytest
from numbered_videos import write_video

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from keras_twostream import ClipSpec
from keras_twostream.data import read_annotations
from keras_twostream.data.cache import Contract, open_packed
from keras_twostream.data.cutting import cropping, packed_footage
from keras_twostream.data.cutting.packed_footage import PackedFootage
from keras_twostream.data.extraction import extract
from keras_twostream.data.feeding.pipeline import video_dataset

SPEC = ClipSpec(
    clip_length=3,
    temporal_stride=2,
    train_strides=(1, 3),
    flow_length=2,
    short_side=48,
    crop=(40, 40),
    frame_rate=None,
    flow_bound=8.0,
    flow_algorithm="farneback",
)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Moving texture, each video of another width."""
    folder = tmp_path_factory.mktemp("videos")
    random = np.random.default_rng(0)
    for i in range(6):
        canvas = random.integers(0, 256, (16, 40, 3), np.uint8)
        canvas = canvas.repeat(8, 0).repeat(8, 1)
        frames = [
            canvas[10 + t : 58 + t, 2 * t : 64 + 8 * i + 2 * t]
            for t in range(10 + i)
        ]
        (folder / str(i % 2)).mkdir(exist_ok=True)
        write_video(folder / str(i % 2) / f"{i}.mp4", np.stack(frames))
    return folder


def batches(items, spec, **options):
    options = {"training": True, "drop_remainder": False, **options}
    dataset = video_dataset(items, spec, 4, **options)
    return [
        ({name: array.numpy() for name, array in clip.items()}, label.numpy())
        for clip, label in dataset
    ]


def field_by_field(monkeypatch):
    """Cut flow as that of other tools: whole fields, in pixels."""
    monkeypatch.setattr(PackedFootage, "serves", lambda *arguments: False)


@pytest.mark.parametrize(
    "encoding, bits, changes, options",
    [
        ("jpeg", 8, {}, {}),
        ("jpeg", 16, {"streams": ("flow",)}, {"augment": "scale_jitter"}),
        ("png", 8, {"streams": ("rgb",)}, {"colour": 0.4}),
        ("png", 16, {"frames_per_step": 2}, {"flow_values": "unscaled"}),
        ("raw", 8, {"crop": (72, 72)}, {"short": "pad"}),
        ("raw", 16, {"clip_length": 1, "flow_length": 5}, {}),
        ("raw", 16, {"sampling": "segments"}, {"training": False}),
        ("raw", 16, {"flow_length": 12, "flow_offset": -6}, {"short": "pad"}),
        ("jpeg", 8, {"mean_subtraction": True}, {"augment": "random"}),
    ],
)
def test_clips_are_those_of_whole_fields(
    videos, tmp_path, monkeypatch, encoding, bits, changes, options
):
    spec = SPEC.replace(stream_weights=(), **changes)
    contract = Contract.of(spec, bits, encoding)
    extract(videos, tmp_path, contract, workers=1)
    options = {"cache": tmp_path, "seed": 5, **options}
    items = read_annotations(videos)
    planes = batches(items, spec, **options)
    field_by_field(monkeypatch)
    fields = batches(items, spec, **options)
    assert len(planes) == len(fields) == 2
    for (clip, label), (other, other_label) in zip(planes, fields, strict=True):
        np.testing.assert_array_equal(label, other_label)
        assert clip.keys() == other.keys() == set(spec.streams)
        for name in clip:
            assert clip[name].dtype == other[name].dtype
        if "rgb" in clip:
            np.testing.assert_array_equal(clip["rgb"], other["rgb"])
        if "flow" in clip:
            np.testing.assert_allclose(clip["flow"], other["flow"], atol=1e-4)


def test_a_packed_list_makes_no_whole_field(videos, tmp_path, monkeypatch):
    extract(videos, tmp_path, Contract.of(SPEC, 16, "raw"), workers=1)
    items = read_annotations(tmp_path)

    def refuse(*arguments):
        raise ZeroDivisionError("a whole field was cropped")

    monkeypatch.setattr(cropping, "crop_flow", refuse)
    assert sum(len(label) for _, label in batches(items, SPEC)) == 6


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_a_damaged_image_sets_its_file_aside(videos, tmp_path, stream):
    extract(videos, tmp_path, Contract.of(SPEC, 8, "jpeg"), workers=1)
    items = read_annotations(tmp_path)
    packed = open_packed(items.paths[3])
    content = bytearray(open(packed.path, "rb").read())
    for start, length in getattr(packed, stream).tolist():
        content[start : start + length] = bytes(length)
    open(packed.path, "wb").write(content)
    dataset = video_dataset(items, SPEC, 3, training=True)
    with pytest.warns(UserWarning, match="Set aside: Cannot read .* damaged"):
        clips = sum(len(label) for _, label in dataset)
    assert clips == 6
    assert list(dataset.skipped) == [packed.path]
    assert packed.path in dataset.skipped[packed.path]


@pytest.mark.parametrize("count", [3, 130])
def test_planes_lie_side_by_side_however_many(count):
    planes = [np.full((2, 3), k, np.float32) for k in range(count)]
    result = np.empty((2, 3, count), np.float32)
    packed_footage._side_by_side(planes, result)
    assert (result == np.arange(count)).all()


def test_a_batch_stays_as_it_is_while_others_are_read(videos, tmp_path):
    extract(videos, tmp_path, Contract.of(SPEC, 16, "raw"), workers=1)
    dataset = video_dataset(
        read_annotations(tmp_path), SPEC, 2, training=True, repeat=True
    )
    held = [clip["flow"] for clip, _ in dataset.take(12)]
    again = iter(dataset)
    for flow in held:
        np.testing.assert_array_equal(flow, next(again)[0]["flow"])


def test_what_the_cache_lacks_is_cut_in_python(videos, tmp_path):
    cache = tmp_path / "cache"
    some = videos / "0"
    extract(some, cache / "0", Contract.of(SPEC, 16, "raw"), workers=1)
    (cache / "0" / "cache.json").rename(cache / "cache.json")
    items = read_annotations(videos)
    assert len(list(cache.rglob("*.safetensors"))) == 3
    first = batches(items, SPEC, cache=cache)
    assert len(list(cache.rglob("*.safetensors"))) == 6
    second = batches(items, SPEC, cache=cache)
    for (clip, _), (other, _) in zip(first, second, strict=True):
        np.testing.assert_allclose(clip["flow"], other["flow"], atol=1e-4)


def test_one_frame_has_no_flow_to_read(tmp_path):
    folder = tmp_path / "videos" / "a"
    folder.mkdir(parents=True)
    write_video(folder / "one.mp4", np.zeros((1, 48, 64, 3), np.uint8))
    extract(tmp_path / "videos", tmp_path / "cache", Contract.of(SPEC))
    clips = batches(
        read_annotations(tmp_path / "videos"), SPEC, cache=tmp_path / "cache"
    )
    assert not clips[0][0]["flow"].any()


def test_a_resumed_run_sees_the_same_clips(videos, tmp_path):
    extract(videos, tmp_path, Contract.of(SPEC, 16, "raw"), workers=1)
    items = read_annotations(tmp_path)
    options = {"start_epoch": 2, "drop_remainder": False}
    whole = batches(items, SPEC, **options)
    rest = batches(items, SPEC, start_step=1, **options)
    for (clip, _), (other, _) in zip(whole[1:], rest, strict=True):
        np.testing.assert_array_equal(clip["flow"], other["flow"])
        np.testing.assert_array_equal(clip["rgb"], other["rgb"])
