"""The files a command was given, and the names of those it writes."""

from collections.abc import Iterable
from pathlib import Path

VIDEO_SUFFIXES = frozenset(
    ".3gp .asf .avi .flv .gif .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv "
    ".ts .vob .webm .wmv".split()
)


def expand(paths: Iterable[Path]) -> tuple[list[Path], dict[Path, str]]:
    """Video files, with folders replaced by the videos in them.

    Args:
        paths: Files and folders.

    Returns:
        The files in order, and the reason for each folder without any.
    """
    files: list[Path] = []
    empty: dict[Path, str] = {}
    for path in paths:
        inside = _videos(path) if path.is_dir() else [path]
        files += inside
        if not inside:
            kinds = ", ".join(sorted(VIDEO_SUFFIXES))
            empty[path] = f"No video in the folder {path}; looked for {kinds}."
    return list(dict.fromkeys(files)), empty


def stems(files: Iterable[Path]) -> list[str]:
    """A name for what is written about each file, each its own."""
    taken: dict[str, int] = {}
    names = []
    for file in files:
        count = taken[file.stem] = taken.get(file.stem, 0) + 1
        names.append(file.stem if count == 1 else f"{file.stem}-{count}")
    return names


def _videos(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES
        # What this command wrote is no input.
        and not path.stem.endswith(".annotated")
    )
