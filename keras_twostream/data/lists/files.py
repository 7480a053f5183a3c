"""Search for videos below a folder, by the names of files."""

import collections
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from keras_twostream._printing import counted
from keras_twostream.data.cache.folder import CONTRACT_FILE
from keras_twostream.data.cache.packed_file import is_packed
from keras_twostream.data.layouts.layout import is_layout_file

VIDEO_SUFFIXES = frozenset(
    ".264 .265 .3g2 .3gp .apng .asf .avi .divx .dv .f4v .flv .gif .h264 .h265 "
    ".hevc .m1v .m2ts .m2v .m4v .mjpeg .mjpg .mkv .mov .mp4 .mpe .mpeg .mpg "
    ".mts .mxf .ogv .qt .rm .rmvb .ts .vob .webm .webp .wmv .y4m".split()
)
ANNOTATED = ".annotated"  # end of the stem of videos that `predict` draws
_DRAWN = (ANNOTATED, ".tubes", ".why")  # those of `detect` and `explain`, too
# A WebP image may be an animation, or one frame of many in a folder.
_FRAME = re.compile(r"(?:img|image|frame|thumb)?[ _-]?\(?\d+\)?\.webp", re.I)
# Notes, lists and files of downloaders and cameras often lie beside videos.
_NOT_DATA = frozenset(
    ".cff .csv .description .db .html .ini .json .jsonl .md .pdf .srt .thm "
    ".toml .tsv .txt .url .vtt .xml .yaml .yml".split()
)


def is_video(name: str | os.PathLike[str]) -> bool:
    """Return whether a file's name is the name of a video to read.

    Args:
        name: The file, relative to the folder that is searched.
    """
    name = Path(name)
    return (
        name.suffix.lower() in VIDEO_SUFFIXES
        and not _FRAME.fullmatch(name.name)
        and not name.stem.endswith(_DRAWN)
        and not any(is_hidden(part) for part in name.parts)
    )


def drawn_of_others(files: Iterable[Path]) -> list[Path]:
    """Return the videos that commands drew of others among the files."""
    files = list(files)
    known = {file.with_suffix("") for file in files}
    return [
        file
        for file in files
        for mark in _DRAWN
        if file.stem.endswith(mark)
        and file.with_name(file.stem.removesuffix(mark)) in known
    ]


def is_passed_over(name: str) -> bool:
    """Return whether a file may hold data that is not read."""
    path = Path(name)
    return (
        path.suffix.lower() not in _NOT_DATA
        and not path.stem.endswith(_DRAWN)
        and not is_packed(name)
        and not is_video(name)
    )


def in_words(passed_over: Sequence[str]) -> str:
    """Describe skipped files and folders, counted by suffix.

    Args:
        passed_over: Paths; those of folders end in "/".
    """
    folders = sum(name.endswith("/") for name in passed_over)
    tally = collections.Counter(
        Path(name).suffix.lower() or "no suffix"
        for name in passed_over
        if not name.endswith("/")
    )
    parts = [
        f"{counted(count, 'file')} of {kind}"
        for kind, count in tally.most_common()
    ]
    return ", ".join(parts + [counted(folders, "folder")] * bool(folders))


def is_hidden(name: str) -> bool:
    """Return whether a file or folder belongs to the operating system."""
    return name.startswith(".") or name == "__MACOSX"  # a Mac's archives


def videos_in(folder: Path, packed: bool = False) -> list[Path]:
    """Return the videos below a folder, and those packed if asked."""
    return sorted(
        place / name
        for place, _, names in walk(folder)
        for name in names
        if is_video(name) or (packed and is_packed(name))
    )


def frame_folders_in(folder: Path) -> list[Path]:
    """Return the folders of frames or flow at or below a folder."""
    return [
        place
        for place, inner, names in walk(folder)
        if not inner and any(map(is_layout_file, names))
    ]


def folders_in(folder: Path) -> list[Path]:
    """Return the folders directly in a folder that may hold data, by name."""
    place, names, _ = next(walk(folder), (folder, [], []))
    return [place / name for name in names]


def walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield a folder and all below it, each with its folders and files.

    Links are followed. Hidden files and folders are skipped, and so is a
    packed cache: its folders repeat those of the original data.
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
    """Return whether a link leads to a folder that contains it."""
    if not link.is_symlink():
        return False
    target = os.path.realpath(link)
    above = (folder for folder in link.parents if folder.is_relative_to(top))
    return any(
        Path(os.path.realpath(folder)).is_relative_to(target)
        for folder in above
    )
