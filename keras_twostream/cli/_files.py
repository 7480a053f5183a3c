"""The input files of a command, and the names of its output files."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from keras_twostream import _files as whole_files
from keras_twostream.cli import _console
from keras_twostream.data.lists.bare import is_list, listed_videos
from keras_twostream.data.lists.files import (
    VIDEO_SUFFIXES,
    drawn_of_others,
    videos_in,
)
from keras_twostream.data.source import refuse_part
from keras_twostream.data.video.fetching import (
    fetched,
    is_address,
    source_of,
    without_secrets,
)
from keras_twostream.errors import (
    SpecError,
    TwoStreamError,
    VideoError,
    did_you_mean,
)
from keras_twostream.registry import list_models


def expand(
    places: Iterable[str | Path],
) -> tuple[list[Path], dict[str | Path, str]]:
    """Return video files, with folders, lists and addresses resolved.

    Videos that a command drew of others among them are passed over, as they
    are in folders: a pattern such as *.mp4 gives both.

    Args:
        places: Files, folders of videos, lists of videos, and http or https
            addresses, which are downloaded.

    Returns:
        The files in order, and the reason for each place without any.
    """
    files: list[Path] = []
    empty: dict[str | Path, str] = {}
    for place in places:
        _add(place, files, empty)
    drawn = dict.fromkeys(drawn_of_others(files))
    if drawn:
        _console.say(
            f"Passed over, as drawn of the others: {len(drawn)} "
            f"video{'s' * (len(drawn) != 1)}, such as {next(iter(drawn))}.",
            err=True,
        )
    files = [file for file in files if file not in drawn]
    return list(dict.fromkeys(files)), empty


def _add(
    place: str | Path,
    files: list[Path],
    empty: dict[str | Path, str],
    lists: tuple[Path, ...] = (),
) -> None:
    """Add the files of one place, or the reason why there are none.

    Args:
        place: The place.
        files: The files so far.
        empty: The reasons so far.
        lists: The list that names this place, the list that names that, ...
    """
    parts: list[str] = []
    try:
        parts = _listed(place, lists)
        if not parts:
            files += _inside(place)
    except TwoStreamError as error:
        named = str(place)
        if is_address(place):
            named = without_secrets(named)
        empty[named] = str(error)
    for part in parts:
        _add(
            part, files, empty, (*lists, whole_files.expanded(place).resolve())
        )


def _listed(place: str | Path, lists: tuple[Path, ...]) -> list[str]:
    """Return the places in a list; none for what is no list.

    Raises:
        TwoStreamError: If it cannot be read, or is one of `lists`.
    """
    path = whole_files.expanded(place)
    if is_address(place) or not is_list(path) or not path.is_file():
        return []
    if path.resolve() in lists:
        raise SpecError(f"The list {place} names itself. Delete that line.")
    return listed_videos(path)


def _inside(place: str | Path) -> list[Path]:
    """Return the videos of one file, folder or address.

    Raises:
        TwoStreamError: If there are none.
    """
    if is_address(place):
        return [fetched(str(place))]
    path = whole_files.expanded(place)
    if path.is_dir():
        inside = list(videos_in(path))
        if not inside:
            kinds = ", ".join(sorted(VIDEO_SUFFIXES))
            raise VideoError(
                f"No video in the folder {path}; looked for {kinds}."
            )
        return inside
    from keras_twostream.data.video.opening import check_file  # brings FFmpeg

    refuse_part(path)
    check_file(path)
    return [path]


def refuse_none(
    videos: Sequence[Path], failed: Mapping[str | Path, str]
) -> None:
    """End the command if there is no video, before anything is loaded."""
    if videos or not failed:
        return
    for reason in failed.values():
        _console.complain(reason)
    click.get_current_context().exit(1)


def shown(path: Path) -> str:
    """Return the place that a user gave for a file: its path or address."""
    return source_of(path) or str(path)


def path_of(path: Path) -> str:
    """Return the whole path of a file, or the address it came from."""
    return source_of(path) or os.path.abspath(path)


def mark(path: Path) -> dict[str, int]:
    """Return what changes with a file; nothing without the file."""
    if not path.exists():
        return {}
    status = path.stat()
    return {"bytes": status.st_size, "modified": status.st_mtime_ns}


def failures(failed: Mapping[str | Path, str]) -> list[dict[str, str]]:
    """Return the files that failed and why, as `--json` prints them."""
    return [
        {
            "source": shown(path) if isinstance(path, Path) else path,
            "reason": reason,
        }
        for path, reason in failed.items()
    ]


def check_writable(
    out: Path,
    instead: str = "",
    *,
    room: int = 1 << 20,
    by: str = " with --out",
) -> None:
    """Refuse a folder that cannot be written to, before the long work.

    Args:
        out: The folder; it is not made.
        instead: Advice to the user, besides another folder.
        room: Bytes that have to fit.
        by: The way to choose another folder.

    Raises:
        click.UsageError: If the folder cannot be written to.
    """
    try:
        whole_files.probe(out, room)
    except OSError as error:
        raise click.UsageError(
            f"Cannot write into {out}: {error.strerror or error}. Choose "
            f"another folder{by}{instead and ', or '}{instead}."
        ) from error


def refuse_replacing(
    out: Path,
    videos: Sequence[Path],
    endings: Iterable[str],
    others: Iterable[str | Path] = (),
) -> None:
    """Refuse to write over what a command reads, before the long work.

    Args:
        out: Folder of the files to write.
        videos: The videos, whose stems the files have.
        endings: The files' endings; for ".mp4" also what a video is called
            where FFmpeg lacks H.264.
        others: Other files that are read, such as lists. The videos among
            them are read only if they are in `videos`.

    Raises:
        SpecError: If a file to write is one that is read.
    """
    endings = list(endings)
    endings += [x.replace(".mp4", ".webm") for x in endings if ".mp4" in x]
    names = [out / f"{x}{ending}" for x in stems(videos) for ending in endings]
    lists = [x for x in others if Path(x).suffix not in VIDEO_SUFFIXES]
    whole_files.refuse_replacing(names, [*lists, *videos])


def model_name(place: str) -> str:
    """Return the name that `load` takes for a folder or a name.

    The folder may be that of a run or of a model.

    Raises:
        click.UsageError: If it is empty, a run that has not ended, another
            folder, or neither a folder nor a model.
    """
    if not place.removeprefix("local:"):  # else a Path is the folder at hand
        raise click.UsageError(
            "The model's name is empty. Give a run's or model's folder, or a "
            "name that `keras-twostream list` prints."
        )
    path = whole_files.expanded(place.removeprefix("local:"))
    for folder in (path / "model", path):
        if (folder / "config.json").is_file():
            return f"local:{folder}"
    if place.startswith("hf://") or place.partition(".")[0] in list_models():
        return place
    if (path / "checkpoint.npz").is_file():
        raise click.UsageError(
            f"{path} is a run that has not ended, and has no model yet. The "
            "`train` command that began it goes on from where it stopped."
        )
    if path.exists():
        raise click.UsageError(
            f"{path} is neither a run's folder nor a model's: there is no "
            "config.json in it."
        )
    if set(place) & set(":/\\~"):
        raise click.UsageError(
            f"There is no folder {path} of a run or a model. A model on the "
            "Hub is hf://OWNER/NAME."
        )
    raise click.UsageError(
        f"There is no folder {place} of a run or a model, and no model of "
        f"that name.{did_you_mean(place, list_models())}"
    )


def name_anywhere(place: str) -> str:
    """Return `model_name`, as a process that works in another folder takes it.

    Raises:
        click.UsageError: If it is a run that has not ended.
    """
    name = model_name(place)
    if name.startswith("local:"):
        return f"local:{os.path.abspath(name.removeprefix('local:'))}"
    return name


def stems(files: Iterable[Path]) -> list[str]:
    """Return a distinct output name for each file."""
    return [path.name for path in distinct(Path(file.stem) for file in files)]


def distinct(paths: Iterable[Path]) -> list[Path]:
    """Return the paths, with a number after those that occur earlier."""
    names: dict[Path, None] = {}
    for path in paths:
        name, count = path, 1
        while name in names:
            count += 1
            name = path.with_name(f"{path.name}-{count}")
        names[name] = None
    return list(names)
