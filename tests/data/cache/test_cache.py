"""The packed cache: what goes in comes out, whole or not at all."""

import dataclasses
import json
import os
import threading

import numpy as np
import pytest
from numbered_videos import numbered_frames, numbers, write_video
from safetensors import safe_open

from keras_twostream import ClipSpec, _files, flow
from keras_twostream.data import cache, read_frames
from keras_twostream.data.cache import packed_file, packing
from keras_twostream.data.cache.contract import VERSION
from keras_twostream.errors import SpecError, VideoError

SPEC = ClipSpec(
    clip_length=2, flow_length=2, short_side=24, crop=(16, 16), frame_rate=None
)
RAW = cache.Contract.of(SPEC, encoding="raw")


def pack(video, path, contract=RAW):
    return cache.pack_video(video, path, contract, video.name)


def pairs(count):
    return np.stack([np.arange(count - 1), np.arange(1, count)], axis=-1)


@pytest.fixture(scope="module")
def packed(video, tmp_path_factory):
    path = tmp_path_factory.mktemp("cache") / "v.mp4.safetensors"
    return path, pack(video, path)


def test_every_frame_and_field_is_there(video, packed):
    path, entry = packed
    source = cache.PackedSource(path, SPEC)
    assert (entry.frames, entry.flows, source.frames) == (40, 39, 40)
    frames = read_frames(video, short_side=24)
    np.testing.assert_array_equal(source.read(np.arange(40)), frames)
    fields = flow.compute(frames)
    error = np.abs(source.fields(pairs(40)) - fields.clip(-20, 20))
    assert error.max() <= 20 / 65535 + 1e-5


@pytest.mark.parametrize("one, other", [("tidy", "add"), ("roots", "roots")])
def test_no_line_of_two_runs_at_once_is_lost(
    packed, tmp_path, monkeypatch, one, other
):
    """A second process writes while the first replaces the same file."""
    entry = dataclasses.replace(packed[1], source="b.mp4")
    deeds = {
        "tidy": lambda folder, _: folder.tidy(),
        "add": lambda folder, _: folder.add(entry),
        "roots": lambda folder, number: folder.add_roots([f"/{number}"]),
    }
    first, second = (cache.CacheFolder(tmp_path) for _ in "ab")
    first.add(packed[1])
    second_run = threading.Thread(target=deeds[other], args=(second, 2))
    write = _files.write_text

    def slowly(path, text):
        if not second_run.ident:
            second_run.start()
            second_run.join(0.3)
        write(path, text)

    monkeypatch.setattr(_files, "write_text", slowly)
    deeds[one](first, 1)
    second_run.join()
    sources = {"numbered.mp4"} | ({"b.mp4"} if other == "add" else set())
    assert set(first.entries()) == sources
    assert first.roots() == (["/1", "/2"] if other == "roots" else [])


@pytest.mark.parametrize(
    ("bits", "encoding", "error"),
    [(8, "jpeg", 1.5), (16, "jpeg", 0.001), (8, "png", 0.08), (8, "raw", 0.08)],
)
def test_each_encoding_gives_back_what_it_can(
    video, tmp_path, bits, encoding, error
):
    contract = cache.Contract.of(SPEC, bits=bits, encoding=encoding)
    path = tmp_path / "v.safetensors"
    pack(video, path, contract)
    source = cache.PackedSource(path, SPEC)
    frames = read_frames(video, short_side=24)
    np.testing.assert_array_equal(
        numbers(source.read(np.array([7, 3]))), numbers(frames[[7, 3]])
    )
    computed = flow.compute(frames[10:13]).clip(-20, 20)
    kept = source.fields(np.array([[10, 11], [11, 12]]))
    assert np.abs(kept - computed).max() <= error


def test_chunks_leave_no_seam(video, tmp_path, monkeypatch, packed):
    monkeypatch.setattr(packing, "CHUNK", 3)
    path = tmp_path / "v.mp4.safetensors"
    pack(video, path)
    size = 24, 32
    other = cache.PackedSource(path, SPEC)
    assert other.size == size
    np.testing.assert_array_equal(
        other.fields(pairs(40)),
        cache.PackedSource(packed[0], SPEC).fields(pairs(40)),
    )


def test_any_reader_of_safetensors_opens_it(packed):
    with safe_open(packed[0], "np") as file:
        assert set(file.keys()) == {"bytes", "rgb", "flow"}
        assert file.get_tensor("flow").shape == (39, 2)
        metadata = json.loads(file.metadata()["keras_twostream"])
    assert metadata["contract"]["flow_algorithm"] == "dis"


def test_a_frame_paired_with_itself_rests(packed):
    source = cache.PackedSource(packed[0], SPEC)
    fields = source.fields(np.array([[39, 39], [0, 1]]))
    assert not fields[0].any()
    with pytest.raises(SpecError, match="from each frame to the next"):
        source.fields(np.array([[0, 2]]))


# === The contract ===


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"flow_bound": 32.0}, "flow_bound=20.0, .* needs flow_bound=32.0"),
        (
            {"flow_algorithm": "tvl1"},
            "flow_algorithm='dis', .* needs flow_algorithm='tvl1'",
        ),
        (
            {"flow_parameters": {"preset": "fast"}},
            r"flow_parameters=.*, .*preset': 'fast'",
        ),
        ({"short_side": 32}, "short_side=24, .* needs short_side=32"),
        ({"frame_rate": 10.0}, "frame_rate=None, .* needs frame_rate=10.0"),
        ({"resize_to": (24, 32)}, r"resize_to=None, .*=.24, 32"),
        ({"resize_filter": "bilinear"}, "resize_filter='area', .*'bilinear'"),
        ({"stacking": "bidirectional"}, "holds forward flow only"),
        ({"stacking": "bidirectional_trajectory"}, "forward flow only.*_traj"),
    ],
)
def test_clips_that_a_cache_was_not_made_for_are_refused(packed, change, text):
    with pytest.raises(SpecError, match=text):
        cache.PackedSource(packed[0], SPEC.replace(**change))


def test_a_missing_stream_is_named(video, tmp_path):
    rgb = SPEC.replace(streams=("rgb",))
    path = tmp_path / "v.safetensors"
    pack(video, path, cache.Contract.of(rgb))
    cache.PackedSource(path, rgb.replace(flow_bound=1.0))  # flow is not read
    with pytest.raises(SpecError, match=r"streams=\('rgb',\), .* needs str"):
        cache.PackedSource(path, SPEC)


def test_small_frames_get_16_bits():
    assert cache.Contract.of(SPEC).bits == 16
    assert cache.Contract.of(SPEC).flow_encoding == "png"
    large = cache.Contract.of(SPEC.replace(short_side=256))
    assert (large.bits, large.flow_encoding) == (8, "jpeg")
    sides = [cache.Contract.of(SPEC.replace(short_side=n)) for n in (199, 200)]
    assert [contract.bits for contract in sides] == [16, 8]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"bits": 12}, "`bits` must be one of 8, 16. Received: bits=12"),
        ({"encoding": "gif"}, "one of jpeg, png, raw. Received"),
        ({"quality": 0}, "`quality` must lie between 1 and 100. .*=0"),
    ],
)
def test_what_cannot_be_written_is_refused(options, text):
    with pytest.raises(SpecError, match=text):
        cache.Contract.of(SPEC, **options)


def test_a_folder_has_one_contract(tmp_path):
    folder = cache.CacheFolder(tmp_path)
    folder.agree(RAW)
    folder.agree(RAW)
    with pytest.raises(SpecError, match="holds a cache with bits=16"):
        folder.agree(cache.Contract.of(SPEC, encoding="raw", bits=8))


def test_of_two_that_begin_at_once_the_first_decides(tmp_path):
    cache.CacheFolder(tmp_path).agree(RAW)
    late = cache.CacheFolder(tmp_path)
    contract, before = late.contract, [None]
    late.contract = lambda: before.pop() if before else contract()
    with pytest.raises(SpecError, match="holds a cache with bits=16"):
        late.agree(cache.Contract.of(SPEC, encoding="raw", bits=8))
    assert late.contract() == RAW
    assert os.listdir(tmp_path) == ["cache.json"]


def test_a_file_system_without_links_has_contracts_too(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *_: os.rmdir("no such folder"))
    cache.CacheFolder(tmp_path).agree(RAW)
    assert cache.CacheFolder(tmp_path).contract() == RAW
    assert os.listdir(tmp_path) == ["cache.json"]


def test_the_order_of_streams_does_not_matter():
    turned = cache.Contract.of(SPEC.replace(streams=("flow", "rgb")))
    assert turned.difference(cache.Contract.of(SPEC)) is None
    with pytest.raises(SpecError, match="one or both of rgb, flow"):
        cache.Contract(streams=("depth",))


# === Whole, or not at all ===


def test_a_damaged_video_is_not_half_written(video, tmp_path, monkeypatch):
    def few(*arguments, **options):
        yield from numbered_frames(10, 24, 32)

    monkeypatch.setattr(packing.reading, "iter_frames", few)
    with pytest.raises(VideoError, match="10 of its 40 frames can be decoded"):
        pack(video, tmp_path / "v.safetensors")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("length", [0, 5, 200, 3000, -16, -1])
def test_a_cut_off_file_is_an_error(packed, tmp_path, length):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(packed[0].read_bytes()[:length])
    with pytest.raises(VideoError, match="not a packed video, or damaged"):
        cache.open_packed(path)


def test_an_index_that_points_outside_is_an_error(packed, tmp_path):
    content = bytearray(packed[0].read_bytes())
    content[-8:] = (2**40).to_bytes(8, "little")
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(VideoError, match="points outside"):
        cache.open_packed(path)


@pytest.mark.parametrize("place", [0, 65535, -65536, -1])
def test_a_video_is_known_by_both_of_its_ends(tmp_path, place):
    content = bytearray(300_000)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "longer").write_bytes(content + b"\0")
    content[place] = 1
    (tmp_path / "b").write_bytes(content)
    prints = [packed_file.fingerprint(tmp_path / x) for x in "ab"]
    prints.append(packed_file.fingerprint(tmp_path / "longer"))
    assert len(set(prints)) == 3


# === A folder ===


def test_a_file_without_its_last_field_is_refused(packed, monkeypatch):
    whole = packed_file.open_packed(packed[0])
    cut = dataclasses.replace(whole, flow=whole.flow[:-1])
    monkeypatch.setattr(packed_file, "open_packed", lambda path: cut)
    with pytest.raises(VideoError, match="it holds 38 of 39 items of flow"):
        cache.PackedSource(packed[0], SPEC)
    assert cache.PackedSource(packed[0], SPEC.replace(streams=("rgb",)))


def test_an_impossible_count_of_frames_says_what_to_do(packed, tmp_path):
    content, path = packed[0].read_bytes(), tmp_path / "v.safetensors"
    wrong = content.replace(b'frames\\": 40', b'frames\\": -4')
    assert wrong != content
    path.write_bytes(wrong)
    with pytest.raises(VideoError, match="Delete it and extract again"):
        packed_file.open_packed(path)


def test_a_file_of_a_newer_version_is_not_called_damaged(packed, tmp_path):
    content, path = packed[0].read_bytes(), tmp_path / "v.safetensors"
    ours = f'version\\": {VERSION}'.encode()
    assert content.count(ours) == 1
    path.write_bytes(content.replace(ours, b'version\\": 9'))
    with pytest.raises(SpecError, match="made by a newer keras_twostream"):
        packed_file.open_packed(path)


@pytest.mark.parametrize("name", ["../v.mp4", "a/../../v.mp4", "/tmp/v.mp4"])
def test_every_video_is_inside_the_folder(tmp_path, name):
    folder = cache.CacheFolder(tmp_path)
    with pytest.raises(SpecError, match="leads out of its folder"):
        folder.packed_path(name)
    assert folder.packed_bytes(name) is None


def test_a_line_cut_off_by_a_kill_is_passed_over(packed, tmp_path):
    folder = cache.CacheFolder(tmp_path)
    folder.add(packed[1])
    with open(tmp_path / "manifest.jsonl", "a") as file:
        file.write('{"source": "half')
    assert list(folder.entries()) == ["numbered.mp4"]
    later = dataclasses.replace(packed[1], source="later.mp4")
    folder.add(later)
    assert folder.entries() == {"numbered.mp4": packed[1], "later.mp4": later}


def test_a_video_is_found_by_the_end_of_its_path(tmp_path):
    here, there = tmp_path / "here" / "a", tmp_path / "there" / "x" / "a"
    for place in (here, there):
        place.mkdir(parents=True)
        write_video(place / "v.mp4", numbered_frames(3))
    folder = cache.CacheFolder(tmp_path / "cache")
    video = here / "v.mp4"
    cache.pack_video(video, folder.packed_path("a/v.mp4"), RAW, "a/v.mp4")
    assert folder.find(there / "v.mp4") == "a/v.mp4"
    write_video(there / "v.mp4", numbered_frames(4))
    assert folder.find(there / "v.mp4") is None
    assert folder.find(here / "gone" / "a" / "v.mp4") == "a/v.mp4"
