"""Fusion of files whose videos and classes are in other orders."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_twostream.errors import SpecError
from keras_twostream.scoring.fusing import fuse_files
from keras_twostream.training import VideoScores

NAMES = ["x/1", "x/2", "y/1", "y/2"]
LABELS = np.array([0, 0, 1, 1])
RIGHT = np.eye(2)[LABELS]


@pytest.fixture
def save(tmp_path):
    def save(stem, rows=RIGHT, **changes):
        stream = "flow" if stem == "b" else "rgb"
        scores = VideoScores(NAMES, LABELS, {stream: rows}, classes=["a", "b"])
        dataclasses.replace(scores, **changes).save(tmp_path / f"{stem}.npz")
        return f"{stem}={tmp_path / stem}.npz"

    return save


def top1(*files, **options):
    accuracy = fuse_files(files, **options)["accuracy"]
    return {name: numbers["top1"] for name, numbers in accuracy.items()}


def test_columns_and_labels_are_ordered_by_the_names_of_classes(save):
    one = save("a")
    unknown = np.array([1, -1, 0, 0])
    other = save("b", RIGHT[:, ::-1], labels=unknown, classes=["b", "a"])
    assert top1(one, other) == {"a": 1, "b": 1, "fused": 1}
    assert top1(other, one) == {"a": 1, "b": 1, "fused": 1}
    swapped = {"labels": 1 - LABELS, "classes": ["b", "a"]}
    train = save("t", RIGHT[:, ::-1], **swapped).replace("t=", "a=", 1)
    assert top1(save("a"), svm=[train]) == {"a": 1, "fused": 1}


def test_labels_of_another_file_are_ordered_by_the_names_of_classes(save):
    plain = save("a", labels=np.full(4, -1))
    labels = save("c", labels=1 - LABELS, classes=["b", "a"])
    path = labels.partition("=")[2]
    assert top1(plain, labels=path) == {"a": 1, "fused": 1}


def test_rows_are_ordered_by_the_names_of_videos(save):
    order = [2, 3, 0, 1]
    moved = [f"/flow/{NAMES[row]}.mp4" for row in order]
    for labels in (LABELS[order], np.full(4, -1)):
        file = save("b", RIGHT[order], names=moved, labels=labels)
        assert top1(save("a"), file) == {"a": 1, "b": 1, "fused": 1}


def test_a_stream_does_not_stand_in_for_the_fusion(save):
    fused = save("c", scores={"fused": RIGHT}).partition("=")[2]
    assert top1(fused) == {"fused": 1}
    with pytest.raises(SpecError, match="in place of the fusion"):
        top1(save("a"), fused)
    assert top1(save("a"), f"c={fused}") == {"a": 1, "c": 1, "fused": 1}


def test_no_file_is_refused():
    with pytest.raises(SpecError, match="`files` is empty"):
        fuse_files([])


def test_other_classes_are_refused(save):
    with pytest.raises(SpecError, match="same classes.* lacks b, c"):
        top1(save("a"), save("b", classes=["a", "c"]))
    with pytest.raises(SpecError, match="same classes"):
        top1(save("a", classes=["a", "a"]), save("b"))


def test_files_without_classes_are_fused_as_before(save):
    plain = save("a", classes=[])
    assert top1(plain, save("b")) == {"a": 1, "b": 1, "fused": 1}
    assert top1(save("b"), plain) == {"a": 1, "b": 1, "fused": 1}


def test_files_after_one_that_only_counts_its_videos_are_compared(save):
    foreign = save("a", names=list("0123"), classes=[])
    other = save("c", RIGHT[:, ::-1], labels=1 - LABELS, classes=["b", "a"])
    assert set(top1(foreign, save("b"), other).values()) == {1}
    unknown = {"labels": np.full(4, -1), "names": NAMES[::-1]}
    moved = save("c", RIGHT[::-1], **unknown)
    assert set(top1(foreign, save("b"), moved).values()) == {1}
    with pytest.raises(SpecError, match="of the same videos"):
        top1(foreign, save("b"), save("c", names=["x/1", "x/2", "y/1", "z/2"]))
    short = save("a", RIGHT[:3], names=list("012"), labels=LABELS[:3])
    with pytest.raises(SpecError, match="has 3, and b=.* 4"):
        top1(short, save("b"))


@pytest.mark.parametrize(
    "names",
    [
        ["x/1", "x/2", "y/1", "z/2"],
        ["x/1", "x/2", "y/1", "y/2.5"],
        ["x/1#t=0,1", "x/2", "y/1", "y/2"],
        NAMES[:3],
    ],
)
def test_other_videos_are_refused(save, names):
    count = len(names)
    other = save("b", RIGHT[:count], names=names, labels=LABELS[:count])
    with pytest.raises(SpecError, match=r"same videos\. \w+=\S+ has \S+"):
        top1(save("a"), other)


def test_parts_of_one_video_are_told_apart(save):
    names = [f"v.mp4#t={start}.5,{start + 1}.25" for start in range(4)]
    one, order = save("a", names=names), [1, 0, 3, 2]
    moved = [names[row] for row in order]
    other = save("b", RIGHT[order], names=moved, labels=LABELS[order])
    assert top1(one, other) == {"a": 1, "b": 1, "fused": 1}
    later = [name.replace(".25", ".75") for name in names]
    with pytest.raises(SpecError, match="of the same videos"):
        top1(one, save("b", names=later))


def test_versions_in_names_are_told_apart(save):
    names = ["c.v1", "c.v2", "c.v3", "c.v4"]
    with pytest.raises(SpecError, match="of the same videos"):
        top1(
            save("a", names=names),
            save("b", names=["c.v1", "c.v2", "c.v3", "c.v5"]),
        )


def test_labels_that_contradict_are_refused_though_one_is_unknown(save):
    wrong = save("b", labels=np.array([-1, 0, 0, 1]))
    with pytest.raises(SpecError, match=r"y/1 has \[0\] in b=.*, and \[1\]"):
        top1(save("a"), wrong)
    with pytest.raises(SpecError, match="the same labels"):
        top1(save("a"), labels=wrong.partition("=")[2])


def test_an_unknown_label_is_left_out_or_taken_from_the_other_file(save):
    rows = RIGHT[[0, 2, 2, 2]]
    one = save("a", rows, labels=np.array([0, -1, 1, -1]))
    assert top1(one) == {"a": 1, "fused": 1}
    assert top1(one, save("b"))["a"] == 0.75
    with pytest.raises(SpecError, match="hold no labels"):
        top1(save("a", labels=np.full(4, -1)))


@settings(max_examples=10)
@given(st.permutations(range(4)), st.booleans(), st.data())
def test_any_order_of_a_file_gives_the_same_fusion(
    tmp_path_factory, order, swapped, data
):
    folder = tmp_path_factory.mktemp("scores")
    unit = st.lists(st.floats(-2, 2, width=16), min_size=8, max_size=8)
    one, two = (np.reshape(data.draw(unit), (4, 2)) for _ in range(2))
    first = VideoScores(NAMES, LABELS, {"rgb": one}, classes=["a", "b"])
    other = dataclasses.replace(first, scores={"flow": two})
    moved = VideoScores(
        [NAMES[row] for row in order],
        LABELS[order] ^ swapped,
        {"flow": two[order][:, ::-1] if swapped else two[order]},
        classes=["b", "a"] if swapped else ["a", "b"],
    )
    files = [folder / "rgb.npz", folder / "flow.npz"]
    first.save(files[0])
    reports = []
    for scores in (other, moved):
        scores.save(files[1])
        reports.append(fuse_files(list(map(str, files))))
    assert reports[0] == reports[1]
