"""Measurement of the speed of clip reading, part by part."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_twostream._cpus import available_cpus
from keras_twostream._stopwatch import Stopwatch
from keras_twostream.data.cache import PackedSource
from keras_twostream.data.cutting import augmentation, placement
from keras_twostream.data.cutting.footage import Footage, footage_of
from keras_twostream.data.cutting.packed_footage import PackedFootage
from keras_twostream.data.feeding.pipeline import video_dataset
from keras_twostream.data.feeding.stores import frame_store
from keras_twostream.data.source import Source
from keras_twostream.data.video.boundary import one_file
from keras_twostream.errors import VideoError, check_count
from keras_twostream.spec import ClipSpec

CLIPS = 8  # clips timed part by part


def measure(
    items: Any,
    spec: ClipSpec,
    *,
    batch_size: int = 16,
    batches: int = 20,
    step_seconds: float | None = None,
    cache: str | None = None,
    augment: str | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Time the training input of a data set.

    Args:
        items: An `Annotations`.
        spec: The clip.
        batch_size: Clips in a batch.
        batches: Number of batches to time, after the first.
        step_seconds: Duration of a training step per batch, imitated by
            waiting.
        cache: As in `video_dataset`.
        augment: As in `video_dataset`.
        workers: Number of videos read at once; all processors when None.

    Returns:
        "clips_per_second", "seconds_per_batch",
        "processor_seconds_per_clip", "first_batch_seconds", "parts" (seconds
        of one clip on one worker, read as training reads it: open,
        frames, flow, crop; crop also reads uncompressed data),
        "waiting" (share of a training step's time that it waits for input;
        None without `step_seconds`), "batch_size" and "workers".

    Raises:
        SpecError: If there are no items, a number of clips or batches is
            not 1 or more, or the cache has another contract.
        VideoError: If no file timed part by part can be read.
    """
    check_count("batches", batches)
    workers = workers or available_cpus()
    parts = _parts(items.paths, spec, cache, augment)
    start = time.perf_counter()
    dataset = video_dataset(
        items.pairs(),  # whatever its classes
        spec,
        batch_size,
        training=True,
        repeat=True,
        cache=cache,
        augment=augment,
        workers=workers,
    )
    stream = iter(dataset)
    next(stream)
    first = time.perf_counter() - start
    seconds, work = _time(stream, batches, 0.0)
    result = {
        "clips_per_second": batch_size * batches / seconds,
        "seconds_per_batch": seconds / batches,
        "processor_seconds_per_clip": work / (batch_size * batches),
        "first_batch_seconds": first,
        "parts": parts,
        "waiting": None,
        "batch_size": batch_size,
        "workers": workers,
    }
    if step_seconds is not None:
        whole, _ = _time(stream, batches, step_seconds)
        result["waiting"] = max(0.0, 1 - step_seconds * batches / whole)
    return result


def _time(stream, batches: int, step_seconds: float) -> tuple[float, float]:
    """Return the elapsed seconds and the processor seconds."""
    start, work = time.perf_counter(), time.process_time()
    for _ in range(batches):
        next(stream)
        time.sleep(step_seconds)
    return time.perf_counter() - start, time.process_time() - work


def _parts(
    paths: Sequence[str], spec: ClipSpec, cache, augment
) -> dict[str, float]:
    """Return mean seconds of each part of a clip, read as training reads it.

    Files that cannot be read are skipped, as in training.
    """
    take_apart = _taking_apart(
        frame_store(cache, 0, spec, paths), spec, augment
    )
    places = np.linspace(0, len(paths) - 1, min(CLIPS, len(paths)))
    clips, reason = [], None
    for index in places.astype(int):
        try:
            with one_file(paths[index]):
                clips.append(take_apart(paths[index], int(index)))
        except VideoError as error:
            reason = error
    if not clips:
        raise VideoError(
            f"None of the {len(places)} videos that were tried can be read. "
            f"The last: {reason}"
        )
    return {
        part: sum(clip[part] for clip in clips) / len(clips)
        for part in clips[0]
    }


def _taking_apart(store, spec: ClipSpec, augment) -> Callable:
    """Return a function from a path to the seconds of each part of a clip."""
    sampler = placement.get_sampler(None, spec)
    draw = augmentation.get_augmentation(augment or "multi_scale")
    clip: dict[str, np.ndarray] = {}

    def take_apart(path: str, index: int) -> dict[str, float]:
        watch = Stopwatch()
        rng = placement.generator(0, 0, index)
        with watch("open"):
            source = store.open(path)
        _count_reading(source, watch)
        place = sampler(source.frames, spec, rng)
        footage = _footage(source, place, spec, watch)
        crop = draw(footage.size[0], footage.size[1], spec.crop, rng)
        with watch("crop"):
            # Reuse the same memory, as when a batch is filled.
            clip.update(footage.crop(crop, out=clip or None))
        return watch.seconds

    return take_apart


def _count_reading(source: Source, watch: Stopwatch) -> None:
    """Time the reading of frames apart from everything else."""
    names = ["read"]
    if isinstance(source, PackedSource):
        names.append("images")
    for name in names:
        setattr(source, name, _counted(getattr(source, name), watch))


def _counted(read: Callable, watch: Stopwatch) -> Callable:
    def reading(indices: np.ndarray):
        with watch("frames"):
            return read(indices)

    return reading


def _footage(
    source: Source, place: np.ndarray, spec: ClipSpec, watch: Stopwatch
) -> Footage | PackedFootage:
    """Return footage; time not spent reading frames counts as flow."""
    watch.seconds.setdefault("frames", 0.0)
    before = watch.seconds["frames"]
    start = time.perf_counter()
    footage = footage_of(source, place, spec)
    reading = watch.seconds["frames"] - before
    left = time.perf_counter() - start - reading
    watch.seconds["flow"] = watch.seconds.get("flow", 0.0) + left
    return footage
