"""A video whose frames can be told apart, and a folder extracted once."""

import pytest
from numbered_videos import numbered_frames, write_video
from small_extraction import CONTRACT, content, write_videos

from keras_twostream.data.extraction import extract


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    """40 numbered frames at 25 per second, 48x64, a key frame every 10."""
    path = tmp_path_factory.mktemp("video") / "numbered.mp4"
    return write_video(path, numbered_frames(40), g="10", qp="1")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A folder of six videos in two classes."""
    return write_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def undisturbed(videos, tmp_path_factory):
    """The bytes that extraction leaves if nothing goes wrong."""
    out = tmp_path_factory.mktemp("undisturbed")
    extract(videos, out, CONTRACT, workers=1)
    return content(out)
