"""Batches from a packed cache, which a training fills as it goes."""

import errno

import numpy as np
import pytest
from numbered_videos import numbered_frames, write_video

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from keras_twostream import ClipSpec
from keras_twostream.data import clips, read_annotations
from keras_twostream.data.cache import CacheFolder, Contract
from keras_twostream.data.cache import store as store
from keras_twostream.data.extraction import extract
from keras_twostream.data.feeding.pipeline import video_dataset
from keras_twostream.errors import SpecError

SPEC = ClipSpec(
    clip_length=2,
    temporal_stride=2,
    flow_length=2,
    short_side=24,
    crop=(16, 16),
    frame_rate=None,
)


@pytest.fixture
def items(tmp_path):
    folder = tmp_path / "videos"
    for label in (0, 1):
        (folder / str(label)).mkdir(parents=True)
    paths = [folder / str(i % 2) / f"{i}.mp4" for i in range(4)]
    return [
        (write_video(path, numbered_frames(20 + i), qp="1"), i)
        for i, path in enumerate(paths)
    ]


def batches(items, spec=SPEC, **options):
    dataset = video_dataset(items, spec, 2, training=True, **options)
    return [
        ({name: array.numpy() for name, array in clip.items()}, label.numpy())
        for clip, label in dataset
    ]


def assert_close(left, right):
    """The same clips, up to what JPEG and 16 bits take away."""
    for (clip, label), (other, other_label) in zip(left, right, strict=True):
        np.testing.assert_array_equal(label, other_label)
        frames = clip["rgb"].astype(float) - other["rgb"]
        assert np.abs(frames).mean() < 3
        assert np.abs(clip["flow"] - other["flow"]).mean() < 0.02


def test_training_fills_the_cache_with_missing_videos(items, tmp_path):
    out = tmp_path / "cache"
    first = batches(items, cache=out)
    assert len(CacheFolder(out).entries()) == 4
    assert (out / "0" / "2.mp4.safetensors").exists()
    assert_close(first, batches(items))


def test_no_cache_is_filled_where_its_videos_are(items, tmp_path):
    folder = items[0][0].parent
    (tmp_path / "link").symlink_to(folder)
    for place in (folder, folder.parent, tmp_path / "link"):
        with pytest.raises(SpecError, match="holds no videos"):
            video_dataset(items, SPEC, 2, cache=place)
    assert not list(folder.rglob("*.safetensors"))


def test_a_bound_is_checked_before_anything_is_read():
    with pytest.raises(SpecError, match="`bound` must be greater than 0"):
        video_dataset([("missing.mp4", 0)], SPEC, 2, bound=float("nan"))


def test_the_second_epoch_only_reads(items, tmp_path, monkeypatch):
    out = tmp_path / "cache"
    first = batches(items, cache=out)

    def refuse(*arguments):
        raise ZeroDivisionError("extracted twice")

    monkeypatch.setattr(store, "pack_video", refuse)
    for path, _ in items:
        path.unlink()  # not needed any more
    second = batches(items, cache=out)
    for (clip, _), (other, _) in zip(first, second, strict=True):
        np.testing.assert_allclose(clip["flow"], other["flow"], atol=1e-4)


def test_what_extract_wrote_is_what_training_reads(items, tmp_path):
    out = tmp_path / "cache"
    extract(tmp_path / "videos", out, Contract.of(SPEC), workers=1)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.saf*")}
    assert_close(batches(items, cache=out), batches(items))
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.saf*")}
    assert after == before


def test_a_cache_for_other_clips_is_an_error(items, tmp_path):
    out = tmp_path / "cache"
    extract(items[0][0], out, Contract.of(SPEC))
    other = SPEC.replace(flow_bound=5.0)
    with pytest.raises(SpecError, match="flow_bound=20.0, .* flow_bound=5.0"):
        video_dataset(items, other, 2, training=True, cache=out)


def test_a_cache_is_a_data_set_of_its_own(items, tmp_path):
    out = tmp_path / "cache"
    extract(tmp_path / "videos", out, Contract.of(SPEC), workers=1)
    annotations = read_annotations(out)
    assert (len(annotations), annotations.classes) == (4, ("0", "1"))
    batch = batches(annotations)
    assert batch[0][0]["flow"].shape == (2, 2, 16, 16, 4)
    with pytest.raises(SpecError, match="short_side=24, .* short_side=32"):
        batches(annotations, SPEC.replace(short_side=32))


def test_flow_alone_decodes_no_frame(items, tmp_path):
    spec = SPEC.replace(streams=("flow",))
    out = tmp_path / "cache"
    extract(tmp_path / "videos", out, Contract.of(spec), workers=1)
    path = out / "0" / "0.mp4.safetensors"
    clip = clips(path, spec)
    np.testing.assert_allclose(
        clip["flow"], clips(items[0][0], spec)["flow"], atol=0.02
    )


def test_a_disk_that_is_full_takes_no_video_out(items, tmp_path, monkeypatch):
    out, pack, calls = tmp_path / "cache", store.pack_video, []

    def fill_up(*arguments):
        calls.append(arguments)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pack(*arguments)

    monkeypatch.setattr(store, "pack_video", fill_up)
    options = {"training": True, "workers": 1, "cache": out}
    with pytest.warns(UserWarning, match="Cannot write the cache .*No spa"):
        dataset = video_dataset(items, SPEC, 2, **options)
        first, second = list(dataset), list(dataset)  # two epochs
    assert not dataset.skipped
    assert len(calls) == 3
    assert len(CacheFolder(out).entries()) == 2
    for epoch in (first, second):
        labels = np.concatenate([label for _, label in epoch])
        assert sorted(labels) == [0, 1, 2, 3]


def test_an_unreadable_video_is_set_aside(items, tmp_path):
    broken = tmp_path / "videos" / "0" / "broken.mp4"
    broken.write_text("no video")
    with pytest.warns(UserWarning, match="Set aside: Cannot read"):
        clips = batches(
            [*items, (broken, 0)],
            cache=tmp_path / "cache",
            drop_remainder=False,
        )
    assert sum(len(label) for _, label in clips) == 5
