"""Score files of other tools, read without running their pickles."""

import os
import pickle
import random
import zipfile

import numpy as np
import pytest
from damage import damaged

from keras_twostream import training
from keras_twostream.errors import SpecError


def test_tsn_archive_without_running_its_pickles(tmp_path):
    rows = np.empty((2, 2), dtype=object)
    for i in range(2):
        rows[i, 0] = np.full((5, 1, 3), float(i), "float32")
        rows[i, 1] = i
    path = tmp_path / "tsn.npz"
    np.savez(path, scores=rows, labels=np.array([0, 1]))
    scores = training.load_scores(path, "flow")
    assert scores.labels.tolist() == [0, 1]
    assert scores.scores["flow"].tolist() == [[0.0] * 3, [1.0] * 3]


def test_tsn_archive_of_plain_arrays(tmp_path):
    path = tmp_path / "tsn.npz"
    np.savez(path, scores=np.ones((2, 4, 3)), labels=np.array([0, 1]))
    assert training.load_scores(path).scores["tsn"].shape == (2, 3)
    assert training.load_scores(path).kind == "logits"
    np.savez(path, scores=np.full((2, 4, 3), 1 / 3), labels=np.array([0, 1]))
    assert training.load_scores(path).kind == "softmax"


@pytest.mark.parametrize("protocol", [2, 4])
def test_score_files_of_mmaction_are_read(tmp_path, protocol):
    rows = [
        {"pred_score": np.array([0.2, 0.8]), "gt_label": np.array([1])},
        {"pred_score": np.array([0.9, 0.1]), "gt_label": np.array([0])},
    ]
    path = tmp_path / "result.pkl"
    path.write_bytes(pickle.dumps(rows, protocol=protocol))
    scores = training.load_scores(path)
    assert scores.kind == "softmax"
    assert scores.report()["fused"]["top1"] == 1.0


class _Evil:
    def __init__(self, place):
        self._place = str(place)

    def __reduce__(self):
        return os.mkdir, (self._place,)


@pytest.mark.parametrize("suffix", ["pkl", "npz"])
def test_a_pickle_runs_nothing(tmp_path, suffix):
    trap, path = tmp_path / "trap", tmp_path / f"evil.{suffix}"
    if suffix == "pkl":
        path.write_bytes(pickle.dumps([_Evil(trap)]))
    else:
        evil = np.array([_Evil(trap)], dtype=object)
        np.savez(path, scores=evil, labels=np.array([0]))
    with pytest.raises(SpecError, match=r"asks for (posix|nt)\.mkdir"):
        training.load_scores(path)
    assert not trap.exists()


def test_broken_and_missing_files_are_refused(tmp_path):
    broken = tmp_path / "broken.pkl"
    broken.write_bytes(b"\x80\x04garbage")
    with pytest.raises(SpecError, match="cannot be read"):
        training.load_scores(broken)
    with pytest.raises(SpecError, match="There is no file of scores"):
        training.load_scores(tmp_path / "none.npz")
    text = tmp_path / "scores.txt"
    text.write_text("0 1")
    with pytest.raises(SpecError, match="is not a file of scores"):
        training.load_scores(text)
    other = tmp_path / "other.npz"
    np.savez(other, a=np.ones(2))
    with pytest.raises(SpecError, match="holds a, not scores"):
        training.load_scores(other)
    newer = tmp_path / "newer.npz"
    with zipfile.ZipFile(newer, "w") as archive:
        archive.writestr("scores.npy", b"\x93NUMPY\x09\x00 ")
    with pytest.raises(SpecError, match="an array of an unknown version"):
        training.load_scores(newer)


def saved_scores(path, **changes):
    scores = training.VideoScores(
        ["a", "b"], np.array([0, 1]), {"rgb": np.eye(2, dtype="f4")}
    )
    scores.save(path)
    with np.load(path) as file:
        np.savez(path, **{**dict(file), **changes})


def test_every_damaged_file_of_scores_is_read_or_refused(tmp_path):
    rng, path, refused = random.Random(0), tmp_path / "s.npz", 0
    saved_scores(path)
    whole = path.read_bytes()
    for _ in range(200):
        path.write_bytes(damaged(whole, rng))
        try:
            training.load_scores(path)
        except SpecError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 100


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"labels": np.zeros(3, int)}, "names 2 videos, and `labels`"),
        ({"scores/rgb": np.zeros((1, 2))}, "names 2 videos, and `scores/rgb`"),
        ({"scores/rgb": np.array(["a", "b"])}, "holds no numbers"),
        ({"kind": np.array("odds")}, "of the kind logits or softmax"),
        ({"scores/rgb": np.zeros((2, 1, 2))}, r"of the shape \(videos, cl"),
        ({"scores/flow": np.zeros((2, 3))}, r"Received: \(2, 2\), \(2, 3\)"),
        ({"classes": np.array(["x"])}, "all of 1 classes"),
        ({"labels": np.array([0.5, 1])}, "must be the number of a class"),
        ({"labels": np.zeros((2, 3), int)}, "or 2 times 0 or 1"),
    ],
)
def test_scores_that_contradict_themselves(tmp_path, changes, message):
    saved_scores(tmp_path / "s.npz", **changes)
    with pytest.raises(SpecError, match=message):
        training.load_scores(tmp_path / "s.npz")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_tensors_of_mmaction_are_read_without_torch(tmp_path, dtype):
    torch = pytest.importorskip("torch")
    scores = torch.tensor([[0.2, 0.8, 0.0], [0.9, 0.0, 0.1]])
    scores = scores.to(getattr(torch, dtype))
    rows = [
        {"pred_score": scores[i], "gt_label": torch.tensor([1 - i])}
        for i in range(2)
    ]
    rows[0]["pred_scores"] = {"item": scores.T.contiguous().T[0]}
    path = tmp_path / "result.pkl"
    path.write_bytes(pickle.dumps(rows))
    loaded = training.load_scores(path, "rgb")
    np.testing.assert_array_equal(loaded.scores["rgb"], scores.float().numpy())
    assert (loaded.labels.tolist(), loaded.kind) == ([1, 0], "softmax")


def test_forged_addresses_are_named(shared):
    path = shared.parent / "faults" / "forged_O_4.pkl"
    with pytest.raises(SpecError, match=r"forged_O_4\.pkl cannot .*addresses"):
        training.load_scores(path)


def test_bytes_of_python_2_are_read(tmp_path):
    # What Python 2 pickled of numpy.array([1.5, 200.0]), protocol 0.
    raw = np.array([1.5, 200.0]).tobytes()
    text = "".join(f"\\x{byte:02x}" for byte in raw)
    pickled = (
        "(lp0\ncnumpy.core.multiarray\n_reconstruct\np1\n(cnumpy\nndarray\n"
        "p2\n(I0\ntp3\nS'b'\np4\ntp5\nRp6\n(I1\n(I2\ntp7\ncnumpy\ndtype\n"
        "p8\n(S'f8'\np9\nI0\nI1\ntp10\nRp11\n(I3\nS'<'\np12\nNNNI-1\nI-1\n"
        f"I0\ntp13\nbI00\nS'{text}'\np14\ntp15\nbap16\n."
    )
    path = tmp_path / "result.pkl"
    path.write_bytes(pickled.encode("ascii"))
    scores = training.load_scores(path, "rgb")
    assert scores.scores["rgb"].tolist() == [[1.5, 200.0]]


def test_several_labels_and_raw_scores_of_mmaction(tmp_path):
    rows = [
        {"pred_score": np.array([3.0, -1.0, 2.0]), "gt_label": [1, 0, 1]},
        {"pred_score": np.array([0.0, 4.0, 1.0]), "gt_label": [0, 1, 0]},
    ]
    path = tmp_path / "result.pkl"
    path.write_bytes(pickle.dumps(rows))
    scores = training.load_scores(path)
    assert scores.labels.tolist() == [[1, 0, 1], [0, 1, 0]]
    assert scores.kind == "logits"


def test_several_class_numbers_of_mmaction_all_count(tmp_path):
    path = tmp_path / "result.pkl"
    rows = [
        {"pred_score": np.array([3.0, -1.0, 2.0]), "gt_label": label}
        for label in ([0, 2], [1], [-1])
    ]
    path.write_bytes(pickle.dumps(rows))
    labels = training.load_scores(path).labels
    assert labels.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    rows[1]["gt_label"] = [3]
    path.write_bytes(pickle.dumps(rows))
    with pytest.raises(SpecError, match=r"label \[3\] .* 3 classes, 0 to 2"):
        training.load_scores(path)


def test_rows_without_scores_or_with_labels_of_other_videos_are_refused(
    tmp_path,
):
    path = tmp_path / "result.pkl"
    path.write_bytes(pickle.dumps([{"gt_label": 1}]))
    with pytest.raises(SpecError, match="a video without pred_score"):
        training.load_scores(path)
    path = tmp_path / "tsn.npz"
    np.savez(path, scores=np.ones((2, 4, 3)), labels=np.array([0]))
    with pytest.raises(SpecError, match="2 videos and 1 labels"):
        training.load_scores(path)


def test_files_without_videos_or_streams_are_refused(tmp_path):
    empty = {"rgb": np.zeros((0, 2))}
    for names, scores in (([], empty), (["a"], {})):
        file = training.VideoScores(names, np.zeros(len(names), int), scores)
        file.save(tmp_path / "s.npz")
        with pytest.raises(SpecError, match="no scores of videos"):
            training.load_scores(tmp_path / "s.npz")


def test_whole_numbers_that_were_saved_as_floats_are_labels(tmp_path):
    saved_scores(tmp_path / "s.npz", labels=np.array([1.0, -1.0]))
    labels = training.load_scores(tmp_path / "s.npz").labels
    assert labels.tolist() == [1, -1] and labels.dtype.kind == "i"
