"""Lists of the data sets in use, with the quirks of the real ones."""

import codecs
import json
from pathlib import Path

import numpy as np
import pytest

from keras_twostream.data import Annotations, read_annotations
from keras_twostream.data.lists.items import Item
from keras_twostream.errors import SpecError


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


@pytest.fixture
def ucf101(tmp_path):
    folder = tmp_path / "ucfTrainTestlist"
    write(folder / "classInd.txt", "1 Archery\r\n2 HandstandPushups\r\n\r\n")
    write(
        folder / "trainlist01.txt",
        "Archery/v_Archery_g08_c01.avi 1\r\n"
        "HandstandPushups/v_HandStandPushups_g08_c01.avi 2\r\n",
    )
    write(
        folder / "testlist01.txt",
        "HandstandPushups/v_HandStandPushups_g01_c01.avi\r\n",
    )
    return folder


def test_ucf101_takes_the_class_from_the_folder(ucf101):
    train = read_annotations(ucf101, subset="train")
    assert train.format == "ucf101"
    assert train.classes == ("Archery", "HandstandPushups")
    assert train.labels == [0, 1]
    test = read_annotations(ucf101, subset="test", root="videos")
    assert test.labels == [1]
    assert test.paths == [
        "videos/HandstandPushups/v_HandStandPushups_g01_c01.avi"
    ]
    assert len(read_annotations(ucf101)) == 3


def test_one_official_list_is_read_with_the_classes_beside_it(ucf101):
    train = read_annotations(ucf101 / "trainlist01.txt", root="videos")
    assert train == read_annotations(ucf101, subset="train", root="videos")
    test = read_annotations(ucf101 / "testlist01.txt")
    assert test == read_annotations(ucf101, split=1, subset="test")
    with pytest.raises(SpecError, match="is the test part of split 1"):
        read_annotations(ucf101 / "testlist01.txt", split=2)
    with pytest.raises(SpecError, match="Leave `split` and `subset` out"):
        read_annotations(ucf101 / "testlist01.txt", subset="train")
    (ucf101 / "classInd.txt").unlink()
    alone = read_annotations(ucf101 / "trainlist01.txt")
    assert alone.format == "videos" and alone.labels == [1, 2]


def test_ucf101_names_a_missing_split(ucf101):
    with pytest.raises(SpecError, match=r"no split file .*trainlist02"):
        read_annotations(ucf101, split=2, subset="train")
    with pytest.raises(SpecError, match="must be 1, 2 or 3. Received: split=4"):
        read_annotations(ucf101, split=4)
    with pytest.raises(SpecError, match="must be one of train, test, or None"):
        read_annotations(ucf101, subset="val")


def test_one_class_of_hmdb51_is_no_list_of_labels(tmp_path):
    place = write(tmp_path / "wave_test_split1.txt", "a b.avi 1 \nc.avi 2 \n")
    with pytest.raises(SpecError, match="is one class of HMDB-51's"):
        read_annotations(place)
    assert read_annotations(place, "videos").labels == [1, 2]
    write(place, "wave/a.avi 1\nwalk/c.avi 2\n")
    assert read_annotations(place).labels == [1, 2]


def test_hmdb51_codes_and_trailing_spaces(tmp_path):
    write(tmp_path / "s/wave_test_split1.txt", "a b.avi 1 \nc.avi 2 \n")
    write(tmp_path / "s/brush_hair_test_split1.txt", "d(1).avi 0 \ne.avi 1 \n")
    train = read_annotations(tmp_path / "s", subset="train")
    assert train.format == "hmdb51"
    assert train.classes == ("brush_hair", "wave")
    assert [item.path for item in train.items] == [
        "brush_hair/e.avi",
        "wave/a b.avi",
    ]
    assert train.labels == [0, 1]
    assert len(read_annotations(tmp_path / "s")) == 3  # 0 is in neither
    write(tmp_path / "s/._wave_test_split1.txt", "of a Mac")
    assert read_annotations(tmp_path / "s").classes == ("brush_hair", "wave")


def test_hmdb51_classes_are_in_the_order_of_their_names(tmp_path):
    names = ("climb_stairs", "kick_ball", "climb", "kick")
    for name in names:
        write(tmp_path / f"{name}_test_split1.txt", f"{name}.avi 1\n")
    annotations = read_annotations(tmp_path)
    assert annotations.classes == ("climb", "climb_stairs", "kick", "kick_ball")
    assert [item.path for item in annotations.items] == [
        f"{name}/{name}.avi" for name in annotations.classes
    ]


def test_kinetics_finds_files_by_any_usual_name(tmp_path):
    table = write(
        tmp_path / "train.csv",
        "label,youtube_id,time_start,time_end,split\n"
        "playing chess,---abc,5,15,train\n"
        "abseiling,xyz,0,10,train\n"
        "abseiling,other,0,10,validate\n",
    )
    for suffix in ("jpg", "webm", "wav"):
        write(tmp_path / f"v/playing_chess/---abc_000005_000015.{suffix}", "x")
    annotations = read_annotations(table, subset="train", root=tmp_path / "v")
    assert annotations.format == "kinetics"
    assert annotations.classes == ("abseiling", "playing chess")
    assert [item.path for item in annotations.items] == [
        "playing_chess/---abc_000005_000015.webm",
        "abseiling/xyz_000000_000010.mp4",
    ]
    assert annotations.labels == [1, 0]


def test_videos_with_spaces_and_several_labels(tmp_path):
    table = write(tmp_path / "val.csv", "my clips/a 1.mp4 3\nb.mkv 0\n")
    annotations = read_annotations(table)
    assert annotations.format == "videos"
    assert annotations.items[0].path == "my clips/a 1.mp4"
    assert annotations.labels == [3, 0]
    several = read_annotations(write(tmp_path / "m.txt", "a.mp4 1 4\nb.mp4 2"))
    assert several.labels == [(1, 4), (2,)]
    unknown = read_annotations(write(tmp_path / "t.txt", "a.mp4 -1\nb.mp4"))
    assert unknown.labels == [-1, -1]


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ("Class A/v 163 0\nw 80 5\n", [0, 5]),
        ("Class A/v 0 163 0\nw 1 80 -1\n", [0, -1]),
        ("Class A/v 163 3 5\nw 80 1\n", [(3, 5), (1,)]),
        ("Class A/v 163 3 5\nw 80 1 2 3\n", [(3, 5), (1, 2, 3)]),
        ("Class A/v 0 163 3 5\nw 0 80 1\n", [(3, 5), (1,)]),
    ],
)
def test_rawframes_with_starts_and_several_labels(tmp_path, rows, labels):
    annotations = read_annotations(write(tmp_path / "l.txt", rows))
    assert annotations.format == "rawframes"
    assert [item.path for item in annotations.items] == ["Class A/v", "w"]
    assert annotations.labels == labels


@pytest.mark.parametrize(
    "rows", ["v 0 50 3\nv 50 50 7", "v 120 3 5", "v 0 50 3\nw 50 50 7 8"]
)
def test_rawframes_of_parts_of_folders_are_refused(tmp_path, rows):
    with pytest.raises(SpecError, match="cut them into folders of their own"):
        read_annotations(write(tmp_path / "l.txt", rows))


def test_folder_per_class(tmp_path):
    for name in ("wave/b.mp4", "wave/deep/a.avi", "clap/c.MOV", "docs/x.txt"):
        write(tmp_path / name, "x")
    annotations = read_annotations(tmp_path)
    assert annotations.classes == ("clap", "wave")
    assert annotations.labels == [0, 1, 1]
    assert annotations.counts().tolist() == [1, 2]
    assert annotations.take([2]).paths == [str(tmp_path / "wave/deep/a.avi")]


def test_folder_of_subsets_asks_which(tmp_path):
    write(tmp_path / "train/wave/a.mp4", "x")
    write(tmp_path / "test/wave/b.mp4", "x")
    with pytest.raises(SpecError, match="look like subsets"):
        read_annotations(tmp_path)
    assert len(read_annotations(tmp_path, subset="train")) == 1


def test_what_systems_and_tools_leave_is_no_class(tmp_path):
    for name in (
        "A/1.mp4",
        "A/._1.mp4",
        "A/1.annotated.mp4",
        "A/1.tubes.mp4",
        "A/1.why.webm",
        "A/.1.annotated.part.mp4",
        "B/2.vob",
        "__MACOSX/A/._1.mp4",
        ".thumbs/1.mp4",
        "cache/cache.json",
        "cache/A/1.mp4.safetensors",
    ):
        write(tmp_path / name, "x")
    annotations = read_annotations(tmp_path)
    assert annotations.classes == ("A", "B")
    assert [item.path for item in annotations.items] == ["A/1.mp4", "B/2.vob"]
    packed = read_annotations(tmp_path / "cache")
    assert [item.path for item in packed.items] == ["A/1.mp4.safetensors"]


def test_a_video_beside_its_packed_file_is_not_counted_twice(tmp_path):
    for name in ("A/1.mp4", "A/1.mp4.safetensors", "B/2.mp4.safetensors"):
        write(tmp_path / name, "x")
    with pytest.raises(SpecError, match=r"twice.*A/1.mp4 and 1.mp4.safetens"):
        read_annotations(tmp_path)
    (tmp_path / "A/1.mp4").rename(tmp_path / "A/3.mp4")  # another's
    assert len(read_annotations(tmp_path)) == 3


@pytest.mark.parametrize("other", ["splits/a.txt", ".cache/wave/a.mp4"])
def test_subsets_are_known_beside_other_folders(tmp_path, other):
    for name in ("Train/wave/a.mp4", "val/wave/b.mp4", other):
        write(tmp_path / name, "x")
    with pytest.raises(SpecError, match="folders Train, val, which look like"):
        read_annotations(tmp_path)


def test_links_are_followed_but_not_in_circles(tmp_path):
    root = tmp_path / "videos"
    write(tmp_path / "elsewhere/a.mp4", "x")
    write(root / "clap/b.mp4", "x")
    (root / "wave").symlink_to(tmp_path / "elsewhere")
    (root / "clap" / "all").symlink_to(root)
    annotations = read_annotations(root)
    assert [item.path for item in annotations.items] == [
        "clap/b.mp4",
        "wave/a.mp4",
    ]


def test_json_lists_are_read(tmp_path):
    content = {
        "classes": ["wave", "clap"],
        "items": [
            {"path": "a.mp4", "label": "clap", "split": "train"},
            {"path": "b.mp4", "label": [0, "clap"], "split": "test"},
        ],
    }
    table = write(tmp_path / "list.json", json.dumps(content))
    assert read_annotations(table).labels == [(1,), (0, 1)]
    train = read_annotations(table, subset="train")
    assert (train.labels, train.classes) == ([1], ("wave", "clap"))
    content["items"][0]["label"] = "jump"
    write(table, json.dumps(content))
    with pytest.raises(SpecError, match="uses the label 'jump'"):
        read_annotations(table)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "a.mp4 -2\n"),
        ("b.txt", "folder 30 -2\n"),
        ("a.csv", "path,label\na.mp4,-1|-2\n"),
        ("a.json", '{"items": [{"path": "a.mp4", "label": -2}]}'),
    ],
)
def test_only_minus_one_says_that_a_label_is_not_known(tmp_path, name, text):
    listed = write(tmp_path / name, text)
    with pytest.raises(SpecError, match="has the label -2: classes are"):
        read_annotations(listed)
    write(listed, text.replace("-2", "-1"))
    assert read_annotations(listed).labels == [-1]


def test_a_video_without_a_label_is_named_where_labels_are_needed():
    items = Item("a.mp4", (0,)), Item("b.mp4", ())
    annotations = Annotations(items, ("x", "y"), Path())
    annotations.check_labels(2, unlabelled=True)
    with pytest.raises(SpecError, match=r"b\.mp4 has no label\. Give it one"):
        annotations.check_labels(2)


def numbered(*labels):
    items = [Item(f"{label}.mp4", (label,)) for label in labels]
    return Annotations(tuple(items), (), Path())


def test_numbers_mean_the_classes_that_are_named_by_them(tmp_path):
    for number in range(12):
        write(tmp_path / f"{number}/a.mp4", "x")
    folder = read_annotations(tmp_path)
    assert folder.classes[:4] == ("0", "1", "10", "11")
    placed = numbered(2, 4, 10).in_order_of(folder.classes)
    assert [folder.classes[x] for x in placed.labels] == ["2", "4", "10"]
    assert placed.classes == folder.classes
    numbers = [str(number) for number in range(12)]
    back = folder.in_order_of(numbers)
    assert [Path(x).parent.name for x in back.paths] == [
        numbers[x] for x in back.labels
    ]
    with pytest.raises(SpecError, match="the class 0, and .* named 1, 10, 2"):
        numbered(0, 1).in_order_of(["1", "10", "2"])


def test_numbers_that_may_be_an_index_or_a_name_are_refused():
    with pytest.raises(SpecError, match='the class "0" or the one at that ind'):
        numbered(0, 2).in_order_of(["2", "none", "walk"])
    assert numbered(1, 2).in_order_of(["0", "none", "walk"]).labels == [1, 2]
    assert numbered(1, 0).in_order_of(["walk", "run"]).labels == [1, 0]
    with pytest.raises(SpecError, match="the class"):
        numbered(1).in_order_of(["01", "1", "2"])


def test_a_name_that_a_model_has_twice_is_refused():
    """ImageNet has two kinds of cranes."""
    listed = Annotations((Item("a.mp4", (0,)),), ("crane", "tank"), Path())
    model = ["crane", "tank", "crane"]
    with pytest.raises(SpecError, match="several classes .* called crane"):
        listed.in_order_of(model)
    same = Annotations(listed.items, tuple(model), Path())
    assert same.in_order_of(model) is same


def test_classes_that_a_model_lacks_are_named_without_all_of_its_own():
    listed = Annotations((Item("a", (0,)),), ("wave_hands",), Path())
    model = [f"action_{k}" for k in range(400)] + ["wave_hand"]
    with pytest.raises(
        SpecError, match=r"hands\. Did you mean wave_hand\?"
    ) as e:
        listed.in_order_of(model)
    assert len(str(e.value)) < 120


def test_an_unknown_label_stays_unknown_in_a_models_order():
    items = Item("a.mp4", (-1,)), Item("b.mp4", (1,))
    known = Annotations(items, ("x", "y"), Path()).in_order_of(["y", "x"])
    assert known.labels == [-1, 0]
    wrong = Annotations((Item("a.mp4", (2,)),), ("x", "y"), Path())
    with pytest.raises(SpecError, match=r"a\.mp4 has the label 2"):
        wrong.in_order_of(["y", "x"])


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_lists_that_state_their_encoding(tmp_path, mark, encoding):
    for name, text in (
        ("a.txt", "été.mp4 0\n"),
        ("a.csv", "path,label\nété.mp4,x\n"),
        ("a.json", '{"items": [{"path": "été.mp4", "label": "x"}]}'),
    ):
        (tmp_path / name).write_bytes(mark + text.encode(encoding))
        annotations = read_annotations(tmp_path / name)
        assert [item.path for item in annotations.items] == ["été.mp4"]


def test_a_list_in_another_encoding_is_an_error(tmp_path):
    table = tmp_path / "a.txt"
    table.write_bytes("été.mp4 0\n".encode("latin-1"))
    with pytest.raises(SpecError, match=r"a\.txt is not text .* as UTF-8"):
        read_annotations(table)


def test_the_home_folder_may_be_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "v/wave/a.mp4", "x")
    write(tmp_path / "a.txt", "wave/a.mp4 0\n")
    annotations = read_annotations("~/a.txt", root="~/v")
    assert annotations.paths == [str(tmp_path / "v/wave/a.mp4")]
    assert read_annotations("~/v").paths == annotations.paths


def test_addresses_and_the_home_folder_have_no_root(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/of")
    address = "https://host/a.mp4"
    rows = f"{address} 0\n~/b.mp4 1\nc.mp4 1\n"
    expected = [address, "/home/of/b.mp4", f"{tmp_path}/c.mp4"]
    table = "path,label\n" + rows.replace(" ", ",")
    for name, text in (("l.txt", rows), ("l.csv", table)):
        read = read_annotations(write(tmp_path / name, text))
        assert read.paths == read.files == expected
    part = Item("s3://bucket/a.mp4", (0,), None, 1.0, 2.0)
    assert part.place(tmp_path) == "s3://bucket/a.mp4#t=1,2"


def test_items_are_taken_by_whole_numbers():
    annotations = numbered(0, 1, 2)
    assert annotations.take(np.array([2, -3])).labels == [2, 0]
    with pytest.raises(SpecError, match=r"a mask\. Pass numpy.flatnonzero"):
        annotations.take(np.array([True, False, True]))
    for wrong in (3, 1.0, "1"):
        with pytest.raises(SpecError, match="whole numbers from 0 to 2"):
            annotations.take([wrong])


def test_a_class_that_a_row_names_twice_is_one(tmp_path):
    table = write(tmp_path / "l.csv", "path,label\na.mp4,run|run\nb.mp4,sit\n")
    read = read_annotations(table)
    assert (read.labels, read.several) == ([0, 1], False)
    assert read.counts().tolist() == [1, 1]


def test_csv_lists_are_read(tmp_path):
    table = write(
        tmp_path / "list.csv",
        "path,label,split\na.mp4,wave,train\nb.mp4,clap|wave,test\n",
    )
    annotations = read_annotations(table)
    assert annotations.format == "csv"
    assert (annotations.classes, annotations.labels) == (
        ("clap", "wave"),
        [(1,), (0, 1)],
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "[1]", "must hold"),
        ("a.json", '{"items": [3]}', "must hold"),
        ("a.txt", "what is this", "Cannot tell the format"),
        ("a.txt", "", "Cannot tell the format"),
    ],
)
def test_broken_lists_are_refused_with_the_reason(
    tmp_path, name, text, message
):
    with pytest.raises(SpecError, match=message):
        read_annotations(write(tmp_path / name, text))


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(SpecError, match="There is no annotation list"):
        read_annotations(tmp_path / "missing.txt")
    table = write(tmp_path / "a.txt", "a.mp4 1")
    with pytest.raises(SpecError, match="Did you mean videos"):
        read_annotations(table, format="video")
    with pytest.raises(SpecError, match="expected 'folder frames label'"):
        read_annotations(table, format="rawframes")
    with pytest.raises(SpecError, match="holds no videos in class folders"):
        read_annotations(tmp_path)


def test_folders_of_frames_in_folders_of_classes(tmp_path):
    for place in ("wave/b", "wave/a", "sit/c", "sit/d/deep"):
        for number in (1, 2):
            write(tmp_path / place / f"img_{number:05}.jpg", "")
    write(tmp_path / "wave" / "a" / "notes.doc", "")
    write(tmp_path / "wave" / "poster.gif.bak", "")
    found = read_annotations(tmp_path)
    assert found.classes == ("sit", "wave")
    folders = [str(tmp_path / x) for x in ("sit/c", "wave/a", "wave/b")]
    assert found.pairs() == list(zip(folders, [0, 1, 1], strict=True))
    deep = [f"sit/d/deep/img_{number:05}.jpg" for number in (1, 2)]
    assert list(found.passed_over) == [*deep, "wave/poster.gif.bak"]
    write(tmp_path / "sit" / "d.mp4", "")  # pictures beside videos are none
    assert read_annotations(tmp_path).classes == ("sit",)


@pytest.mark.parametrize(
    "place", ["jpegs_256/{}", "{}/rgb", "flow/u/{}", "{}/flow_x"]
)
def test_trees_of_frames_are_no_classes(tmp_path, place):
    for video in ("a", "b"):
        folder = tmp_path / place.format(video)
        write(folder / "frame000001.jpg", "")
    with pytest.raises(SpecError, match="look like trees|no videos in class"):
        read_annotations(tmp_path)


def test_the_place_of_frames_is_said(tmp_path):
    write(tmp_path / "wave" / "img_00001.jpg", "")
    with pytest.raises(SpecError, match=r"1 folder\. .*<video>/00001\.jpg"):
        read_annotations(tmp_path)


def test_the_six_classes_of_ucf101(shared):
    folder = shared / "ucf101_six"
    counts = {
        (split, subset): len(
            read_annotations(
                folder / "ucfTrainTestlist", split=split, subset=subset
            )
        )
        for split in (1, 2, 3)
        for subset in ("train", "test")
    }
    assert list(counts.values()) == [529, 202, 527, 204, 517, 214]
    assert len(read_annotations(folder)) == 731
