"""Choice of the examination for a path."""

import os

from keras_twostream._files import expanded
from keras_twostream.data.cache.folder import CONTRACT_FILE, MANIFEST_FILE
from keras_twostream.data.doctor.caches import examine_cache
from keras_twostream.data.doctor.folders import examine_folders
from keras_twostream.data.doctor.lists import (
    examine_list,
    examine_splits,
    holds_splits,
)
from keras_twostream.data.doctor.report import Report
from keras_twostream.data.doctor.videos import examine_videos
from keras_twostream.data.lists import files
from keras_twostream.data.lists.annotations import LIST_SUFFIXES
from keras_twostream.errors import SpecError, check_number


def examine(
    path: str | os.PathLike,
    *,
    root: str | os.PathLike | None = None,
    deep: bool = False,
    bound: float = 20.0,
) -> Report:
    """Examine a data set of any kind the library reads.

    Args:
        path: A folder of videos, a packed cache, a tree of frames and flow,
            an annotation list, a folder of official splits, or one video.
        root: Folder of the videos that a list names.
        deep: Whether to decode every frame rather than the first of each
            video.
        bound: Expected displacement in pixels at the extreme levels of flow
            on disk.

    Returns:
        A `Report` of the findings.

    Raises:
        SpecError: If the path holds nothing that the library reads, or the
            bound is no number greater than 0.

    Example:
        >>> examine("videos").healthy
    """
    check_number("bound", bound)
    path = expanded(path)
    if not path.exists():
        raise SpecError(f"There is no file or folder {path}. Check the path.")
    if path.is_file() and path.suffix.lower() in LIST_SUFFIXES:
        return examine_list(path, root, deep)
    if path.is_file():
        return examine_videos(path, [path], deep)
    if any((path / name).exists() for name in (CONTRACT_FILE, MANIFEST_FILE)):
        return examine_cache(path)
    if holds_splits(path):
        return examine_splits(path, root)
    if videos := files.videos_in(path):
        return examine_videos(path, videos, deep)
    if folders := files.frame_folders_in(path):
        return examine_folders(path, folders, bound)
    raise SpecError(
        f"Nothing in {path} that is known: no video, no frames or flow named "
        "as a tool names them, no packed cache, no list. If it holds files "
        "in folders deeper down, give one of those."
    )
