"""Lists of videos without labels."""

import pytest

from keras_twostream.data.lists.bare import is_list, listed_videos
from keras_twostream.errors import SpecError, TwoStreamError


@pytest.fixture
def folder(tmp_path):
    for name in ("one.mp4", "two words.mp4"):
        (tmp_path / name).write_bytes(b"video")
    return tmp_path


def test_a_path_or_an_address_on_each_line(folder):
    path = folder / "list.txt"
    path.write_text(
        "\ufeff# mine\none.mp4\n\n  two words.mp4  \n"
        "https://host/three.mp4\none.mp4#t=1,2\n",
        "utf-8",
    )
    assert listed_videos(path) == [
        str(folder / "one.mp4"),
        str(folder / "two words.mp4"),
        "https://host/three.mp4",
        str(folder / "one.mp4#t=1,2"),
    ]


def test_a_list_with_labels_is_a_list_of_videos(folder):
    table = folder / "list.csv"
    table.write_text("path,label\none.mp4,a\ntwo words.mp4,b\n")
    expected = [str(folder / "one.mp4"), str(folder / "two words.mp4")]
    assert [str(path) for path in listed_videos(table)] == expected


def test_a_list_of_nothing_is_refused(folder):
    path = folder / "list.txt"
    path.write_text("# nothing\n")
    with pytest.raises(TwoStreamError):
        listed_videos(path)
    (folder / "binary.txt").write_bytes(b"\xff\xfe\x00" * 9)
    with pytest.raises(SpecError, match="binary"):
        listed_videos(folder / "binary.txt")


def test_lists_are_known_by_their_suffix():
    assert is_list("a.CSV") and is_list("b.txt") and not is_list("c.mp4")
