"""The doctor: each disease is found, named, and has its advice."""

import itertools
import json
import os
import shutil

import pytest
from foreign_layouts import (
    moving_frames,
    true_fields,
    write_layout,
)
from numbered_videos import numbered_frames, write_video

from keras_twostream import ClipSpec, flow
from keras_twostream.data.cache import Contract, packing
from keras_twostream.data.doctor import examine, lists
from keras_twostream.data.doctor import videos as doctor_of_videos
from keras_twostream.data.extraction import extract
from keras_twostream.data.video import READER_VERSION, reading
from keras_twostream.errors import SpecError

FRAMES, FIELDS = moving_frames(), true_fields()
CONTRACT = Contract.of(ClipSpec(short_side=32, crop=(32, 32), frame_rate=None))


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    for name, count in (("run", 2), ("sit", 2)):
        (folder / name).mkdir()
        for i in range(count):
            frames = numbered_frames(20 + i + len(name) * count)
            frames[:, i * 8 : i * 8 + 8] = 200 if name == "run" else 30
            write_video(folder / name / f"{i}.mp4", frames)
    return folder


@pytest.fixture
def videos(originals, tmp_path):
    return shutil.copytree(originals, tmp_path / "videos")


@pytest.fixture
def packed(originals, tmp_path):
    extract(originals, tmp_path / "cache", CONTRACT, workers=1)
    return tmp_path / "cache"


def problems(report):
    return {f.text: f for f in report.findings if f.problem}


def only_problem(report, start):
    """The single problem, which starts with `start`."""
    (result,) = problems(report).values()
    assert result.text.startswith(start)
    assert result.advice
    return result


# === Videos ===


def test_a_healthy_folder_is_counted(videos):
    report = examine(videos)
    assert report.healthy and report.layout == "videos"
    assert report.facts["videos"] == 4
    assert report.facts["classes"] == {"run": 2, "sit": 2}
    assert report.facts["frame_rates"] == [25.0]
    assert report.findings == []


def test_a_folder_of_lists_is_no_class(videos):
    (videos / "lists").mkdir()
    (videos / "lists" / "trainlist01.txt").write_text("run/0.mp4 1\n")
    report = examine(videos)
    assert report.healthy
    assert report.facts["classes"] == {"run": 2, "sit": 2}


def test_links_are_followed_and_hidden_folders_are_no_classes(videos, tmp_path):
    shutil.move(videos / "run", tmp_path / "elsewhere")
    (videos / "run").symlink_to(tmp_path / "elsewhere")
    (videos / ".thumbs").mkdir()
    (videos / ".thumbs" / "0.mp4").touch()
    (videos / "sit" / "._0.mp4").touch()
    report = examine(videos)
    assert report.healthy
    assert report.facts["classes"] == {"run": 2, "sit": 2}


def test_files_that_are_passed_over_are_counted(videos):
    for name in ("run/3.strange", "sit/4.strange", "sit/notes.txt"):
        (videos / name).write_text("x")
    (remark,) = examine(videos).findings
    assert remark.text == "Files that are not read: 2 files of .strange."
    assert not remark.problem
    assert remark.where == tuple(
        str(videos / name) for name in ("run/3.strange", "sit/4.strange")
    )


def test_what_cannot_be_read_is_named(videos):
    (videos / "run" / "empty.mp4").touch()
    (videos / "sit" / "text.mp4").write_text("no video")
    report = examine(videos)
    reasons = " ".join(problems(report))
    assert "the file is empty" in reasons
    assert "not a video file" in reasons
    assert (report.facts["videos"], report.facts["readable"]) == (6, 4)


def test_a_video_cut_off_is_a_problem(shared, tmp_path):
    broken = shared / "clips" / "derived_baseball_truncated.avi"
    report = examine(broken)
    problem = only_problem(report, "Files that promise more than they hold")
    assert problem.where == (str(broken),)


def test_a_single_frame_that_does_not_come_is_a_problem(videos, monkeypatch):
    every = reading.iter_frames
    monkeypatch.setattr(
        reading, "iter_frames", lambda path: itertools.islice(every(path), 26)
    )
    assert doctor_of_videos._look(videos / "run" / "0.mp4", True)[1] is None
    info, trouble = doctor_of_videos._look(videos / "run" / "1.mp4", True)
    assert info.frames == 27
    assert "26 of its 27 frames can be decoded" in trouble


def test_class_folders_are_compared(videos):
    (videos / "jump").mkdir()
    shutil.move(videos / "run" / "1.mp4", videos / "loose.mp4")
    report = examine(videos)
    texts = " ".join(problems(report))
    assert "Classes without a video" in texts
    assert "Videos beside the class folders" in texts
    remarks = [f for f in report.findings if not f.problem]
    assert remarks[0].text.startswith("Classes with a single video")
    assert remarks[0].where == ("run",)


def test_a_video_in_training_and_test_is_a_leak(videos, tmp_path):
    root = tmp_path / "set"
    shutil.copytree(videos, root / "train")
    shutil.copytree(videos, root / "test")
    for name in ("run/1.mp4", "sit/0.mp4", "sit/1.mp4"):
        frames = numbered_frames(15 + len(name) + int(name[4]))
        write_video(root / "test" / name, frames)
    problem = only_problem(examine(root), "The same video in several folders")
    assert sorted(problem.where[0].split(" = ")) == [
        "test/run/0.mp4",
        "train/run/0.mp4",
    ]


# === A packed cache ===


def test_a_healthy_cache_is_counted(packed):
    report = examine(packed)
    assert report.healthy and report.layout == "packed cache"
    assert report.facts["frames"] == report.facts["flows"] + 4
    assert report.facts["contract"]["bits"] == 16


def test_videos_in_a_cache_are_found(packed, originals):
    shutil.copy(originals / "run" / "0.mp4", packed / "run")
    problem = only_problem(examine(packed), "Videos in the cache's folder")
    assert problem.where == (str(packed / "run" / "0.mp4"),)


def test_a_flipped_bit_is_found(packed):
    file = packed / "run" / "0.mp4.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    problem = only_problem(examine(packed), "Files that are not what was writ")
    assert problem.where == (str(file),)


def test_a_missing_file_and_a_stray_one_are_found(packed):
    (packed / "run" / "0.mp4.safetensors").rename(packed / "x.safetensors")
    report = examine(packed)
    problem = only_problem(
        report, "Videos of the manifest whose files are gone"
    )
    assert problem.where == ("run/0.mp4",)
    remarks = [f.where for f in report.findings if not f.problem]
    assert remarks == [("x",)]


def test_a_file_under_another_contract_is_found(packed, originals):
    other = Contract.of(ClipSpec(short_side=32, flow_bound=5.0), bits=8)
    extract(originals / "run" / "0.mp4", packed.parent / "b", other)
    shutil.copy(packed.parent / "b" / "0.mp4.safetensors", packed / "run")
    texts = problems(examine(packed))
    result = texts["Files that were made otherwise than cache.json says."]
    assert "frame_rate=25.0" in result.where[0]


def test_parts_of_a_killed_run_are_remarked(packed):
    (packed / "run" / ".0.mp4.safetensors.host-1-1.part").touch()
    report = examine(packed)
    assert report.healthy
    assert "killed process" in report.findings[0].text


# === Frames and flow of other tools ===


@pytest.mark.parametrize(
    ("name", "pairing"),
    [
        ("dense_flow", "field k ends at frame k"),
        ("denseflow", "field k starts at frame k"),
        ("gpu_flow", "field k starts at frame k"),
    ],
)
def test_a_healthy_tree_has_its_name(tmp_path, name, pairing):
    write_layout(name, tmp_path, FRAMES, flow.compute(FRAMES))
    report = examine(tmp_path)
    assert report.healthy, report.to_json()
    assert report.layout == name
    assert report.facts["videos"] == 1
    assert report.facts["flows"] == 5
    assert report.facts["pairing"] == pairing
    assert report.facts["bound"] == 20.0


def test_gaps_and_zero_sizes_are_found(tmp_path):
    path = write_layout("mmaction2", tmp_path, FRAMES, FIELDS)
    (path / "img_00003.png").unlink()
    open(path / "x_00002.png", "w").close()
    report = examine(tmp_path)
    texts = problems(report)
    gap = texts["Gaps in the numbers of the files."]
    assert gap.where == (f"{path}: rgb 3",)
    zero = texts["Files of zero size."]
    assert zero.where == (str(path / "x_00002.png"),)


def test_a_first_field_of_zero_size_is_found(tmp_path):
    path = write_layout("mmaction2", tmp_path, FRAMES, flow.compute(FRAMES))
    open(path / "x_00001.png", "w").close()
    report = examine(tmp_path)
    problem = only_problem(report, "Files of zero size.")
    assert problem.where == (str(path / "x_00001.png"),)
    assert report.facts["bound"] == 20.0


def test_flow_of_another_size_than_the_frames_is_measured(tmp_path):
    fields = flow.resize(flow.compute(FRAMES), (32, 40))
    write_layout("denseflow", tmp_path, FRAMES, fields)
    report = examine(tmp_path)
    assert report.healthy, report.to_json()
    assert report.facts["bound"] == 20.0


def test_fields_lost_at_the_end_are_found(tmp_path):
    path = write_layout("denseflow", tmp_path, FRAMES, FIELDS[:3])
    problem = only_problem(examine(tmp_path), "Frames and flow fields do not")
    assert problem.where == (f"{path}: 6 frames, 3 fields",)


def test_a_bound_of_32_is_found(tmp_path):
    write_layout("denseflow", tmp_path, FRAMES, flow.compute(FRAMES), 32.0)
    problem = only_problem(
        examine(tmp_path), "The flow looks as if its extreme"
    )
    assert "meant 32 px, not 20" in problem.text
    assert "evaluate --bound 32" in problem.advice
    assert examine(tmp_path, bound=32.0).healthy


def test_flow_one_frame_off_is_found(tmp_path):
    path = write_layout("denseflow", tmp_path, FRAMES, flow.compute(FRAMES))
    frames = [(path / f"img_{i:05d}.png").read_bytes() for i in range(6)]
    for i in range(5):
        (path / f"img_{i:05d}.png").write_bytes(frames[i + 1])
    problem = only_problem(
        examine(tmp_path), "Frames and flow are paired other"
    )
    assert problem.where == (str(path),)


# === Versions of the reader ===


@pytest.fixture
def of_version_1(tmp_path, monkeypatch):
    """A cache of an ordinary video, and of one in the order of decoding."""
    videos = tmp_path / "videos"
    videos.mkdir()
    write_video(videos / "fine.mp4", numbered_frames(24))
    write_video(videos / "shuffled.avi", numbered_frames(24), bf="2", g="12")
    monkeypatch.setattr(packing, "READER_VERSION", 1)
    extract(videos, tmp_path / "cache", CONTRACT, workers=1)
    monkeypatch.undo()
    return tmp_path / "cache"


def test_caches_of_videos_that_were_read_wrongly_are_found(of_version_1):
    report = examine(of_version_1)
    problem = only_problem(report, "Made by an older version of this library")
    (where,) = problem.where
    assert where == str(of_version_1 / "shuffled.avi.safetensors")
    os.remove(where)
    extract(of_version_1.parent / "videos", of_version_1, CONTRACT, workers=1)
    assert examine(of_version_1).healthy


def test_caches_of_videos_that_are_gone_get_a_remark(of_version_1):
    shutil.rmtree(of_version_1.parent / "videos")
    report = examine(of_version_1)
    assert report.healthy
    (remark,) = report.findings
    assert "of videos that are not at hand" in remark.text
    assert len(remark.where) == 2


def test_a_cache_from_before_versions_were_recorded_is_of_version_1():
    values = CONTRACT.to_json()
    del values["reader"]
    old = Contract.from_json(values, "cache.json")
    assert (old.reader, CONTRACT.reader) == (1, READER_VERSION)
    assert old.difference(CONTRACT) is None and old == CONTRACT


def test_odd_videos_are_remarked(videos):
    write_video(
        videos / "run" / "hole.mkv",
        numbered_frames(6),
        times=[0, 40, 80, 90_000, 90_040, 90_080],
    )
    report = examine(videos)
    assert report.healthy
    (hole,) = [f for f in report.findings if "holes in their time" in f.text]
    assert hole.where == (str(videos / "run" / "hole.mkv"),)


# === Lists ===


def test_a_list_is_compared_with_its_files(videos, tmp_path):
    listed = tmp_path / "train.txt"
    listed.write_text(
        "run/0.mp4 0\nrun/0.mp4 0\nsit/0.mp4 2\ngone/x.mp4 0\nsit/1.mp4\n"
    )
    report = examine(listed, root=videos)
    texts = problems(report)
    missing = next(text for text in texts if "are not below" in text)
    assert missing.startswith("1 of 5 items")
    assert texts["Classes that no item has."].where == ("1",)
    assert any("several times" in text for text in texts)
    assert "without a label" in report.findings[-2].text


def test_a_label_outside_the_classes_is_found(videos, tmp_path):
    listed = tmp_path / "list.json"
    items = [("run/0.mp4", 0), ("sit/0.mp4", 1), ("sit/1.mp4", 5)]
    listed.write_text(
        json.dumps(
            {
                "classes": ["run", "sit", "jump"],
                "items": [{"path": p, "label": n} for p, n in items],
            }
        )
    )
    report = examine(listed, root=videos)
    texts = problems(report)
    assert texts["Classes that no item has."].where == ("jump",)
    outside = texts["Items whose label is none of the 3 classes, 0 to 2."]
    assert outside.where == ("sit/1.mp4: 5",)
    assert report.facts["classes"] == {"run": 1, "sit": 1, "jump": 0}


@pytest.mark.parametrize("deep", [False, True])
def test_what_a_list_names_is_opened(videos, tmp_path, deep):
    (videos / "run" / "text.mp4").write_text("no video at all")
    listed = tmp_path / "list.txt"
    listed.write_text("run/0.mp4 0\nrun/text.mp4 0\nsit/0.mp4 1\n")
    report = examine(listed, root=videos, deep=deep)
    problem = only_problem(report, f"Cannot read {videos}/run/text.mp4")
    assert problem.where == (f"{videos}/run/text.mp4",)
    assert (report.facts["videos"], report.facts["readable"]) == (3, 2)


def test_parts_of_one_video_are_no_repeats(videos, tmp_path):
    listed = tmp_path / "list.csv"
    row = "run/0.mp4,{},{},{}\n"
    header = "path,start,end,label\n"
    parts = row.format(0, 0.4, "run") + row.format(0.4, 0.8, "sit")
    listed.write_text(header + parts)
    assert examine(listed, root=videos).healthy
    listed.write_text(header + 2 * row.format(0, 0.4, "run"))
    report = examine(listed, root=videos)
    only_problem(report, "Items that the list names several times")


def test_official_splits_are_compared(tmp_path):
    (tmp_path / "classInd.txt").write_text("1 Run\r\n2 Sit\r\n")
    for split in (1, 2, 3):
        (tmp_path / f"trainlist0{split}.txt").write_text(
            "Run/v_Run_g01_c01.avi 1\nSit/v_Sit_g01_c01.avi 2\n"
        )
        (tmp_path / f"testlist0{split}.txt").write_text(
            "Run/v_Run_g02_c01.avi\nSit/v_Sit_g02_c01.avi\n"
        )
    assert examine(tmp_path).healthy
    with open(tmp_path / "testlist02.txt", "a") as file:
        file.write("Run/v_Run_g01_c02.avi\n")
    problem = only_problem(examine(tmp_path), "Groups of split 2")
    assert problem.where == ("Run g01",)


def test_a_class_that_is_only_tested_is_a_problem(tmp_path):
    (tmp_path / "classInd.txt").write_text("1 Run\n2 Sit\n")
    for split in (1, 2, 3):
        sit = "" if split == 3 else "Sit/v_Sit_g01_c01.avi 2\n"
        (tmp_path / f"trainlist0{split}.txt").write_text(
            f"Run/v_Run_g01_c01.avi 1\n{sit}"
        )
        (tmp_path / f"testlist0{split}.txt").write_text(
            "Run/v_Run_g02_c01.avi\nSit/v_Sit_g02_c01.avi\n"
        )
    start = "Classes without a training video in split 3"
    assert only_problem(examine(tmp_path), start).where == ("Sit",)


def test_a_split_that_may_not_be_read_is_a_problem(tmp_path, monkeypatch):
    def refuse(path, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(lists, "read_annotations", refuse)
    monkeypatch.setattr(lists, "detect_format", lambda path: "ucf101")
    texts = list(problems(lists.examine_splits(tmp_path, None)))
    assert len(texts) == 3
    assert texts[1].startswith("Split 2 cannot be read: [Errno 13]")


def test_a_folder_of_unknown_files_is_an_error(tmp_path):
    with pytest.raises(SpecError, match="Nothing in .* that is known"):
        examine(tmp_path)
    with pytest.raises(SpecError, match="There is no file or folder"):
        examine(os.path.join(tmp_path, "gone"))
