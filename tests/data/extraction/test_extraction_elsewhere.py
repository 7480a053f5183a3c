"""Extraction to and from URLs, and on a cluster that loses a node."""

import os
import sys
import threading
import time

import pytest
from numbered_videos import numbered_frames, write_video
from small_extraction import CONTRACT, content

from keras_twostream.data.cache import CacheFolder, addresses
from keras_twostream.data.cache.folder import ROOTS_FILE
from keras_twostream.data.extraction import extract
from keras_twostream.errors import MissingLibraryError, SpecError

# === URLs ===


@pytest.fixture
def memory(videos):
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    files.put(str(videos) + "/", "/videos/", recursive=True)
    yield files
    files.rm("/", recursive=True)


def remote_content(files, folder):
    return {
        path[len(folder) :].strip("/"): files.cat_file(path)
        for path in files.find(folder)
        if not path.endswith(ROOTS_FILE)
    }


def test_a_file_url_is_a_path(videos, undisturbed, tmp_path):
    pytest.importorskip("fsspec")
    out = tmp_path / "out"
    extract(videos.as_uri(), out.as_uri(), CONTRACT, workers=1)
    assert content(out) == undisturbed


def test_videos_behind_a_url_fill_a_cache_behind_a_url(memory, undisturbed):
    with pytest.raises(SpecError, match="holds no videos"):
        extract("memory://videos", "memory://videos/", CONTRACT)
    summary = extract("memory://videos", "memory://out", CONTRACT)
    assert summary.failed == {}
    assert summary.out == "memory://out"
    assert remote_content(memory, "/out") == undisturbed


def test_what_is_hidden_behind_a_url_is_no_video(memory, tmp_path):
    memory.pipe_file("/videos/__MACOSX/class0/._v0.mp4", b"of a Mac")
    assert extract("memory://videos", tmp_path, CONTRACT).failed == {}


def test_videos_behind_a_url_fill_a_folder(memory, undisturbed, tmp_path):
    extract("memory://videos", tmp_path, CONTRACT)
    assert content(tmp_path) == undisturbed


def test_a_second_run_at_a_url_does_nothing_twice(videos, memory, undisturbed):
    extract(videos, "memory://out", CONTRACT)
    again = extract(videos, "memory://out", CONTRACT)
    assert (len(again.done), again.present) == (0, 6)
    assert remote_content(memory, "/out") == undisturbed


def test_a_url_is_resumed_without_its_manifest(videos, memory, undisturbed):
    # A killed run copies its manifest late: packed files speak for it.
    extract(videos, "memory://out", CONTRACT)
    memory.rm("/out/manifest.jsonl")
    memory.rm("/out/class0/v0.mp4.safetensors")
    summary = extract(videos, "memory://out", CONTRACT)
    assert (len(summary.done), summary.present) == (1, 5)
    assert remote_content(memory, "/out") == undisturbed


def test_a_list_whose_videos_are_behind_a_url(memory, tmp_path):
    listed = tmp_path / "train.txt"
    listed.write_text("class0/v0.mp4 0\nclass1/v1.mp4 1\n")
    memory.put_file(str(listed), "/videos/train.txt")
    out = tmp_path / "out"
    extract(listed, out, CONTRACT, root="memory://videos")
    again = extract("memory://videos/train.txt", out, CONTRACT)
    assert again.present == 2
    assert sorted(CacheFolder(out).entries()) == [
        "class0/v0.mp4",
        "class1/v1.mp4",
    ]


def test_two_that_send_one_file_do_not_meet(memory, tmp_path, monkeypatch):
    (tmp_path / "a").write_text("whole")
    parts, put = [], type(memory).put_file

    def watch(self, source, target, **options):
        parts.append(target)
        put(self, source, target, **options)

    monkeypatch.setattr(type(memory), "put_file", watch)
    for _ in range(2):  # a process of this number on each of two machines
        addresses.publish(tmp_path / "a", "memory://out/a")
    assert len(set(parts)) == 2
    assert memory.ls("/out", detail=False) == ["/out/a"]


def test_official_splits_behind_a_url_are_read(memory, tmp_path):
    memory.pipe_file("/splits/class0_test_split1.txt", b"v0.mp4 1\n")
    memory.pipe_file("/splits/class1_test_split2.txt", b"v1.mp4 2\n")
    extract("memory://splits", tmp_path, CONTRACT, root="memory://videos")
    names = sorted(CacheFolder(tmp_path).entries())
    assert names == ["class0/v0.mp4", "class1/v1.mp4"]


def test_a_name_that_leads_out_of_the_cache_is_set_aside(memory, tmp_path):
    evil = tmp_path / "evil.mp4"
    evil.write_bytes(memory.cat_file("/videos/class0/v0.mp4"))
    names = ("../../evil.mp4", str(evil), "class0/v0.mp4")
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{name} 0\n" for name in names))
    memory.put_file(str(listed), "/videos/list.txt")
    memory.put_file(str(evil), "/evil.mp4")
    for out in (tmp_path / "a" / "b" / "cache", "memory://a/b/cache"):
        summary = extract("memory://videos/list.txt", out, CONTRACT, workers=1)
        assert [entry.source for entry in summary.done] == ["class0/v0.mp4"]
        reasons = list(summary.failed.values())
        assert len(reasons) == 2
        assert all("leads out of its folder" in item for item in reasons)
    result = [*tmp_path.rglob("*.safetensors"), *memory.find("/")]
    assert not [path for path in result if str(path).count("evil.mp4.")]


def test_a_list_may_name_files_by_their_urls(memory, videos, tmp_path):
    listed = tmp_path / "list.txt"
    file = videos / "class0" / "v0.mp4"
    listed.write_text(f"{file.as_uri()} 0\n")
    extract(listed, tmp_path / "out", CONTRACT, root="memory://videos")
    names = list(CacheFolder(tmp_path / "out").entries())
    assert names == [str(file).lstrip("/")]


def test_a_broken_video_is_named_by_its_url(memory, tmp_path):
    memory.pipe_file("/videos/class0/broken.mp4", b"no video")
    summary = extract("memory://videos", tmp_path, CONTRACT)
    assert list(summary.failed) == ["memory://videos/class0/broken.mp4"]
    assert "memory://videos/class0/broken.mp4: " in str(summary.failed)
    assert len(summary.done) == 6


def test_an_unknown_kind_of_url_is_an_error(tmp_path):
    pytest.importorskip("fsspec")
    with pytest.raises(SpecError, match="Cannot reach nowhere://videos"):
        extract("nowhere://videos", tmp_path, CONTRACT)


def test_an_empty_url_is_an_error(memory, tmp_path):
    with pytest.raises(SpecError, match="No video at memory://empty"):
        extract("memory://empty", tmp_path, CONTRACT)


# === A cluster ===


def test_an_unknown_engine_is_an_error(videos, tmp_path):
    with pytest.raises(SpecError, match="one of local, ray. .*'spark'"):
        extract(videos, tmp_path, CONTRACT, engine="spark")


def test_without_ray_the_error_says_what_to_install(
    videos, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingLibraryError, match=r"pip install .*\[ray\]"):
        extract(videos, tmp_path / "cache", CONTRACT, engine="ray")
    assert not (tmp_path / "cache").exists()


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of one processor each; the second may die."""
    ray = pytest.importorskip("ray")
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    options = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    nodes = cluster_utils.Cluster(
        initialize_head=True,
        head_node_args={"include_dashboard": False, **options},
    )
    nodes.second = nodes.add_node(**options)
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def test_a_node_that_dies_loses_nothing(videos, cluster, tmp_path):
    many = tmp_path / "videos"
    many.mkdir()
    for i in range(12):
        write_video(many / f"v{i:02d}.mp4", numbered_frames(30 + i))
    here, there = tmp_path / "here", tmp_path / "there"
    extract(many, here, CONTRACT, workers=1)

    def kill_one():
        while len(list(there.glob("v*.safetensors"))) < 4:
            time.sleep(0.02)
        cluster.remove_node(cluster.second, allow_graceful=False)

    killer = threading.Thread(target=kill_one)
    killer.start()
    summary = extract(many, there, CONTRACT, engine="ray")
    killer.join()
    assert summary.failed == {}
    assert sorted(entry.source for entry in summary.done) == [
        f"v{i:02d}.mp4" for i in range(12)
    ]
    result = {
        name: item
        for name, item in content(there).items()
        if not name.endswith(".part")  # what the dead node had under way
    }
    assert result == content(here)


def test_memory_is_not_shared_by_a_cluster(videos):
    pytest.importorskip("ray")
    pytest.importorskip("fsspec")
    with pytest.raises(SpecError, match="do not share memory://"):
        extract(videos, "memory://out", CONTRACT, engine="ray")
