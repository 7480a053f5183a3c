"""A store of the regions of training videos in a folder.

One file per video holds some of its frames, with their flow, proposals and
true boxes.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_twostream import _files
from keras_twostream._arrays import read_arrays, whole
from keras_twostream.detection.footage import Footage
from keras_twostream.detection.geometry import check_places, clip, overlaps
from keras_twostream.detection.proposals import propose
from keras_twostream.detection.tracks import Track
from keras_twostream.errors import SpecError, VideoError, WeightsError
from keras_twostream.regions import RegionSpec
from keras_twostream.spec import ClipSpec

_MEMORY = 1 << 30  # bytes of videos in memory at once


@dataclasses.dataclass(frozen=True)
class AnnotatedVideo:
    """A video, and the tracks of actions in it.

    Attributes:
        path: The video file.
        tracks: True tracks; a frame without a box of a class does not show
            that class.
        given: Tracks used in place of proposals, for detectors that are
            trained on boxes.
    """

    path: str
    tracks: tuple[Track, ...]
    given: tuple[Track, ...] = ()

    def boxes_given(self, frame: int) -> np.ndarray:
        """Return (N, 4) boxes of `given` in a frame."""
        return boxes_at(self.given, frame)


def labels_of(videos: Sequence[AnnotatedVideo]) -> list[str]:
    """Return the actions of the videos' tracks, sorted."""
    return sorted({track.label for video in videos for track in video.tracks})


def check_tracks(tracks: Sequence[Track], footage: Footage, where: str) -> None:
    """Refuse tracks that can be of no such video.

    Args:
        tracks: Tracks; none is right.
        footage: The video.
        where: Its name in errors.

    Raises:
        SpecError: If all frames are beyond its end, or the boxes are not in
            pixels of it.
    """
    if not tracks:
        return
    boxes = np.concatenate([track.boxes for track in tracks])
    check_places(boxes, *footage.whole, f"The boxes of {where}")
    first = min(int(track.frames[0]) for track in tracks)
    if first >= len(footage):
        raise SpecError(
            f"The boxes of {where} begin in frame {first}, and it has "
            f"{len(footage)} frames. Frames count from 0 in each video."
        )


def check_given_in(
    videos: Sequence[AnnotatedVideo], regions: RegionSpec
) -> None:
    """Refuse videos without boxes for a detector that is given its boxes.

    Raises:
        SpecError: If no video has any.
    """
    if regions.proposals == "boxes" and not any(x.given for x in videos):
        raise SpecError(
            "This detector judges boxes that it is given, and none of the "
            f"{len(videos)} videos has any. Lists of boxes hold the true "
            "tracks; give those of your tracker beside them: "
            "AnnotatedVideo(path, tracks, given=read_tracks(file))."
        )


def none_read(skipped: Mapping[str, str]) -> VideoError:
    """Return the error about videos of which each was skipped for a reason."""
    if not skipped:
        return VideoError("There is no video with boxes: the list has none.")
    first = next(iter(skipped.values()))
    return VideoError(f"No video can be read. The first: {first}")


def boxes_at(tracks: Sequence[Track], frame: int) -> np.ndarray:
    """Return (N, 4) boxes of tracks in a frame."""
    seen = [track.box_at(frame) for track in tracks]
    boxes = [box for box in seen if box is not None]
    return np.stack(boxes) if boxes else np.zeros((0, 4), np.float32)


@dataclasses.dataclass(frozen=True)
class VideoRegions:
    """The kept frames of one video and their regions.

    Attributes:
        frames: (N, H, W, 3) uint8.
        fields: (N, H, W, 2) float16 flow in pixels.
        boxes: (R, 4) proposals, then true boxes.
        places: (R,) frame of each region, 0..N-1.
        labels: (R,) class of each true box, -1 for proposals.
        shared: (R, C) largest overlap with a true box of each class.
    """

    frames: np.ndarray
    fields: np.ndarray
    boxes: np.ndarray
    places: np.ndarray
    labels: np.ndarray
    shared: np.ndarray


class RegionStore:
    """The regions of all training videos.

    Args:
        folder: Folder of the stored regions.
        videos: Training videos.
        classes: Names of the actions.
        spec: Short side and flow of the detector.
        regions: Region settings of the detector.
        frames: Number of evenly spaced frames to keep per video; all when
            None.
    """

    def __init__(
        self,
        folder: Path,
        videos: Sequence[AnnotatedVideo],
        classes: Sequence[str],
        spec: ClipSpec,
        regions: RegionSpec,
        frames: int | None = 8,
    ) -> None:
        self.videos, self.classes = list(videos), list(classes)
        self._folder, self._spec = folder, spec
        self._regions, self._frames = regions, frames
        self._kept: collections.OrderedDict[int, VideoRegions] = (
            collections.OrderedDict()
        )
        _check_labels(videos, classes)
        check_given_in(videos, regions)

    def __len__(self) -> int:
        return len(self.videos)

    def fill(
        self, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> dict[str, str]:
        """Find the regions of every video that has none yet.

        Videos that cannot be read are skipped from then on.

        Args:
            progress: Function called with the numbers of videos done and in
                total.

        Returns:
            A dict from the path of each skipped video to the reason.

        Raises:
            VideoError: If no video can be read.
        """
        skipped: dict[str, str] = {}
        for number, video in enumerate(self.videos):
            try:
                self._find(video)
            except VideoError as error:
                skipped[video.path] = str(error)
            progress(number + 1, len(self.videos))
        self.videos = [x for x in self.videos if x.path not in skipped]
        if not self.videos:
            raise none_read(skipped)
        return skipped

    def __getitem__(self, number: int) -> VideoRegions:
        if number not in self._kept:
            place = self._place(self.videos[number])
            arrays = read_arrays(place, WeightsError)
            with whole(place, WeightsError, "Delete it and start again."):
                self._kept[number] = VideoRegions(**arrays)
            while len(self._kept) > 1 and self._bytes() > _MEMORY:
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return self._kept[number]

    def _bytes(self) -> int:
        return sum(
            x.frames.nbytes + x.fields.nbytes for x in self._kept.values()
        )

    def _place(self, video: AnnotatedVideo) -> Path:
        name = _name(video, self._spec, self._regions, self._frames)
        return self._folder / f"{name}.npz"

    def _find(self, video: AnnotatedVideo) -> None:
        place = self._place(video)
        if place.exists():
            return
        regions = self._regions_of(video)
        _files.write_arrays(place, dataclasses.asdict(regions))

    def _regions_of(self, video: AnnotatedVideo) -> VideoRegions:
        footage = Footage(video.path, self._spec)
        check_tracks((*video.tracks, *video.given), footage, video.path)
        chosen = self._chosen(footage)
        frames: list[np.ndarray] = []
        fields, parts = [], []
        for number, frame, field in footage.moments(chosen):
            part = self._regions_in(video, footage, number, frame, field)
            places = np.full(len(part[0]), len(frames))
            frames.append(frame)
            fields.append(field.astype(np.float16))
            parts.append((part[0], places, *part[1:]))
        columns = [
            np.concatenate(column) for column in zip(*parts, strict=True)
        ]
        return VideoRegions(np.stack(frames), np.stack(fields), *columns)

    def _chosen(self, footage: Footage) -> set[int] | None:
        """Return evenly spaced frames, or None for all."""
        count = len(footage)
        if self._frames is None or self._frames >= count:
            return None
        # The middle of each of equal parts.
        parts = np.arange(self._frames) + 0.5
        return set((parts * count / self._frames).astype(int).tolist())

    def _regions_in(self, video, footage: Footage, number: int, frame, field):
        """Return the boxes, labels and overlaps of one frame."""
        given = None
        if self._regions.proposals == "boxes":
            given = footage.to_frame(video.boxes_given(number))
        proposed = propose(self._regions, frame, field, given)
        true, labels = self._truth(video, footage, number)
        boxes = np.concatenate([proposed, true])
        shared = np.zeros((len(boxes), len(self.classes)), np.float32)
        for label in set(labels.tolist()):
            of_class = overlaps(boxes, true[labels == label])
            shared[:, label] = of_class.max(axis=1)
        none = np.full(len(proposed), -1)
        return boxes, np.concatenate([none, labels]), shared

    def _truth(self, video, footage: Footage, number: int):
        pairs = [
            (box, self.classes.index(track.label))
            for track in video.tracks
            if (box := track.box_at(number)) is not None
        ]
        if not pairs:
            return np.zeros((0, 4), np.float32), np.zeros(0, int)
        boxes = footage.to_frame(np.stack([box for box, _ in pairs]))
        labels = np.array([label for _, label in pairs])
        return clip(boxes, *footage.size).astype(np.float32), labels


def _name(video, spec: ClipSpec, regions: RegionSpec, frames) -> str:
    """Return a file name from everything that a video's regions depend on."""
    facts = [
        video.path,
        spec.short_side,
        spec.resize_to,
        spec.flow_algorithm,
        sorted(spec.flow_parameters.items()),
        sorted(regions.to_json().items(), key=lambda item: item[0]),
        frames,
        [
            (x.label, x.frames.tolist(), x.boxes.tolist())
            for x in (*video.tracks, *video.given)
        ],
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:20]


def _check_labels(
    videos: Sequence[AnnotatedVideo], classes: Sequence[str]
) -> None:
    for video in videos:
        for track in video.tracks:
            if track.label not in classes:
                raise SpecError(
                    f"{video.path} has a track labelled {track.label!r}, "
                    "which is none of the classes: "
                    f"{', '.join(classes)}."
                )
