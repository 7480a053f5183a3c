"""The lists of a run: videos to train on, videos held out, and refusals."""

import re
from pathlib import Path

import pytest

from keras_twostream.data import Annotations, Item
from keras_twostream.errors import SpecError
from keras_twostream.training._lists import (
    Lists,
    class_names,
    read_lists,
    recording,
)


def _lists(data, **flags):
    defaults = {
        "val": None,
        "val_share": 0.25,
        "recordings": r"^(.+)_c\d+$",
        "split": None,
        "subset": None,
        "root": None,
        "list_format": None,
        "seed": 0,
    }
    return read_lists(str(data), **{**defaults, **flags})


def test_whole_recordings_are_held_out(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for group in range(4):
            for clip in range(3):
                file = f"v_{name}_g{group:02}_c{clip:02}.mp4"
                (tmp_path / name / file).touch()
    lists = _lists(tmp_path)
    assert (len(lists.train), len(lists.validation)) == (18, 6)
    groups = [
        {Path(path).stem[:-4] for path, _ in part}
        for part in (lists.train, lists.validation)
    ]
    assert not groups[0] & groups[1]


def test_a_packed_file_is_of_its_video_s_recording():
    for pattern in ("(g01)", r"^(.+)_c\d+$", "^(x)$"):
        names = ("a/v_g01_c01.mp4", "a/v_g01_c01.mp4.safetensors")
        assert len({recording(name, pattern) for name in names}) == 1


def test_recordings_of_one_name_in_two_folders_are_two():
    names = {recording(f"{folder}/v_g01_c01.mp4", "(g01)") for folder in "ab"}
    assert names == {"a/g01", "b/g01"}


def _write_csv(path, *rows):
    path.write_text("\n".join(["path,label,split", *rows]) + "\n")
    return path


@pytest.fixture
def with_subsets(tmp_path):
    """A list of one's own with a column for the subset."""
    rows = [
        f"{subset}{number}.mp4,{number % 2},{subset}"
        for subset in ("train", "test")
        for number in range(8)
    ]
    return _write_csv(tmp_path / "list.csv", *rows)


def test_the_test_part_of_a_list_is_not_trained_on(with_subsets):
    with pytest.raises(SpecError, match="subsets: test, train. Choose"):
        _lists(with_subsets)
    lists = _lists(with_subsets, subset="train", val="test")
    names = [{Path(path).name[:4] for path, _ in lists.train}]
    names.append({Path(path).name[:4] for path, _ in lists.validation})
    assert names == [{"trai"}, {"test"}]


def test_a_validation_list_of_several_subsets_is_refused(
    tmp_path, with_subsets
):
    data = tmp_path / "train.txt"
    data.write_text("a.mp4 0\nb.mp4 1\n")
    with pytest.raises(SpecError, match="test, train. Give --val a list"):
        _lists(data, val=str(with_subsets))


def test_an_official_list_without_a_split_is_a_mixture(tmp_path):
    (tmp_path / "classInd.txt").write_text("1 Run\n2 Sit\n")
    for subset in ("train", "test"):
        rows = [f"{name}/v_{name}_g01_c01.avi" for name in ("Run", "Sit")]
        (tmp_path / f"{subset}list01.txt").write_text("\n".join(rows))
    with pytest.raises(SpecError, match="--split where"):
        _lists(tmp_path)
    assert len(_lists(tmp_path, split=1, val="test").validation) == 2


@pytest.mark.parametrize(
    "row, message",
    [
        (
            "odd.mp4 2",
            r"odd\.mp4 has the label 2: classes are .* 0 to 1",
        ),
        ("odd.mp4 -1", r"odd\.mp4 has no label"),
    ],
)
def test_validation_with_labels_that_the_model_lacks(tmp_path, row, message):
    data, val = tmp_path / "train.txt", tmp_path / "val.txt"
    data.write_text("a.mp4 0\nb.mp4 1\n")
    val.write_text(f"c.mp4 1\n{row}\n")
    with pytest.raises(SpecError, match=message):
        _lists(data, val=str(val))


def test_labels_are_of_one_kind_where_a_video_shows_several(tmp_path):
    rows = ["a.mp4,0|2,", "b.mp4,1,", "c.mp4,,", "d.mp4,1,", "e.mp4,0,"]
    data = _write_csv(tmp_path / "list.csv", *rows, "f.mp4,0,")
    lists = _lists(data, val_share=0.5)
    labels = [label for _, label in [*lists.train, *lists.validation]]
    assert lists.validation and lists.multi_label
    assert all(isinstance(label, tuple) for label in labels)
    assert lists.classes == ("0", "1", "2")


def test_videos_of_several_classes_are_not_balanced(tmp_path):
    lists = Lists([("a.mp4", (0, 1))], [], ("0", "1"))
    with pytest.raises(SpecError, match="several classes at once. Leave"):
        lists.class_weight()


def test_a_folder_too_high_holds_one_class(tmp_path):
    for name in ("Run", "Sit"):
        (tmp_path / "UCF" / name).mkdir(parents=True)
        (tmp_path / "UCF" / name / "a.mp4").touch()
    with pytest.raises(SpecError, match="holds one class, UCF; .*right above"):
        _lists(tmp_path)


def test_rare_classes_weigh_more_and_a_mean_clip_one():
    labels = (0, 0, 0, 2)  # no video is of class 1
    lists = Lists([("a.mp4", x) for x in labels], [], ("a", "b", "c"))
    weight = lists.class_weight()
    assert weight == {0: pytest.approx(2 / 3), 2: pytest.approx(2)}
    with pytest.raises(SpecError, match="of one head"):
        Lists([], [], (), {"colour": ("red", "blue")}).class_weight()


def test_numbers_that_no_video_has_are_no_classes():
    items = [Item("a.mp4", (2019,)), Item("b.mp4", (2020,))]
    with pytest.raises(SpecError, match="no video has 2019 of them"):
        class_names(Annotations(tuple(items), (), Path()))
    items = [Item("a.mp4", (1,)), Item("b.mp4", (2,))]
    annotations = Annotations(tuple(items), (), Path())
    assert class_names(annotations) == ("0", "1", "2")


def test_what_a_list_leaves_out_is_noted(tmp_path):
    data = tmp_path / "list.txt"
    data.write_text("a.mp4 1\nb.mp4 2\nc.mp4 1\nd.mp4 2\n")
    (note,) = _lists(data).notes
    assert note.startswith("No video is of class 0")
    for name in ("x", "y"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "a.mp4").touch()
    (tmp_path / "set" / "notes.doc").touch()
    (note,) = _lists(tmp_path / "set").notes
    assert "1 file of .doc" in note and "doctor" in note


def test_class_folders_of_numbers_and_a_list_of_numbers_agree(tmp_path):
    for name in range(12):
        (tmp_path / "set" / str(name)).mkdir(parents=True)
        (tmp_path / "set" / str(name) / "a.mp4").touch()
    table = tmp_path / "val.txt"
    table.write_text("".join(f"{name}.mp4 {name}\n" for name in range(12)))
    for data, val in ((tmp_path / "set", table), (table, tmp_path / "set")):
        lists = _lists(data, val=str(val))
        names = [
            re.search(r"\d+", path[len(str(tmp_path)) :])[0]
            for path, _ in lists.validation
        ]
        assert names == [lists.classes[x] for _, x in lists.validation]


def test_names_are_not_taken_for_the_numbers_of_another_list(tmp_path):
    data, val = tmp_path / "train.txt", tmp_path / "val.csv"
    data.write_text("a.mp4 0\nb.mp4 1\n")
    val.write_text("path,label\nc.mp4,walk\n")
    with pytest.raises(SpecError, match="know the classes walk. Choices: 0, 1"):
        _lists(data, val=str(val))


def test_a_video_with_two_labels_contradicts_itself(tmp_path):
    data = tmp_path / "list.csv"
    data.write_text("path,label\na.mp4,run\nb.mp4,walk\n./a.mp4,walk\n")
    with pytest.raises(SpecError, match=r"a\.mp4 twice, .* run and walk\. Rem"):
        _lists(data)
    train = tmp_path / "train.csv"
    train.write_text("path,label\nc.mp4,run\nd.mp4,walk\n")
    with pytest.raises(SpecError, match="list.csv has .* twice"):
        _lists(train, val=str(data))


@pytest.mark.parametrize(
    "rows",
    [
        "a.mp4,run,0,1\na.mp4,walk,1,2\n",  # two parts
        "a.mp4,run,,\na.mp4,run,,\nb.mp4,walk,,\n",
        "a.mp4,run,,\na.mp4,walk,,\nb.mp4,run|walk,,\n",
    ],
)
def test_a_video_may_be_there_twice(tmp_path, rows):
    data = tmp_path / "list.csv"
    data.write_text(f"path,label,start,end\n{rows}")
    lists = _lists(data, val_share=0.0)
    assert len(lists.train) == rows.count("\n")


def _heads(path, rows):
    path.write_text("\n".join(["path,motion,number,split", *rows]) + "\n")
    return path


def test_heads_keep_the_test_part_of_a_list_apart(tmp_path):
    rows = ["a.mp4,run,0,train", "b.mp4,walk,1,train", "c.mp4,walk,1,test"]
    data = _heads(tmp_path / "list.csv", rows)
    with pytest.raises(SpecError, match="subsets: test, train. Choose"):
        _lists(data, heads="motion,number")
    lists = _lists(data, heads="motion,number", subset="train", val="test")
    assert [Path(x).name for x, _ in lists.train] == ["a.mp4", "b.mp4"]
    assert [labels for _, labels in lists.validation] == [
        {"motion": 1, "number": 1}
    ]
    assert lists.heads["number"] == ("0", "1")


def test_a_head_has_one_label_of_a_video(tmp_path):
    rows = ["a.mp4,run,0,", "b.mp4,walk,1,", "a.mp4,run,1,"]
    data = _heads(tmp_path / "list.csv", rows)
    with pytest.raises(SpecError, match="column number .*twice, .* 0 and 1"):
        _lists(data, heads="motion,number")
