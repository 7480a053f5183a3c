"""A video whose frames can be told apart."""

import pytest
from numbered_videos import numbered_frames, write_video


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    """40 numbered frames at 25 per second, 48x64, a key frame every 10."""
    path = tmp_path_factory.mktemp("video") / "numbered.mp4"
    return write_video(path, numbered_frames(40), g="10", qp="1")
