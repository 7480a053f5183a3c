"""Small videos, and the bytes of a folder, for tests of extraction."""

from numbered_videos import numbered_frames, write_video

from keras_twostream import ClipSpec
from keras_twostream.data.cache import Contract
from keras_twostream.data.cache.folder import ROOTS_FILE

CONTRACT = Contract.of(ClipSpec(short_side=32, crop=(32, 32), frame_rate=None))


def write_videos(folder):
    """Six of 12 to 17 frames, in two classes."""
    for i in range(6):
        (folder / f"class{i % 2}").mkdir(exist_ok=True)
        path = folder / f"class{i % 2}" / f"v{i}.mp4"
        write_video(path, numbered_frames(12 + i))
    return folder


def content(folder):
    """The bytes of every file, by its path below the folder.

    But for the lock, and the one that says where the videos lie.
    """
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (ROOTS_FILE, ".lock")
    }
