"""Examination of a folder of videos."""

import collections
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from keras_twostream._cpus import available_cpus
from keras_twostream.data.cache.packed_file import fingerprint
from keras_twostream.data.doctor.report import Report
from keras_twostream.data.lists.annotations import LIST_SUFFIXES
from keras_twostream.data.lists.class_folders import subset_folders
from keras_twostream.data.lists.files import (
    folders_in,
    in_words,
    is_hidden,
    is_passed_over,
    walk,
)
from keras_twostream.data.video import reading
from keras_twostream.data.video.reading import VideoInfo
from keras_twostream.errors import VideoError

SHORT = 16  # frames; most clips need more
LONG = 60.0  # seconds; long for a video without seeking
UNEVEN = 10  # ratio of largest to smallest class worth a remark


def examine_videos(path: Path, videos: Sequence[Path], deep: bool) -> Report:
    """Count videos, open each, and compare classes and subsets."""
    report = Report(path, "videos")
    infos = look_at(report, videos, deep)
    if path.is_dir():
        _classes(report, path, videos)
        _copies(report, path, list(infos))
        _passed_over(report, path)
    return report


def look_at(
    report: Report, videos: Sequence[Path], deep: bool
) -> dict[Path, VideoInfo]:
    """Open videos, and report their properties and unreadable files.

    Returns:
        The `VideoInfo` of each readable file.
    """
    with ThreadPoolExecutor(available_cpus()) as pool:
        looks = list(pool.map(lambda video: _look(video, deep), videos))
    infos = {}
    for video, (info, error) in zip(videos, looks, strict=True):
        if info is not None:
            infos[video] = info
        if error is not None:
            report.problem(error, "Replace the file, or remove it.", (video,))
    report.facts["videos"] = len(videos)
    report.facts["readable"] = len(infos)
    _sizes(report, infos)
    return infos


def _passed_over(report: Report, path: Path) -> None:
    names = [
        str(place / name)
        for place, _, inside in walk(path)
        for name in inside
        if is_passed_over(name)
    ]
    report.remark(
        f"Files that are not read: {in_words(names)}.",
        "Convert those that are videos, for instance with "
        "ffmpeg -i FILE FILE.mp4, or move the others away.",
        names,
    )


def _look(video: Path, deep: bool) -> tuple[VideoInfo | None, str | None]:
    try:
        info = reading.probe(video)
        if deep:
            frames = sum(1 for _ in reading.iter_frames(video))
            if frames != info.frames:
                return info, (
                    f"{video}: {frames} of its {info.frames} frames can be "
                    "decoded."
                )
    except VideoError as error:
        return None, str(error)
    return info, None


def _sizes(report: Report, infos: dict[Path, VideoInfo]) -> None:
    if not infos:
        return
    frames = [info.frames for info in infos.values()]
    report.facts["frames"] = sum(frames)
    report.facts["shortest"] = min(frames)
    report.facts["longest"] = max(frames)
    seen: dict[str, set[Any]] = {
        "frame_rates": {round(info.fps, 2) for info in infos.values()},
        "sizes": {f"{i.width}x{i.height}" for i in infos.values()},
        "codecs": {info.codec for info in infos.values()},
    }
    for fact, values in seen.items():
        report.facts[fact] = sorted(values)[:10]
    report.problem(
        "Files that promise more than they hold: cut off while they were "
        "copied or downloaded.",
        "Get them again. What is there can be used: clips come from the part "
        "that can be read.",
        [video for video, info in infos.items() if info.truncated],
    )
    _oddities(report, infos)
    report.remark(
        f"Videos of fewer than {SHORT} frames.",
        'They are looped to fill a clip; short="pad" holds the last frame.',
        [video for video, info in infos.items() if info.frames < SHORT],
    )


# For each test of a video: the finding, and the advice.
_ODD = {
    "damaged": (
        "Files of which parts cannot be decoded: they are left out.",
        "Get them again, if you can.",
    ),
    "holes": (
        "Recordings with holes in their time: each was closed up.",
        "Look at them; what stands before a hole and after it are neighbours.",
    ),
    "joins": (
        "Files of several recordings, one after the other.",
        "Cut them apart where clips should not reach across.",
    ),
    "interlaced": (
        "Interlaced videos: fast motion looks combed, also to optical flow.",
        "Convert them: ffmpeg -i IN -vf bwdif -c:v libx264 OUT.mp4",
    ),
    "mirrored": (
        "Videos that say they are mirrored: they are shown so.",
        "Nothing to do, unless left and right should tell classes apart.",
    ),
    "squeezed": (
        "Videos whose pixels are not square: they are stretched to be.",
        "Nothing to do; other tools may ignore it and show them squeezed.",
    ),
    "slow": (
        "Long videos that can only be read from their start on.",
        "Extract them once, or convert them to MP4: clips of them take long.",
    ),
}


def _oddities(report: Report, infos: dict) -> None:
    for oddity, (text, advice) in _ODD.items():
        where = [video for video, info in infos.items() if _is(info, oddity)]
        report.remark(text, advice, where)


def _is(info: reading.VideoInfo, oddity: str) -> bool:
    if oddity == "squeezed":
        return info.pixel_aspect != 1
    if oddity == "slow":
        return not info.seekable and info.duration > LONG
    return bool(getattr(info, oddity))


def _classes(report: Report, path: Path, videos: Sequence[Path]) -> None:
    inner = [folder.name for folder in _class_folders(path)]
    subsets = subset_folders(inner)
    roots = [path / name for name in subsets] or [path]
    counts = {root: _count(root, videos) for root in roots}
    names = sorted(set().union(*counts.values()))
    if not names:
        return
    report.facts["subsets"] = subsets
    report.facts["classes"] = {
        name: sum(count[name] for count in counts.values()) for name in names
    }
    for root, count in counts.items():
        _class_problems(report, root, count, names)
    loose = [video for video in videos if video.parent in roots]
    report.problem(
        "Videos beside the class folders: they belong to no class.",
        "Move each into the folder of its class.",
        loose,
    )


def _count(root: Path, videos: Sequence[Path]) -> collections.Counter:
    """Count the videos in each class folder, empty ones included."""
    count = collections.Counter(
        {folder.name: 0 for folder in _class_folders(root)}
    )
    for video in videos:
        if video.is_relative_to(root) and video.parent != root:
            count[video.relative_to(root).parts[0]] += 1
    return count


def _class_folders(root: Path) -> list[Path]:
    """Return the folders in `root`, except those of annotation lists."""
    return [folder for folder in folders_in(root) if not _holds_lists(folder)]


def _holds_lists(folder: Path) -> bool:
    suffixes = {
        path.suffix.lower()
        for path in folder.iterdir()
        if not is_hidden(path.name)
    }
    return bool(suffixes) and suffixes <= set(LIST_SUFFIXES)


def _class_problems(report: Report, root: Path, count, names) -> None:
    report.problem(
        f"Classes without a video in {root}.",
        "Fill or remove the folders; an empty class is never learned.",
        [name for name in names if not count[name]],
    )
    filled = [number for number in count.values() if number]
    report.remark(
        f"Classes with a single video in {root}.",
        "Nothing of them can be held out for validation: add more.",
        [name for name in names if count[name] == 1],
    )
    if filled and max(filled) > UNEVEN * min(filled):
        report.remark(
            f"The largest class has {max(filled)} videos, the smallest "
            f"{min(filled)}.",
            "Pass --balance to train, and look at mean class accuracy.",
        )


def _copies(report: Report, path: Path, videos: list[Path]) -> None:
    same = collections.defaultdict(list)
    for video in videos:
        same[fingerprint(video)].append(video)
    copies = [group for group in same.values() if len(group) > 1]
    apart = [group for group in copies if len({v.parent for v in group}) > 1]
    report.problem(
        "The same video in several folders: in several classes, or both in "
        "training and in test.",
        "Keep one of each; a test video that was trained on flatters the "
        "model.",
        [_together(path, group) for group in apart],
    )
    report.remark(
        "The same video several times in a folder.",
        "Remove the copies: they count double.",
        [_together(path, group) for group in copies if group not in apart],
    )


def _together(path: Path, videos: list[Path]) -> str:
    return " = ".join(os.path.relpath(video, path) for video in videos)
