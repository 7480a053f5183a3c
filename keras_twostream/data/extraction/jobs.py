"""Jobs of an extraction: the videos, without those already done."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from keras_twostream.data.cache import addresses
from keras_twostream.data.cache.contract import Contract
from keras_twostream.data.cache.folder import CacheFolder, Entry
from keras_twostream.data.cache.packed_file import (
    checksum,
    fingerprint,
    open_packed,
)
from keras_twostream.data.cache.store import (
    common_folder,
    relative_name,
    root_of,
    whole_name,
)
from keras_twostream.data.lists.annotations import (
    LIST_SUFFIXES,
    Annotations,
    detect_format,
    read_annotations,
)
from keras_twostream.data.lists.files import VIDEO_SUFFIXES, videos_in
from keras_twostream.data.lists.split_formats import splits_in
from keras_twostream.errors import SpecError, VideoError


@dataclasses.dataclass(frozen=True)
class Job:
    """A video to extract, and its name in the cache.

    Attributes:
        video: The file, or its URL.
        name: The video's name in the cache.
        size: Size of the file in bytes, where finding it takes a request.
    """

    video: str
    name: str
    size: int | None = None


def find_jobs(
    source: str | os.PathLike,
    root: str | os.PathLike | None = None,
    format: str | None = None,
) -> list[Job]:
    """Return the jobs of a folder, a list or a single video.

    Args:
        source: A folder, searched recursively; a list, or a folder
            of official ones, that `read_annotations` reads; or a video.
        root: Folder that the list's videos are in.
        format: Format of the list, detected when None.

    Returns:
        Jobs named by the videos' paths below the folder, without repeats.

    Raises:
        SpecError: If there is no video.
    """
    source = Path(source)
    if not source.exists():
        raise SpecError(f"There is no file or folder {source}. Check the path.")
    if _is_list(source) or format is not None:
        return _from_list(source, root, format)
    if source.is_file():
        return [Job(str(source), source.name)]
    videos = videos_in(source)
    if not videos:
        raise SpecError(
            f"No video in the folder {source}; looked for "
            f"{', '.join(sorted(VIDEO_SUFFIXES))}."
        )
    return [Job(str(path), relative_name(path, source)) for path in videos]


def named_apart(jobs: Sequence[Job], folder: CacheFolder) -> list[Job]:
    """Return the jobs, named by whole paths where names are taken.

    Otherwise `train/wave/1.mp4` and `test/wave/1.mp4`, extracted one after
    the other, would replace each other. A video that changed keeps its name.
    """
    roots = set(folder.roots()) - {root_of(job.video, job.name) for job in jobs}
    if not roots:
        return list(jobs)
    entries = folder.entries()
    return [_named_apart(job, entries, roots) for job in jobs]


def _named_apart(job: Job, entries: dict[str, Entry], roots) -> Job:
    whole = dataclasses.replace(job, name=whole_name(job.video))
    entry = entries.get(job.name)
    if whole.name in entries:
        return whole
    if entry is None or not addresses.is_file(job.video):
        return job
    if entry.fingerprint == fingerprint(job.video):
        return job
    others = (addresses.join(root, job.name) for root in roots)
    taken = any(_is_of(entry, other) for other in others)
    return whole if taken else job


def _is_of(entry: Entry, video: str) -> bool:
    return addresses.is_file(video) and entry.fingerprint == fingerprint(video)


def open_jobs(
    jobs: Sequence[Job], folder: CacheFolder, contract: Contract
) -> list[Job]:
    """Return the jobs not done, and add whole files to the manifest.

    A process that is killed between a video and its line in the manifest
    leaves such a file.
    """
    entries = folder.entries()
    return [job for job in jobs if not _done(job, folder, contract, entries)]


def _done(job: Job, folder: CacheFolder, contract, entries) -> bool:
    size = folder.packed_bytes(job.name)
    if size is None or not addresses.is_file(job.video):
        return False
    mark = fingerprint(job.video)
    entry = entries.get(job.name)
    if entry is not None:
        return entry.fingerprint == mark and entry.bytes == size
    with folder.packed_here(job.name) as path:
        return _adopt(path, mark, folder, contract)


def _adopt(path: Path, mark: str, folder: CacheFolder, contract) -> bool:
    try:
        packed = open_packed(path)
    except (VideoError, SpecError):
        return False
    changed = packed.contract.difference(contract) is not None
    if changed or packed.fingerprint != mark:
        return False
    folder.add(
        Entry(
            source=packed.source,
            fingerprint=packed.fingerprint,
            frames=packed.frames,
            flows=len(packed.flow),
            size=packed.size,
            bytes=path.stat().st_size,
            sha256=checksum(path),
            truncated=packed.truncated,
        )
    )
    return True


def _is_list(source: Path) -> bool:
    if source.is_dir():
        return detect_format(source) != "folder"
    return source.suffix.lower() in LIST_SUFFIXES


def read_listed(
    source: Path,
    root: str | os.PathLike | None = None,
    format: str | None = None,
) -> Annotations:
    """Read a list, or all splits of a folder of official ones.

    Each of HMDB-51's splits leaves videos out. Items may repeat.
    """
    splits: Sequence[int | None] = splits_in(source) or (None,)
    parts = [
        read_annotations(source, format, split=split, root=root)
        for split in splits
    ]
    items = [item for part in parts for item in part.items]
    return dataclasses.replace(parts[0], items=tuple(items))


def _from_list(source: Path, root, format) -> list[Job]:
    annotations = read_listed(source, root, format)
    videos = list(dict.fromkeys(annotations.files))
    present = [video for video in videos if os.path.isfile(video)]
    if not present:
        raise SpecError(
            f"None of the {len(videos)} videos of {source} is there; the "
            f"first would be {videos[0]}. Pass --root with the folder that "
            "they are in."
        )
    base = annotations.root
    if any(
        not Path(os.path.abspath(v)).is_relative_to(os.path.abspath(base))
        for v in videos
    ):
        base = common_folder(videos)
    return [Job(video, relative_name(video, base)) for video in videos]
