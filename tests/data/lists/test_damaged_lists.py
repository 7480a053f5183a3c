"""A list that is damaged or means two things is refused, and says where."""

import csv
import json
import os
import random
import warnings

import pytest
from damage import damaged, never_hangs
from numbered_videos import numbered_frames, write_video

from keras_twostream.data import read_annotations
from keras_twostream.data.lists.annotations import FORMATS
from keras_twostream.errors import SpecError, TwoStreamError

LISTS = {
    "videos": ("l.txt", b"run/a 1.mp4 0\nwalk/b.mp4 1\nwalk/c.mp4 1 2\n"),
    "gluoncv": ("l.txt", b"run/a 1.mp4 40 0\nwalk/b.mp4 51 1\n"),
    "rawframes": ("l.txt", b"run/a 1 120 0\nwalk/b 80 1\n"),
    "csv": (
        "l.csv",
        (
            b'path,label,split,start,end\nrun/a.mp4,"run, fast",train,0.5,3\n'
            b"walk/b.mp4,walk|run,test,1,2\n"
        ),
    ),
    "json": (
        "l.json",
        (
            b'{"classes": ["run", "walk"], "items": [{"path": "a.mp4", '
            b'"label": "run", "split": "train", "start": 1, "end": 2.5}, '
            b'{"path": "b.mp4", "label": [0, "walk"]}, '
            b'{"path": "c.mp4", "label": null}]}'
        ),
    ),
    "kinetics": (
        "l.csv",
        (
            b"label,youtube_id,time_start,time_end,split\nrunning,abc,1,11,train\n"
            b'"walking, slowly",xyz,0,10,val\n'
        ),
    ),
    "ucf101": ("classInd.txt", b"1 Archery\n2 Biking\n"),
    "hmdb51": ("wave_test_split1.txt", b"a b.avi 1 \nc.avi 2 \nd.avi 0 \n"),
    "cvat": (
        "l.xml",
        (
            b"<annotations><meta><task><id>1</id><source>numbered.mp4"
            b'</source></task></meta><track id="0" label="run">'
            b'<box frame="3" outside="0"/><box frame="9" outside="1"/>'
            b"</track></annotations>"
        ),
    ),
}
TRIES = 200


def written(folder, format, content=None):
    """The list's file, and what to give to the reader."""
    name, example = LISTS[format]
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_bytes(example if content is None else content)
    if format == "ucf101":
        rows = "Archery/v_Archery_g01_c01.avi 1\nBiking/v_Biking_g02_c01.avi\n"
        (folder / "trainlist01.txt").write_text(rows)
        (folder / "testlist01.txt").write_text(rows.replace("_c01", "_c02"))
    return folder if format in ("ucf101", "hmdb51") else file


@pytest.mark.parametrize("format", LISTS)
def test_every_damaged_list_is_read_or_refused(format, tmp_path, video):
    rng = random.Random(format)
    source = written(tmp_path / "list", format)
    assert len(read_annotations(source, format, root=video.parent)) > 0
    refused = 0
    for _ in range(TRIES):
        content = damaged(LISTS[format][1], rng)
        source = written(tmp_path / "list", format, content)
        try:
            with never_hangs():
                annotations = read_annotations(
                    source, format, root=video.parent
                )
            assert annotations.counts().size <= 100_000
        except TwoStreamError as error:
            refused += 1
            assert str(tmp_path) in str(error), content
    assert 0 < refused < TRIES


def test_every_format_of_lists_is_damaged_here():
    assert set(LISTS) == set(FORMATS) - {"folder"}


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "name, text, message",
    [
        (
            "l.txt",
            "a.mp4 0\nb.mp4 300000000\n",
            "line 2: has the label 3000",
        ),
        ("l.txt", f"a.mp4 0\nb.mp4 {'9' * 5000}\n", "line 2 cannot be under"),
        ("l.txt", "a.mp4 0.0\nb.mp4 1.0\n", "line 1: has the label 0.0: numb"),
        ("l.csv", "path,label\na.mp4,0.0\nb.mp4,1.0\n", "line 2: has the lab"),
        (
            "l.csv",
            f"path,label\na.mp4,1\nb.mp4,{'9' * 20}\n",
            "line 3: has the label 9999",
        ),
        ("l.txt", "a.mp4 0\n\n" * 20 + "b.mp4 x\n", "line 41: expected 'path"),
        ("l.csv", "path,label\na.mp4,run, fast\n", "line 2: 3 fields"),
        (
            "l.csv",
            (
                "label,youtube_id,time_start,time_end,split\n"
                "run,a,1,2,train\nrun, fast,abc,1,11,train\n"
            ),
            "line 3: 6 fields",
        ),
        (
            "l.csv",
            "label,youtube_id,time_start\nrun,a,soon\n",
            "line 2 cannot be understood .*soon",
        ),
        (
            "l.csv",
            "path,label\na.mp4,0\nb.mp4,run\n",
            "mixes numbers",
        ),
        (
            "l.csv",
            "path,label,end\na.mp4,run,-3\n",
            "line 2: starts at",
        ),
        ("l.csv", "path,label,start\na.mp4,x,3\n", "a start and no end"),
        (
            "l.csv",
            "where,what\na.mp4,0\n",
            r"\(path, video.*\(label",
        ),
        (
            "l.json",
            '{"items": [{"path": "a", "label": 1.5}]}',
            "item 1: has",
        ),
        (
            "l.json",
            '{"items": [{"path": 3, "label": 1}]}',
            "item 1: needs the path",
        ),
        (
            "l.json",
            '{"items": [{"label": 1}]}',
            "item 1: needs a path: one",
        ),
        (
            "l.json",
            (
                '{"items": [{"path": "a", "label": 1}, '
                '{"path": "b", "label": "x"}]}'
            ),
            "mixes numbers",
        ),
    ],
)
def test_the_line_that_is_wrong_is_named(tmp_path, name, text, message):
    listed = write(tmp_path / name, text)
    with pytest.raises(SpecError, match=message) as caught:
        read_annotations(listed)
    assert str(listed) in str(caught.value)


def test_frames_and_label_are_not_taken_for_two_labels(tmp_path):
    listed = write(tmp_path / "l.txt", "a.mp4 4 0\nb.mp4 5 1\nc.mp4 3 1\n")
    with pytest.raises(SpecError, match="'a.mp4 4 0': frames and label"):
        read_annotations(listed)
    assert read_annotations(listed, "gluoncv").labels == [0, 1, 1]
    assert read_annotations(listed, "videos").labels == [(4, 0), (5, 1), (3, 1)]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ('a.mp4,x,"oops\nb.mp4,y,\nc.mp4,z,"ok"\nd.mp4,x,\n', 2),
        ('a.mp4,x,\nb.mp4,y,"oops\nc.mp4,z,"\n', 3),
        ('a.mp4,x,\n\nb.mp4,y,"oops', 4),
        ('a.mp4,"x"y,\n', 2),
    ],
)
@pytest.mark.parametrize("delimiter", ",;\t")
def test_a_quote_that_its_line_leaves_open_is_named(
    tmp_path, rows, line, delimiter
):
    text = f"path,label,note\n{rows}".replace(",", delimiter)
    listed = write(tmp_path / "l.csv", text)
    with pytest.raises(SpecError, match=f"line {line}: a quote is not closed"):
        read_annotations(listed)
    text = text.replace("path", "youtube_id", 1)
    with pytest.raises(SpecError, match=f"line {line}: a quote is not closed"):
        read_annotations(write(listed, text))


def test_quotes_that_close_are_read(tmp_path):
    rows = (
        'path , label,note\r\n"a, 1.mp4" , "run, ""fast""" ,5" wide\r\n'
        'b.mp4,"walk" \r\n,,\r\n"c.mp4","","say ""hi"" , ok"\r\n'
    )
    read = read_annotations(write(tmp_path / "l.csv", rows))
    assert [item.path for item in read.items] == ["a, 1.mp4", "b.mp4", "c.mp4"]
    assert read.classes == ('run, "fast"', "walk")
    assert read.labels == [0, 1, -1]


@pytest.mark.parametrize(
    "header", ["path,label,Label", "path,path,label", "youtube_id,label,label"]
)
def test_a_column_of_a_list_is_there_once(tmp_path, header):
    listed = write(tmp_path / "l.csv", f"{header}\na.mp4,x,y\n")
    with pytest.raises(SpecError, match="two columns '(label|path)'. Rename"):
        read_annotations(listed)
    write(listed, "path,label,note,note\na.mp4,x,1,2\n")
    assert read_annotations(listed).classes == ("x",)


@pytest.mark.parametrize(
    "header", ["Path,Label", "path , label", "video,class", "FileName;Action"]
)
def test_common_headers_are_read(tmp_path, header):
    rows = header + "\na.mp4,x\nb c.mp4,y\n".replace(
        ",", ";" if ";" in header else ","
    )
    annotations = read_annotations(write(tmp_path / "l.csv", rows))
    assert annotations.classes == ("x", "y") and annotations.labels == [0, 1]
    assert [item.path for item in annotations.items] == ["a.mp4", "b c.mp4"]


def test_numbers_and_names_may_be_related_by_classes(tmp_path):
    content = {
        "classes": ["walk", "run"],
        "items": [{"path": "a", "label": 1}, {"path": "b", "label": "walk"}],
    }
    listed = write(tmp_path / "l.json", json.dumps(content))
    assert read_annotations(listed).labels == [1, 0]


def json_list(path, *labels, **more):
    items = [{"path": f"{n}.mp4", "label": x} for n, x in enumerate(labels)]
    return write(path, json.dumps({"items": items, **more}))


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [
        ([0, "1", "2"], (), [0, 1, 2]),
        ([2, "10", [0]], (), [2, 10, 0]),
        (["2", "10", "0"], ("0", "10", "2"), [2, 1, 0]),  # texts are names
        (["2", "10", -1], ("10", "2"), [1, 0, -1]),
        (["b", "-1", "a"], ("a", "b"), [1, -1, 0]),
        ([0, "-1", "1"], (), [0, -1, 1]),
    ],
)
def test_digits_in_json_are_numbers_beside_numbers(
    tmp_path, labels, classes, numbers
):
    read = read_annotations(json_list(tmp_path / "l.json", *labels))
    assert (read.classes, read.labels) == (classes, numbers)


def test_spaces_around_a_name_in_json_are_no_part_of_it(tmp_path):
    listed = json_list(tmp_path / "l.json", " run ", "run", ["run\t"])
    assert read_annotations(listed).classes == ("run",)


def test_minus_one_among_names_is_no_class(tmp_path):
    listed = write(tmp_path / "l.csv", "path,label\na.mp4,run\nb.mp4,-1\n")
    read = read_annotations(listed)
    assert (read.classes, read.labels) == (("run",), [0, -1])


def test_a_name_in_json_is_there_once(tmp_path):
    listed = write(
        tmp_path / "l.json",
        '{"items": [{"path": "a", "label": 0, "label": 1}]}',
    )
    with pytest.raises(SpecError, match="has 'label' twice in one object"):
        read_annotations(listed)


@pytest.mark.parametrize("split", [["train"], {"a": 1}, True, 1.5])
def test_a_split_is_a_name(tmp_path, split):
    item = {"path": "a.mp4", "label": 0, "split": split}
    listed = write(tmp_path / "l.json", json.dumps({"items": [item]}))
    with pytest.raises(SpecError, match="item 1: has the split"):
        read_annotations(listed)


def test_splits_of_numbers_are_chosen_as_in_a_table(tmp_path):
    items = [
        {"path": "a.mp4", "label": 0, "split": 1},
        {"path": "b.mp4", "label": 1, "split": "x"},
    ]
    listed = write(tmp_path / "l.json", json.dumps({"items": items}))
    assert read_annotations(listed).subsets == ["1", "x"]
    assert read_annotations(listed, subset="1").labels == [0]


def test_names_that_move_a_terminals_cursor_are_refused(tmp_path):
    listed = write(tmp_path / "l.csv", "path,label\na.mp4,run\x1b[2J\n")
    with pytest.raises(SpecError, match=r"control char.*'run\\x1b\[2J'"):
        read_annotations(listed)


def test_a_pipe_is_no_list(tmp_path):
    for name in ("l.txt", "l.csv", "l.json"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(SpecError, match="is no regular file"):
            read_annotations(tmp_path / name)


def test_lists_that_were_once_misread_are_refused(shared):
    faults = shared.parent / "faults"
    for name, message in {
        "gluon3.txt": "frames and label, start, end and label",
        "commas.csv": "line 2: 3 fields",
        "commas_kin.csv": "line 2: 6 fields",
        "mixed.csv": "mixes numbers",
        "biglabel.txt": "line 2: has the label 300000000",
    }.items():
        with pytest.raises(SpecError, match=message):
            read_annotations(faults / name)


# === Parts of videos ===


def test_intervals_in_a_table_are_parts(tmp_path):
    listed = write(
        tmp_path / "l.csv",
        "path,start,end,label\na.mp4,0,2.5,run\na.mp4,2.5,4,walk\nb.mp4,,,run\n",
    )
    annotations = read_annotations(listed)
    assert annotations.paths == [
        f"{tmp_path}/a.mp4#t=0,2.5",
        f"{tmp_path}/a.mp4#t=2.5,4",
        f"{tmp_path}/b.mp4",
    ]
    assert annotations.files == [f"{tmp_path}/{x}.mp4" for x in "aab"]
    assert annotations.labels == [0, 1, 0]


@pytest.mark.parametrize(
    "names",
    [
        ("start_time", "end_time"),
        ("Begin", "Stop"),
        ("time_start", "time_end"),
        ("start_sec", "end_sec"),
    ],
)
def test_intervals_have_the_same_names_in_every_list(tmp_path, names):
    rows = [("a.mp4", 0, 2.5, "run"), ("a.mp4", 2.5, 4, "walk")]
    header = ("video", *names, "class")
    lines = [",".join(map(str, row)) for row in [header, *rows]]
    items = [dict(zip(header, row, strict=True)) for row in rows]
    for listed in (
        write(tmp_path / "l.csv", "\n".join(lines)),
        write(tmp_path / "l.tsv", "\n".join(lines).replace(",", "\t")),
        write(tmp_path / "l.json", json.dumps({"items": items})),
    ):
        annotations = read_annotations(listed)
        assert annotations.paths == [
            f"{tmp_path}/a.mp4#t=0,2.5",
            f"{tmp_path}/a.mp4#t=2.5,4",
        ]
        assert annotations.labels == [0, 1]


@pytest.mark.parametrize(
    "limits",
    [
        {"start_frame": 10, "end_frame": 50},
        {"t_start": 0, "t_end": "1.5 s"},
        {"First Frame": 3},
        {"segment": "[1.5, 4]"},
        {"stopTime": "00:01:02"},
    ],
)
def test_intervals_that_are_not_read_are_refused(tmp_path, limits):
    with open(tmp_path / "l.csv", "w", newline="") as file:
        table = csv.DictWriter(file, ["path", "label", *limits])
        table.writeheader()
        table.writerow({"path": "a.mp4", "label": "x", **limits})
    item = {"path": "a.mp4", "label": "x", **limits}
    write(tmp_path / "l.json", json.dumps({"items": [item]}))
    name = next(x.lower() for x, value in limits.items() if value)
    for listed, place in (("l.csv", "line 2"), ("l.json", "item 1")):
        with pytest.raises(SpecError, match=f"{place}: has .*{name[-4:]}.* is"):
            read_annotations(tmp_path / listed)
    whole = {"path": "a.mp4", "label": "x", "start": 0, "end": 2, **limits}
    write(tmp_path / "l.json", json.dumps({"items": [whole]}))
    assert read_annotations(tmp_path / "l.json").items[0].end == 2


def test_other_columns_are_no_intervals(tmp_path):
    header = "path,label,gender,segment_id,end_date,bus_stop,from,start_frame"
    row = "a.mp4,x,3,4,2019-01-02,5th avenue,Anna,"
    listed = write(tmp_path / "l.csv", f"{header}\n{row}\n")
    assert read_annotations(listed).items[0].end is None


def test_three_numbers_in_every_row_may_be_an_interval(tmp_path):
    listed = write(tmp_path / "l.txt", "a.mp4 0 50 3\na.mp4 50 90 1\n")
    with pytest.raises(SpecError, match="start, end and label, or labels"):
        read_annotations(listed)
    assert read_annotations(listed, "videos").labels[1] == (50, 90, 1)


def test_kinetics_reads_limits_by_their_other_names(tmp_path):
    header = "label,youtube_id,start,end,subset"
    listed = write(tmp_path / "l.csv", f"{header}\nrun,abc,1,11,val\n")
    (item,) = read_annotations(listed, subset="val").items
    assert item.path == "run/abc_000001_000011.mp4"
    write(listed, "label,youtube_id,start_frame\nrun,abc,30\n")
    with pytest.raises(SpecError, match="line 2: has start_frame 30"):
        read_annotations(listed)


def test_intervals_of_cvat_are_parts(tmp_path, video):
    source = written(tmp_path, "cvat")
    annotations = read_annotations(source, root=video.parent)
    assert (annotations.format, annotations.classes) == ("cvat", ("run",))
    assert annotations.paths == [
        f"{video}#t=0.12,0.36"
    ]  # frames 3 to 8 at 25/s
    frames = "".join(
        f'<image id="{i}" name="f"><tag label="{label}"/></image>'
        for i, label in enumerate("aabba")
    )
    meta = "<meta><task><id>1</id><source>numbered.mp4</source></task></meta>"
    write(source, f"<annotations>{meta}{frames}</annotations>")
    annotations = read_annotations(source, root=video.parent)
    assert [(x.start, x.end) for x in annotations.items] == [
        (0, 0.08),
        (0.16, 0.2),
        (0.08, 0.16),
    ]
    assert annotations.labels == [0, 0, 1]


def test_intervals_of_cvat_follow_the_video_s_clock(tmp_path):
    times = [40 * number for number in range(6)] + [1000, 1040, 1080, 1120]
    path = tmp_path / "numbered.mp4"
    write_video(path, numbered_frames(10), times=times)
    annotations = read_annotations(written(tmp_path, "cvat"), root=tmp_path)
    assert annotations.paths == [f"{path}#t=0.12,1.12"]  # frames 3 to 8


def test_intervals_of_cvat_are_in_their_own_video(tmp_path, video):
    tasks = "".join(
        f"<task><id>{n}</id><source>{name}</source></task>"
        for n, name in enumerate((video.name, "other.mp4"), 1)
    )
    box = '<box frame="0"/><box frame="2" outside="1"/>'
    for task, message in (("9", "the task '9'.* tasks 1, 2"), ("", "task ''")):
        track = f'<track task_id="{task}" label="run">{box}</track>'
        meta = f"<meta><project>{tasks}</project></meta>"
        listed = write(
            tmp_path / "l.xml", f"<annotations>{meta}{track}</annotations>"
        )
        with pytest.raises(SpecError, match=message):
            read_annotations(listed, root=video.parent)
    write(listed, listed.read_text().replace('task_id=""', 'task_id="1"'))
    assert len(read_annotations(listed, root=video.parent)) == 1


def test_cvat_declares_no_entities(tmp_path):
    listed = write(tmp_path / "l.xml", '<!DOCTYPE x [<!ENTITY a "b">]><x/>')
    with pytest.raises(SpecError, match="declares entities"):
        read_annotations(listed)


# === Folders ===


def test_what_is_passed_over_is_named(tmp_path):
    for name in (
        *("a/1.mp4", "a/2.mp4", "a/3.strange", "a/notes.txt"),
        *("b/deep/4.avi", "c/5.strange", "d/list.csv", "6.strange"),
        *("cache.json", "manifest.jsonl"),
    ):
        write(tmp_path / name, "x")
    annotations = read_annotations(tmp_path)
    assert annotations.classes == ("a", "b")
    assert annotations.passed_over == ("6.strange", "a/3.strange", "c/")


def test_a_folder_of_unknown_files_says_what_it_holds(tmp_path):
    write(tmp_path / "a/1.strange", "x")
    with pytest.raises(SpecError, match=r"It holds 1 folder\."):
        read_annotations(tmp_path)


def test_subsets_among_classes_are_warned_of(tmp_path):
    for name in ("train", "val", "test", "replacement"):
        write(tmp_path / name / "1.mp4", "x")
    with pytest.warns(UserWarning, match="test, train, val look like subsets"):
        assert len(read_annotations(tmp_path).classes) == 4


def test_a_class_may_hold_the_word_of_a_subset(tmp_path):
    for name in ("train a dog", "test a car", "eval"):
        write(tmp_path / name / "1.mp4", "x")
    with warnings.catch_warnings(action="error"):
        assert len(read_annotations(tmp_path).classes) == 3


@pytest.mark.parametrize(
    "names",
    [
        *(("training", "testing"), ("Dev", "eval"), ("train_256", "val_256")),
        ("kinetics400-train", "kinetics400-val"),
    ],
)
def test_subsets_of_other_names_are_asked_about(tmp_path, names):
    for name in names:
        write(tmp_path / name / "1.mp4", "x")
    with pytest.raises(SpecError, match="look like subsets"):
        read_annotations(tmp_path)
