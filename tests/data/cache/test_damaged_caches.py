"""A cache that is damaged is read as far as it can be, or refused."""

import dataclasses
import json
import os
import random
import shutil

import numpy as np
import pytest
from damage import damaged, never_hangs
from small_extraction import CONTRACT, content

from keras_twostream import ClipSpec
from keras_twostream.data.cache import (
    CacheFolder,
    Contract,
    PackedSource,
    images,
)
from keras_twostream.data.cache.contract import RULES
from keras_twostream.data.doctor import examine
from keras_twostream.data.extraction import extract
from keras_twostream.errors import SpecError, TwoStreamError, VideoError

TRIES = 200
SPEC = ClipSpec(short_side=32, crop=(32, 32), frame_rate=None)


@pytest.fixture(scope="module")
def cache(videos, tmp_path_factory):
    out = tmp_path_factory.mktemp("cache")
    extract(videos, out, CONTRACT, workers=1)
    return out


@pytest.fixture
def copy(cache, tmp_path):
    return shutil.copytree(cache, tmp_path / "copy")


@pytest.mark.parametrize("name", ["cache.json", "roots.json", "manifest.jsonl"])
def test_damaged_records_are_read_or_refused(copy, name):
    rng = random.Random(name)
    whole = (copy / name).read_bytes()
    folder, refused = CacheFolder(copy), 0
    for _ in range(TRIES):
        (copy / name).write_bytes(damaged(whole, rng))
        try:
            with never_hangs():
                contract = folder.contract()
                assert all(isinstance(root, str) for root in folder.roots())
                entries = folder.entries()
            assert contract.short_side <= 2**14
            assert all(len(x.size) == 2 for x in entries.values())
        except TwoStreamError as error:
            refused += 1
            assert str(copy / name) in str(error)
    assert refused > 0 or name != "cache.json"


def test_damaged_packed_files_are_read_or_refused(copy):
    rng = random.Random(0)
    path = copy / "class0" / "v0.mp4.safetensors"
    whole = path.read_bytes()
    head = 8 + int.from_bytes(whole[:8], "little")
    refused = 0
    for _ in range(TRIES):
        path.write_bytes(damaged(whole[:head], rng) + whole[head:])
        try:
            with never_hangs():
                source = PackedSource(path, SPEC)
                source.read(np.array([0, source.frames - 1]))
                source.fields(np.array([[0, 1]]))
        except TwoStreamError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > TRIES / 2


def test_a_damaged_line_costs_its_own_video_alone(videos, copy):
    manifest = copy / "manifest.jsonl"
    before = CacheFolder(copy).entries()
    lines = manifest.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(b"class", b"cl\xffss", 1)
    manifest.write_bytes(b"\n".join(lines))
    left = CacheFolder(copy).entries()
    assert len(left) == 5 and left.items() <= before.items()
    assert extract(videos, copy, CONTRACT, workers=1).present == 6
    assert CacheFolder(copy).entries() == before


def test_a_line_behind_a_cut_off_one_is_kept(copy):
    manifest = copy / "manifest.jsonl"
    before = CacheFolder(copy).entries()
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(lines[0][:40] + b"".join(lines[1:]))
    left = CacheFolder(copy).entries()
    assert len(left) == 5 and left.items() <= before.items()


@pytest.mark.parametrize("text", ["{", "7", "[1]", ""])
def test_damaged_roots_are_forgotten_and_written_anew(copy, text):
    (copy / "roots.json").write_text(text)
    folder = CacheFolder(copy)
    assert folder.roots() == []
    folder.add_roots(["here"])
    assert folder.roots() == ["here"]


def test_an_entry_outside_the_folder_is_ignored(copy):
    manifest = copy / "manifest.jsonl"
    line = json.loads(manifest.read_bytes().splitlines()[0])
    line["source"] = "../../elsewhere"
    with manifest.open("a") as file:
        file.write(json.dumps(line) + "\n")
    assert "../../elsewhere" not in CacheFolder(copy).entries()


@pytest.mark.parametrize("field", ["flow_bound", "short_side", "streams"])
def test_a_contract_that_lacks_a_field_is_not_guessed(copy, field):
    file = copy / "cache.json"
    values = json.loads(file.read_text())
    del values[field]
    file.write_text(json.dumps(values))
    with pytest.raises(SpecError, match=f"lacks the field `{field}`.*Delete"):
        CacheFolder(copy).contract()


def test_every_field_of_a_contract_has_a_rule():
    assert {field.name for field in dataclasses.fields(Contract)} == set(RULES)
    values = json.loads(json.dumps(CONTRACT.to_json()))
    assert Contract.from_json(values, "here") == CONTRACT


def test_a_pipe_is_no_record(tmp_path):
    os.mkfifo(tmp_path / "cache.json")
    with pytest.raises(SpecError, match="cache.json is not a file"):
        CacheFolder(tmp_path).contract()
    assert CacheFolder(tmp_path).entries() == {}


def test_the_doctor_reads_a_damaged_cache(copy):
    (copy / "cache.json").write_text("{")
    path = copy / "class0" / "v0.mp4.safetensors"
    path.write_bytes(b"\0" * 100)
    with pytest.raises(SpecError, match="cache.json is damaged"):
        examine(copy)
    (copy / "cache.json").unlink()
    texts = [finding.text for finding in examine(copy).findings]
    assert any(text.startswith("Files that cannot be opened") for text in texts)


def test_frames_of_an_impossible_size_are_refused(copy):
    path = copy / "class0" / "v0.mp4.safetensors"
    whole = path.read_bytes()
    about = b'\\"size\\": [3'
    assert whole.count(about) == 1
    path.write_bytes(whole.replace(about, b'\\"size\\": [-'))
    with pytest.raises(VideoError, match="`size` in .* must lie in 1..16384"):
        PackedSource(path, SPEC)


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_a_picture_that_claims_to_be_huge_is_not_decoded(encoding, monkeypatch):
    contract = Contract(rgb_encoding=encoding)
    payload = bytearray(
        images.pack_frame(np.zeros((20, 30, 3), np.uint8), contract)
    )
    output = b"\0\x14\0\x1e" if encoding == "jpeg" else b"\0\0\0\x1e\0\0\0\x14"
    place = payload.index(output)
    payload[place : place + len(output)] = b"\xff" * len(output)
    monkeypatch.setattr(images.cv2, "imdecode", pytest.fail)
    with pytest.raises(ValueError, match="its header says"):
        content = np.frombuffer(payload, np.uint8)
        images.unpack_frame(content, (20, 30), contract)


def test_damage_leaves_no_trace_in_the_original(cache, undisturbed):
    assert content(cache) == undisturbed
