"""Named activations of every clip of a video, as files."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import safetensors
import safetensors.numpy

from keras_twostream import _answers
from keras_twostream._arrays import whole
from keras_twostream._files import expanded, write_array, write_bytes
from keras_twostream.data import layouts
from keras_twostream.data.cutting.clip_sources import Views, view_clips
from keras_twostream.errors import SpecError, check_choice, check_count
from keras_twostream.spec import ClipSpec

FILE_FORMATS = ("safetensors", "npy")


class FeatureExtractor:
    """A callable that runs a model of taps over the views of a video.

    Args:
        tapped: The model that `keras_twostream.taps` returns.
        spec: The clip of the tapped model.
        num_clips: Clips per video.
        crops: A name of `data.view_crops`.
        protocol: Placement of the clips; the spec's when None.
        batch_size: Views in a batch; the last one is filled up.
        bound: Pixels that the extreme levels mean of flow that another tool
            wrote (see `data.layouts`).
        step: Frames from one dense clip to the next; the clip's span when
            None.

    Raises:
        SpecError: If `batch_size` is no whole number above 0.
    """

    def __init__(
        self,
        tapped: keras.Model,
        spec: ClipSpec,
        *,
        num_clips: int | None = 10,
        crops: str = "centre",
        protocol: str | None = None,
        batch_size: int = 16,
        bound: float = layouts.BOUND,
        step: int | None = None,
    ) -> None:
        check_count("batch_size", batch_size)
        self._tapped, self._spec = tapped, spec
        self._views = Views(num_clips, protocol, crops, bound=bound, step=step)
        self._batch_size = batch_size

    def __call__(self, path: str | os.PathLike) -> dict[str, np.ndarray]:
        """Return the activations of one video.

        Returns:
            A dict from tap to (views, ...), see `taps`.

        Raises:
            VideoError: If the video cannot be read.
        """
        clips = view_clips(path, self._spec, self._views)
        count = len(next(iter(clips.values())))
        parts = [
            self._batch(clips, start, count)
            for start in range(0, count, self._batch_size)
        ]
        return {
            name: np.concatenate([part[name] for part in parts])
            for name in parts[0]
        }

    @property
    def made(self) -> dict[str, Any]:
        """Return the settings and weights behind the features, as JSON values.

        The weights appear as a digest of those that lead to the taps.
        """
        return {
            "taps": sorted(self._tapped.output),
            "weights": _digest(self._tapped),
            "spec": self._spec.to_json(),
            "clips": self._views.count,
            "crops": self._views.crops,
            "protocol": self._views.protocol,
            "bound": self._views.bound,
            "step": self._views.step,
        }

    def _batch(
        self, clips: dict[str, np.ndarray], start: int, count: int
    ) -> dict[str, np.ndarray]:
        size = self._batch_size
        places = np.minimum(np.arange(start, start + size), count - 1)
        outputs = _answers.answer(
            self._tapped,
            {stream: array[places] for stream, array in clips.items()},
        )
        kept = min(size, count - start)
        return {
            # NumPy's files have no bfloat16.
            name: np.asarray(output)[:kept].astype("float32")
            for name, output in outputs.items()
        }


def _digest(model: keras.Model) -> str:
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(keras.ops.convert_to_numpy(weight).tobytes())
    return digest.hexdigest()


def write_features(
    target: str | os.PathLike,
    features: dict[str, np.ndarray],
    file_format: str = "safetensors",
) -> None:
    """Write the features of one video, completely or not at all.

    Args:
        target: Path of the file without its ending. "safetensors" is one file
            with the taps as keys, "npy" one file per tap.
        features: Mapping from tap to array.
        file_format: "safetensors" or "npy".

    Raises:
        SpecError: If the format is not one of the two.
    """
    files = feature_files(target, list(features), file_format)
    if file_format == "safetensors":
        arrays = {k: np.ascontiguousarray(v) for k, v in features.items()}
        write_bytes(files[0], safetensors.numpy.save(arrays))
        return
    for path, array in zip(files, features.values(), strict=True):
        write_array(path, array)


def has_features(
    target: str | os.PathLike,
    taps: Sequence[str],
    file_format: str,
) -> bool:
    """Check if `write_features` has written these taps of a video.

    Args:
        target: As in `write_features`.
        taps: The taps.
        file_format: As in `write_features`.
    """
    files = feature_files(target, taps, file_format)
    if not all(file.exists() for file in files):
        return False
    if file_format == "npy":
        return True
    try:
        with safetensors.safe_open(files[0], "numpy") as file:
            return set(taps) <= set(file.keys())
    except (OSError, safetensors.SafetensorError):
        return False  # damaged: it is written again


def feature_files(
    target: str | os.PathLike, taps: Sequence[str], file_format: str
) -> list[Path]:
    """Return the files of a target, as `write_features` writes them."""
    check_choice("file_format", file_format, FILE_FORMATS)
    target = expanded(target)
    if file_format == "safetensors":
        return [target.with_name(f"{target.name}.safetensors")]
    return [target.with_name(f"{target.name}.{tap}.npy") for tap in taps]


def video_features(
    targets: Sequence[str | os.PathLike],
    taps: Sequence[str],
    file_format: str = "safetensors",
) -> dict[str, np.ndarray]:
    """Return one row for each video: the mean of its clips' activations.

    Args:
        targets: One target per video, as in `write_features`.
        taps: The taps.
        file_format: As in `write_features`.

    Returns:
        A dict from tap to (videos, D); remaining axes of space and time are
        flattened.

    Raises:
        SpecError: If a file cannot be read, there is none, or the videos'
            activations are of several sizes.
    """
    if not len(targets):
        raise SpecError("`targets` is empty: there are no features to read.")
    rows: dict[str, list[np.ndarray]] = {tap: [] for tap in taps}
    for target in targets:
        files = feature_files(target, taps, file_format)
        with whole(files[0], SpecError, "Write the features again."):
            if file_format == "safetensors":
                arrays = safetensors.numpy.load_file(files[0])
            else:
                loaded = [np.load(file, allow_pickle=False) for file in files]
                arrays = dict(zip(taps, loaded, strict=True))
            for tap in taps:
                rows[tap].append(arrays[tap].mean(axis=0).ravel())
    return {tap: _stacked(parts, tap, targets) for tap, parts in rows.items()}


def _stacked(
    rows: Sequence[np.ndarray], tap: str, targets: Sequence[str | os.PathLike]
) -> np.ndarray:
    """Return the rows of all videos; whole frames may differ in size."""
    for target, row in zip(targets, rows, strict=True):
        if row.shape != rows[0].shape:
            raise SpecError(
                f"{tap} has {len(rows[0])} numbers in {targets[0]}, and "
                f"{len(row)} in {target}: it is as large as the frame. Take "
                "crops of one size, or a tap that pools over the frame."
            )
    return np.stack(rows)
