"""Data sets of other libraries become files and labels."""

import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numbered_videos import numbered_frames

from keras_twostream.data import (
    count_frames,
    from_hugging_face,
    from_tfds,
    read_frames,
)
from keras_twostream.data.lists.imports import write_lossless
from keras_twostream.errors import MissingLibraryError, SpecError


class FakeDataset(list):
    """The parts of a Hugging Face data set that the import uses."""

    features = {  # noqa: RUF012
        "video": None,
        "label": types.SimpleNamespace(names=["clap", "wave"]),
    }

    def cast_column(self, column, feature):
        assert (column, feature.decode) == ("video", False)
        return self


@pytest.fixture
def encoded_videos(monkeypatch):
    """The part of the package `datasets` that the import uses."""
    module = types.SimpleNamespace(
        Video=lambda decode: types.SimpleNamespace(decode=decode)
    )
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_data_sets_of_hugging_face_become_lists(
    encoded_videos, tmp_path, video
):
    rows = FakeDataset(
        [
            {"video": {"path": str(video), "bytes": None}, "label": 1},
            {
                "video": {"path": "a.mp4", "bytes": video.read_bytes()},
                "label": 0,
            },
        ]
    )
    annotations = from_hugging_face(rows, tmp_path / "videos")
    assert (annotations.classes, annotations.labels) == (
        ("clap", "wave"),
        [1, 0],
    )
    assert annotations.paths[0] == str(video)
    assert [count_frames(path) for path in annotations.paths] == [40, 40]
    with pytest.raises(SpecError, match="no column 'clip'. Columns: video"):
        from_hugging_face(rows, tmp_path, video="clip")


def test_another_split_of_hugging_face_has_files_of_its_own(
    encoded_videos, tmp_path, video
):
    train, test = (
        FakeDataset([{"video": {"path": "", "bytes": item}, "label": 0}])
        for item in (video.read_bytes(), b"another")
    )
    (before,) = from_hugging_face(train, tmp_path).paths
    (path,) = from_hugging_face(test, tmp_path).paths
    assert Path(path).read_bytes() == b"another"
    assert from_hugging_face(train, tmp_path).paths == [before]


def test_hugging_face_without_its_library(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingLibraryError, match="pip install datasets"):
        from_hugging_face(FakeDataset(), tmp_path)


def test_tfds_is_written_without_loss(tmp_path):
    noise = np.random.default_rng(0)
    clip = noise.integers(0, 256, (6, 33, 47, 3), np.uint8)
    examples = [
        {"video": clip, "label": np.int64(1)},
        {"video": numbered_frames(4), "label": np.int64(0)},
    ]
    annotations = from_tfds(examples, tmp_path, ["clap", "wave"])
    np.testing.assert_array_equal(read_frames(annotations.paths[0]), clip)
    assert annotations.labels == [1, 0]
    written = [(tmp_path / item.path).stat() for item in annotations.items]
    from_tfds(examples, tmp_path)
    assert written == [
        (tmp_path / item.path).stat() for item in annotations.items
    ]


def test_several_may_fill_one_folder_at_once(tmp_path):
    frames = numbered_frames(40)
    path = tmp_path / "a.mkv"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write_lossless, [path] * 4, [frames] * 4, [25] * 4))
    np.testing.assert_array_equal(read_frames(path), frames)
    assert list(tmp_path.iterdir()) == [path]


def test_another_split_in_the_same_folder_has_files_of_its_own(tmp_path):
    train = {"video": numbered_frames(4), "label": 0}
    test = {"video": numbered_frames(4)[::-1], "label": 1}
    (before,) = from_tfds([train], tmp_path).paths
    annotations = from_tfds([test, train], tmp_path)
    np.testing.assert_array_equal(
        read_frames(annotations.paths[0]), test["video"]
    )
    assert annotations.paths[1] == before


def test_labels_of_hugging_face_that_are_no_class(
    encoded_videos, tmp_path, video
):
    there = {"path": str(video), "bytes": None}

    def read(*labels):
        rows = [{"video": there, "label": label} for label in labels]
        return from_hugging_face(FakeDataset(rows), tmp_path)

    assert read(-1, 1).in_order_of(["wave", "clap"]).labels == [-1, 0]
    assert read(None, [0, 1]).labels == [(), (0, 1)]
    for wrong in ("clap", 0.5, True):
        with pytest.raises(SpecError, match="must be the number of a class"):
            read(wrong)
