"""Extraction: resumed after anything, every failure with its reason."""

import dataclasses
import errno
import os
import signal
import subprocess
import sys
import time
import types

import pytest
from numbered_videos import numbered_frames, write_video
from small_extraction import CONTRACT, content

from keras_twostream import ClipSpec
from keras_twostream.data.cache import CacheFolder, Contract
from keras_twostream.data.cache import packing as packing
from keras_twostream.data.cache.folder import ROOTS_FILE
from keras_twostream.data.extraction import extract, find_jobs, work
from keras_twostream.errors import (
    MissingLibraryError,
    SpecError,
    WeightsError,
)
from keras_twostream.flow import _weights

# What a user's script does; stated here because processes import it.
SCRIPT = """
import sys
from keras_twostream import ClipSpec
from keras_twostream.data.cache import Contract
from keras_twostream.data.extraction import extract
if __name__ == "__main__":
    spec = ClipSpec(short_side=32, crop=(32, 32), frame_rate=None)
    extract(sys.argv[1], sys.argv[2], Contract.of(spec), workers=2)
"""


def test_a_folder_becomes_one_file_for_each_video(videos, undisturbed):
    assert len(undisturbed) == 8
    assert "class1/v1.mp4.safetensors" in undisturbed
    lines = undisturbed["manifest.jsonl"].decode().splitlines()
    assert len(lines) == 6
    assert '"frames": 12, "flows": 11' in lines[0]


def test_a_second_run_does_nothing_twice(videos, tmp_path):
    first = extract(videos, tmp_path, CONTRACT, workers=1)
    before = content(tmp_path)
    second = extract(videos, tmp_path, CONTRACT, workers=1)
    assert (len(first.done), first.present) == (6, 0)
    assert (first.frames, first.flows) == (87, 81)
    assert (len(second.done), second.present) == (0, 6)
    assert content(tmp_path) == before


@pytest.mark.parametrize("out", ["", "class1", "..", "../linked/class0"])
def test_no_cache_is_where_its_videos_are(videos, tmp_path, out):
    (tmp_path / "linked").symlink_to(videos)
    place = tmp_path / out[3:] if "linked" in out else videos / out
    before = sorted(videos.rglob("*"))
    with pytest.raises(SpecError, match=r"lies in it.*holds no videos"):
        extract(videos, place, CONTRACT, workers=1)
    assert sorted(videos.rglob("*")) == before


def test_no_file_of_a_cache_takes_the_place_of_its_list(videos, tmp_path):
    listed = tmp_path / ROOTS_FILE
    listed.write_text('{"items": [{"path": "class0/v0.mp4", "label": 0}]}')
    with pytest.raises(SpecError, match="would be lost"):
        extract(listed, tmp_path, CONTRACT, workers=1, root=videos)
    assert "items" in listed.read_text()


def test_a_cache_may_be_a_new_folder_among_videos(tmp_path):
    (tmp_path / "a").mkdir()
    write_video(tmp_path / "a" / "1.mp4", numbered_frames(3))
    out = tmp_path / "a" / "cache"
    assert len(extract(tmp_path, out, CONTRACT, workers=1).done) == 1
    assert extract(tmp_path, out, CONTRACT, workers=1).present == 1


def test_missing_weights_of_flow_end_a_run_before_its_first_video(
    videos, tmp_path, monkeypatch
):
    def refuse(network, weights, variables):
        raise WeightsError(f"{network} cannot be fetched")

    monkeypatch.setattr(_weights, "_fills", [refuse])
    contract = dataclasses.replace(CONTRACT, flow_algorithm="raft_small")
    with pytest.raises(WeightsError, match="raft_small cannot be fetched"):
        extract(videos, tmp_path / "out", contract, workers=1)
    assert not (tmp_path / "out").exists()


def test_anew_every_video_is_done_again(videos, tmp_path):
    extract(videos, tmp_path, CONTRACT, workers=1)
    before = content(tmp_path)
    again = extract(videos, tmp_path, CONTRACT, workers=1, resume=False)
    assert (len(again.done), again.present) == (6, 0)
    assert content(tmp_path) == before


@pytest.mark.parametrize("moment", [0.2, 0.7])
def test_killed_and_resumed_gives_the_same_bytes(
    videos, undisturbed, tmp_path, moment
):
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, videos, out],
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    # A moment between the first trace of the run and its end.
    while process.poll() is None and not out.exists():
        time.sleep(0.02)
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()  # ends when its last worker's output is closed
    for name, result in content(out).items():
        if name.endswith(".safetensors"):
            assert result == undisturbed[name]  # no half-written file
    summary = extract(videos, out, CONTRACT, workers=1)
    assert summary.failed == {}
    assert content(out) == undisturbed


def test_a_file_without_its_line_is_taken_over(videos, tmp_path, undisturbed):
    extract(videos, tmp_path, CONTRACT, workers=1)
    (tmp_path / "manifest.jsonl").unlink()
    assert extract(videos, tmp_path, CONTRACT, workers=1).present == 6
    assert content(tmp_path) == undisturbed


def test_a_video_that_changed_is_done_again(tmp_path):
    video, out = tmp_path / "v.mp4", tmp_path / "out"
    write_video(video, numbered_frames(5))
    extract(video, out, CONTRACT)
    write_video(video, numbered_frames(9))
    summary = extract(video, out, CONTRACT)
    assert [entry.frames for entry in summary.done] == [9]
    assert CacheFolder(out).entries()["v.mp4"].frames == 9


def test_another_folder_s_video_of_one_name_is_kept(tmp_path):
    out = tmp_path / "out"
    videos = [tmp_path / name / "A" / "1.mp4" for name in ("train", "test")]
    for count, video in zip((5, 9), videos, strict=True):
        video.parent.mkdir(parents=True)
        write_video(video, numbered_frames(count))
        extract(video.parents[1], out, CONTRACT)
    assert extract(tmp_path / "train", out, CONTRACT).present == 1
    assert extract(tmp_path / "test", out, CONTRACT).present == 1
    folder = CacheFolder(out)
    names = [folder.find(video) for video in videos]
    assert names[0] == "A/1.mp4"
    entries = folder.entries()
    assert [entries[name].frames for name in names] == [5, 9]


def test_processes_do_what_one_does(videos, undisturbed, tmp_path):
    broken = videos / "class0" / "broken.mp4"
    broken.write_text("no video")
    try:
        summary = extract(videos, tmp_path, CONTRACT, workers=2)
    finally:
        broken.unlink()
    assert list(summary.failed) == [str(broken)]
    assert "not a video file" in summary.failed[str(broken)]
    assert content(tmp_path) == undisturbed


def test_a_process_that_dies_takes_one_video_with_it(
    videos, tmp_path, monkeypatch
):
    # A decoder's fault kills a process; a signal does the same to it.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, os, multiprocessing\n"
        "def watch(event, arguments):\n"
        "    if event == 'open' and str(arguments[0]).endswith('v3.mp4'):\n"
        "        if multiprocessing.parent_process():\n"
        "            os.kill(os.getpid(), 9)\n"
        "sys.addaudithook(watch)\n"
    )
    out = tmp_path / "out"
    summary = extract(videos, out, CONTRACT, workers=2)
    assert [os.path.basename(path) for path in summary.failed] == ["v3.mp4"]
    assert "the process that read it died" in str(summary.failed)
    assert len(summary.done) == 5
    # It alone is left now, and must not take the program with it.
    again = extract(videos, out, CONTRACT, workers=2)
    assert list(again.failed) == list(summary.failed)


def full(*arguments, **options):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_stops_the_run_with_one_clear_error(
    videos, tmp_path, monkeypatch
):
    monkeypatch.setattr(packing.images, "pack_field", full)
    summary = extract(videos, tmp_path, CONTRACT, workers=1)
    assert "device. Make room, and run the same command" in summary.stopped
    assert summary.done == [] and summary.failed == {}
    assert not list(tmp_path.rglob("*v0*"))


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_cache_that_is_locked_stops_the_run(
    videos, tmp_path, monkeypatch, number
):
    def locked(path):
        raise OSError(number, os.strerror(number), str(path))

    files = types.SimpleNamespace(writing=locked)
    monkeypatch.setattr(packing, "_files", files)
    summary = extract(videos, tmp_path, CONTRACT, workers=1)
    assert f"Cannot write into {tmp_path}: " in summary.stopped
    assert "Make it writable, and run the same command" in summary.stopped
    assert summary.done == [] and summary.failed == {}


def test_a_video_that_may_not_be_read_does_not_stop_the_others(
    videos, tmp_path, monkeypatch
):
    scan = packing.packets.scan_video

    def locked(path):
        if str(path).endswith("v3.mp4"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(packing.packets, "scan_video", locked)
    summary = extract(videos, tmp_path, CONTRACT, workers=1)
    assert summary.stopped is None and len(summary.done) == 5
    assert [os.path.basename(path) for path in summary.failed] == ["v3.mp4"]


@pytest.mark.parametrize(("method", "done"), [("tidy", 6), ("add", 0)])
def test_a_disk_too_full_for_the_manifest_stops_the_run_too(
    videos, undisturbed, tmp_path, monkeypatch, method, done
):
    with monkeypatch.context() as patch:
        patch.setattr(CacheFolder, method, full)
        summary = extract(videos, tmp_path, CONTRACT, workers=1)
    assert "device. Make room, and run the same command" in summary.stopped
    assert len(summary.done) == done
    assert extract(videos, tmp_path, CONTRACT, workers=1).stopped is None
    assert content(tmp_path) == undisturbed


def test_a_place_that_cannot_be_written_is_an_error(videos, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SpecError, match="Cannot write into .*choose another"):
        extract(videos, tmp_path / "file" / "cache", CONTRACT)


def test_a_solver_that_is_not_there_is_named_before_anything_is_written(
    videos, tmp_path, monkeypatch
):
    monkeypatch.delattr("cv2.optflow", raising=False)
    spec = ClipSpec(short_side=32, crop=(32, 32), flow_algorithm="tvl1_opencv")
    with pytest.raises(MissingLibraryError, match="opencv-contrib-python"):
        extract(videos, tmp_path, Contract.of(spec), workers=1)
    assert content(tmp_path) == {}


def test_progress_knows_what_is_left(videos, tmp_path):
    seen = []
    extract(
        videos,
        tmp_path,
        CONTRACT,
        workers=1,
        progress=lambda done, expected, seconds: seen.append((done, expected)),
    )
    assert seen[-1][0] == 87
    assert seen[-1][1] == pytest.approx(87)
    estimates = [expected for done, expected in seen if done]
    assert all(50 < expected < 150 for expected in estimates)


def test_stopping_removes_what_is_half_done(videos, tmp_path):
    (job,) = find_jobs(videos / "class0" / "v0.mp4")
    outcome = work.work(job, CONTRACT, str(tmp_path), [0, 0, 0, 1])
    assert outcome.fatal
    assert os.listdir(tmp_path) == []


# === What to extract ===


def test_a_list_names_videos_below_its_root(videos, tmp_path):
    listed = tmp_path / "train.txt"
    listed.write_text("class0/v0.mp4 0\nclass1/v1.mp4 1\n")
    jobs = find_jobs(listed, root=videos)
    assert [job.name for job in jobs] == ["class0/v0.mp4", "class1/v1.mp4"]
    assert jobs[0].video == str(videos / "class0" / "v0.mp4")
    listed.write_text("class0/v0.mp4 0\n")
    (job,) = find_jobs(listed, root=videos / "class0" / "..")
    assert job.name == "class0/v0.mp4"


def test_a_folder_of_splits_names_the_videos_of_all_of_them(videos, tmp_path):
    for split, codes in enumerate(((1, 0), (0, 2)), 1):
        for name in ("class0", "class1"):
            rows = zip(("v0.mp4", "v1.mp4", "v2.mp4"), (*codes, 0), strict=True)
            listed = tmp_path / f"{name}_test_split{split}.txt"
            listed.write_text("".join(f"{file} {n} \n" for file, n in rows))
    jobs = find_jobs(tmp_path, root=videos)
    assert [job.name for job in jobs] == [
        f"{name}/{file}"
        for file in ("v0.mp4", "v1.mp4")
        for name in ("class0", "class1")
    ]


def test_a_list_without_its_videos_is_an_error(tmp_path):
    listed = tmp_path / "train.txt"
    listed.write_text("class0/v0.mp4 0\n")
    with pytest.raises(SpecError, match="None of the 1 videos .* --root"):
        find_jobs(listed)


def test_a_folder_is_looked_through_as_training_does(tmp_path):
    folder = tmp_path / "videos"
    (folder / "class0").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (folder / "class1").symlink_to(tmp_path / "elsewhere")
    for name in ("class0/a.ogv", "class0/._a.ogv", "class1/b.mts"):
        (folder / name).touch()
    names = [job.name for job in find_jobs(folder)]
    assert names == ["class0/a.ogv", "class1/b.mts"]


def test_a_source_without_videos_is_an_error(tmp_path):
    with pytest.raises(SpecError, match="No video in the folder"):
        find_jobs(tmp_path)
    with pytest.raises(SpecError, match="There is no file or folder"):
        find_jobs(tmp_path / "gone")
