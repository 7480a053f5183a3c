"""Sources from a cache that is filled on demand."""

import collections
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from keras_twostream.data.cache import addresses
from keras_twostream.data.cache.contract import Contract
from keras_twostream.data.cache.folder import CacheFolder
from keras_twostream.data.cache.packed_file import is_packed
from keras_twostream.data.cache.packing import pack_video
from keras_twostream.data.cache.source import PackedSource
from keras_twostream.errors import SpecError
from keras_twostream.spec import ClipSpec


class PackedStore:
    """A store of videos in a cache; missing videos are extracted into it.

    The first epoch of training extracts, later epochs only read. The store
    is safe to call from many threads and processes.

    Args:
        folder: The cache; created if missing.
        spec: The clip.
        videos: The data set's files, to name them in the cache relative to
            the folder that holds them all.

    Attributes:
        contract: Contract of the cache.

    Raises:
        SpecError: If the cache was made for other clips, or the videos lie
            in its folder.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        spec: ClipSpec,
        videos: Sequence[str],
    ) -> None:
        self._folder, self._spec = CacheFolder(folder), spec
        refuse_among(folder, videos)
        self.contract = self._folder.contract() or Contract.of(spec)
        self.contract.check(spec, str(folder))
        self._folder.agree(self.contract)
        self._root = common_folder(videos)
        self._sources: dict[str, str] = {}
        self._locks: dict[str, threading.Lock] = collections.defaultdict(
            threading.Lock
        )

    def holds(self, video: str) -> bool:
        """Return whether the video is in the cache already."""
        if video not in self._sources:
            source = self._folder.find(video)
            if source is None:
                return False
            self._sources[video] = source
        return True

    def open(self, video: str) -> PackedSource:
        """Return the video's frames and flow.

        Raises:
            VideoError: If it is not in the cache and cannot be extracted.
        """
        if video not in self._sources:
            with self._locks[video]:
                if not self.holds(video):
                    self._sources[video] = self._extract(video)
        path = self._folder.packed_path(self._sources[video])
        return PackedSource(path, self._spec)

    def _extract(self, video: str) -> str:
        source = self._name(video)
        target = self._folder.packed_path(source)
        self._folder.add(pack_video(video, target, self.contract, source))
        self._folder.add_roots([root_of(video, source)])
        return source

    def _name(self, video: str) -> str:
        name = relative_name(video, self._root)
        taken = self._folder.packed_path(name).exists()
        # Another data set's video has that name: use the whole path.
        return whole_name(video) if taken else name


def refuse_among(
    place: str | os.PathLike, videos: Iterable[str | os.PathLike]
) -> None:
    """Refuse a cache in a folder that its videos lie in.

    Reading that folder would count each video twice, once as a video and once
    packed; and a cache in a class's folder would hide the class.

    Args:
        place: The cache, a path or URL.
        videos: Paths or URLs; packed files may lie in it.

    Raises:
        SpecError: If one of the videos lies in the cache's folder, or deeper.
    """
    cache = _resolved(place)
    folders = {
        os.path.dirname(os.fspath(video)): video
        for video in videos
        if not is_packed(video)
    }
    for folder, video in folders.items():
        if f"{_resolved(folder)}/".startswith(f"{cache.rstrip('/')}/"):
            raise SpecError(
                f"{place} cannot be a cache: {video} lies in it, and would "
                "count twice there, as a video and packed. Choose a folder "
                "that holds no videos."
            )


def _resolved(place: str | os.PathLike) -> str:
    """Return a path without links, or a URL, with forward slashes."""
    if addresses.is_remote(place):
        return os.fspath(place).rstrip("/")
    return Path(os.path.realpath(os.path.expanduser(place))).as_posix()


def common_folder(videos: Sequence[str | os.PathLike]) -> Path:
    """Return the deepest folder that holds all of `videos`."""
    folders = {os.path.dirname(os.path.abspath(video)) for video in videos}
    return Path(os.path.commonpath(folders)) if folders else Path.cwd()


def relative_name(video: str | os.PathLike, root: Path) -> str:
    """Return a video's path below `root`, with forward slashes."""
    path = Path(os.path.abspath(video))
    return path.relative_to(os.path.abspath(root)).as_posix()


def whole_name(video: str) -> str:
    """Return a video's name by its whole path, where the short one is taken."""
    if addresses.is_remote(video):
        return video.partition("://")[2].lstrip("/")
    return relative_name(video, Path("/"))


def root_of(video: str, name: str) -> str:
    """Return the folder (a path or URL) that a video's name is relative to."""
    path = video if addresses.is_remote(video) else os.path.abspath(video)
    return path.removesuffix(name)
