"""Lists of videos to look at, which need no labels."""

import os
from pathlib import Path

from keras_twostream._arrays import whole
from keras_twostream.data.source import Part
from keras_twostream.data.video.fetching import is_address
from keras_twostream.errors import SpecError

SUFFIXES = frozenset(".csv .json .lst .pkl .tsv .txt .xml".split())


def is_list(path: str | os.PathLike) -> bool:
    """Return whether a file's name is that of a list."""
    return Path(path).suffix.lower() in SUFFIXES


def listed_videos(path: str | os.PathLike) -> list[str]:
    """Return the videos that a list names.

    Args:
        path: A text file with a path or an address on each line, relative
            to the list; empty lines and those that begin with "#" do not
            count. Or any list that `read_annotations` takes.

    Raises:
        SpecError: If it is neither, or names no video.
    """
    path = Path(path)
    if path.suffix.lower() in (".txt", ".lst"):
        with whole(path, SpecError, "A list is a text file."):
            lines = path.read_text("utf-8-sig").splitlines()
        places = [
            _placed(line.strip(), path.parent)
            for line in lines
            if line.strip() and not line.lstrip().startswith("#")
        ]
        if places and any(map(_is_there, places)):
            return places
    # It brings OpenCV and PyAV, which a text file does not need.
    from keras_twostream.data.lists.annotations import read_annotations

    return list(dict.fromkeys(read_annotations(path).paths))


def _placed(line: str, folder: Path) -> str:
    if is_address(line):
        return line
    return str(folder / os.path.expanduser(line))


def _is_there(place: str) -> bool:
    return is_address(place) or os.path.exists(Part.of(place).path)
