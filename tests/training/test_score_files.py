import os
import pickle

import numpy as np
import pytest

from keras_twostream import training
from keras_twostream.errors import SpecError


def test_tsn_archive_without_running_its_pickles(tmp_path):
    rows = np.empty((2, 2), dtype=object)
    for i in range(2):
        rows[i, 0] = np.full((5, 1, 3), float(i), "float32")
        rows[i, 1] = i
    path = tmp_path / "tsn.npz"
    np.savez(path, scores=rows, labels=np.array([0, 1]))
    found = training.load_scores(path, "flow")
    assert found.labels.tolist() == [0, 1]
    assert found.scores["flow"].tolist() == [[0.0] * 3, [1.0] * 3]


def test_tsn_archive_of_plain_arrays(tmp_path):
    path = tmp_path / "tsn.npz"
    np.savez(path, scores=np.ones((2, 4, 3)), labels=np.array([0, 1]))
    assert training.load_scores(path).scores["tsn"].shape == (2, 3)


@pytest.mark.parametrize("protocol", [2, 4])
def test_mmaction_dicts(tmp_path, protocol):
    rows = [
        {"pred_score": np.array([0.2, 0.8]), "gt_label": np.array([1])},
        {"pred_score": np.array([0.9, 0.1]), "gt_label": np.array([0])},
    ]
    path = tmp_path / "result.pkl"
    path.write_bytes(pickle.dumps(rows, protocol=protocol))
    found = training.load_scores(path)
    assert found.kind == "softmax"
    assert found.report()["fused"]["top1"] == 1.0


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


def test_broken_and_missing_files(tmp_path):
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
