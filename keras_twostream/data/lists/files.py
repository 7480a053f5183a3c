"""Which files below a folder are videos, by their names."""

import os
from collections.abc import Iterator
from pathlib import Path

from keras_twostream.data.cache.folder import CONTRACT_FILE

VIDEO_SUFFIXES = frozenset(
    ".3gp .asf .avi .flv .gif .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv "
    ".ts .vob .webm .wmv".split()
)
ANNOTATED = ".annotated"  # how the stem of what `predict` draws ends


def is_video(name: str | os.PathLike) -> bool:
    """Whether a file's name is that of a video to read.

    Args:
        name: The file, relative to the folder that is looked through.
    """
    name = Path(name)
    return (
        name.suffix.lower() in VIDEO_SUFFIXES
        and not name.stem.endswith(ANNOTATED)
        and not any(is_hidden(part) for part in name.parts)
    )


def is_hidden(name: str) -> bool:
    """Whether a file or folder is a system's or a tool's own, not data."""
    return name.startswith(".") or name == "__MACOSX"  # of a Mac's archives


def videos_in(folder: Path) -> list[Path]:
    """The videos in a folder, looked through to the bottom."""
    return sorted(
        place / name
        for place, _, names in walk(folder)
        for name in names
        if is_video(name)
    )


def folders_in(folder: Path) -> list[Path]:
    """The folders right in a folder that may hold data, by name."""
    place, names, _ = next(walk(folder), (folder, [], []))
    return [place / name for name in names]


def walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """A folder and all below it, each with its folders and its files.

    Links are followed. What is hidden is passed over, and so is a packed
    cache: its folders repeat those of the data that it was made of.
    """
    for place, inner, names in os.walk(folder, followlinks=True):
        here = Path(place)
        inner[:] = sorted(
            name
            for name in inner
            if not (is_hidden(name) or _is_cache(here / name))
            and not _leads_back(here / name, folder)
        )
        yield here, inner, sorted(n for n in names if not is_hidden(n))


def _is_cache(folder: Path) -> bool:
    return (folder / CONTRACT_FILE).exists()


def _leads_back(link: Path, top: Path) -> bool:
    """Whether a link leads to a folder that it is in itself."""
    if not link.is_symlink():
        return False
    target = os.path.realpath(link)
    above = (each for each in link.parents if each.is_relative_to(top))
    return any(
        Path(os.path.realpath(each)).is_relative_to(target) for each in above
    )
