"""Import of data sets of Hugging Face and TensorFlow Datasets.

Both store videos in their own formats. The videos are written as files once,
and then read like any other.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from keras_twostream import _files
from keras_twostream.data.lists.annotations import Annotations
from keras_twostream.data.lists.items import Item
from keras_twostream.data.lists.labels import known
from keras_twostream.data.video.encoders import video_stream
from keras_twostream.errors import MissingLibraryError, SpecError


def from_hugging_face(
    dataset: Any,
    folder: str | os.PathLike,
    video: str = "video",
    label: str = "label",
) -> Annotations:
    """Return the annotations of a Hugging Face data set of videos.

    Args:
        dataset: The result of `datasets.load_dataset(..., split=...)`.
        folder: Folder for videos that are not yet files on this machine.
        video: Name of the column of videos.
        label: Name of the column of labels.

    Returns:
        `Annotations`; class names come from the label column if it has them.

    Raises:
        MissingLibraryError: If `datasets` is not installed.
        SpecError: If there is no such column.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingLibraryError(
            "Reading a Hugging Face data set needs the package datasets: "
            "pip install datasets"
        ) from error
    for column in (video, label):
        if column not in dataset.features:
            raise SpecError(
                f"The data set has no column {column!r}. "
                f"Columns: {', '.join(dataset.features)}."
            )
    names = getattr(dataset.features[label], "names", ())
    folder = _files.expanded(folder)
    encoded = dataset.cast_column(video, datasets.Video(decode=False))
    items = [
        Item(_as_file(row[video], folder), _labels(row[label]))
        for row in encoded
    ]
    return Annotations(tuple(items), tuple(names), Path(), "hugging_face")


def from_tfds(
    examples: Iterable[dict[str, Any]],
    folder: str | os.PathLike,
    classes: Sequence[str] = (),
    rate: float = 25.0,
    video: str = "video",
    label: str = "label",
) -> Annotations:
    """Return the annotations of a TensorFlow Datasets data set of videos.

    Each video is written once, without loss (FFV1 in Matroska). Files are
    named by their content: existing ones are kept, and several splits may
    share a folder.

    Args:
        examples: The result of `tfds.load(..., split=...)`, or
            `tfds.as_numpy` of it.
        folder: Folder for the videos.
        classes: Class names, `info.features["label"].names`.
        rate: Frames per second, which the data set does not record.
        video: Key of the frames, (T, H, W, 3) uint8.
        label: Key of the label.

    Returns:
        `Annotations`.
    """
    folder, items = _files.expanded(folder), []
    for example in examples:
        frames = np.ascontiguousarray(example[video])
        shape = repr((frames.shape, rate)).encode()
        path = folder / f"{_name_of(shape, frames)}.mkv"
        if not path.exists():
            write_lossless(path, frames, rate)
        items.append(Item(path.name, _labels(example[label])))
    return Annotations(tuple(items), tuple(classes), folder, "tfds")


def write_lossless(path: Path, frames: np.ndarray, rate: float) -> None:
    """Write (T, H, W, 3) uint8 RGB frames into a .mkv file, without loss."""
    with (
        _files.writing(path) as file,
        av.open(file, "w", format="matroska") as container,
    ):
        fraction = Fraction(rate).limit_denominator(1001)
        stream = video_stream(container, "ffv1", fraction)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "bgr0"
        for image in frames:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _labels(value: Any) -> tuple[int, ...]:
    """Return the class numbers of a label; none for -1 and for no label."""
    numbers = np.ravel([] if value is None else np.asarray(value))
    if numbers.size and numbers.dtype.kind not in "iu":
        raise SpecError(
            f"A label of the data set is {value!r}, and must be the number of "
            "a class, or several. Encode it: "
            "dataset.class_encode_column(label)."
        )
    return known([int(number) for number in numbers])


def _as_file(value: dict[str, Any], folder: Path) -> str:
    """Return the path of a video, written first if it is given as bytes."""
    path = value.get("path") or ""
    if value.get("bytes") is None:
        return path
    name = _name_of(value["bytes"])
    target = folder / f"{name}{Path(path).suffix or '.mp4'}"
    if not target.exists():
        with _files.writing(target) as file:
            file.write(value["bytes"])
    return str(target)


def _name_of(*content: bytes | np.ndarray) -> str:
    """Return a file name unique to the content."""
    digest = hashlib.sha256()
    for part in content:
        digest.update(part.data if isinstance(part, np.ndarray) else part)
    return digest.hexdigest()[:16]
