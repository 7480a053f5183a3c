"""Placement of clips in a video, as in the papers.

Everything here is a pure function of numbers. A *placement* is a (T,) array:
for each of the clip's T steps, the first frame of the window that the step
looks at (its rgb frames and the frames of its flow fields). Placements may
lie outside a short video; `clip_frames` brings them inside.
"""

from collections.abc import Callable

import numpy as np

from keras_twostream.errors import SpecError, check_choice
from keras_twostream.spec import SAMPLINGS, ClipSpec

CLIP_TAG, ORDER_TAG = 1, 2
OF_WHOLE_VIDEOS = ("segments", "whole")  # samplings

# From the frames in a video, the clip and a `generator` to (T,) ascending ints.
Sampler = Callable[[int, ClipSpec, np.random.Generator], np.ndarray]


def generator(
    seed: int, epoch: int, index: int, tag: int = CLIP_TAG
) -> np.random.Generator:
    """Return the random generator of one item in one epoch.

    Args:
        seed: The run's seed, 0 or more.
        epoch: Epoch number.
        index: The item's place in the list, before any shuffling.
        tag: Purpose of the numbers; other tags give other numbers.

    Returns:
        A generator that depends only on the arguments.
    """
    sequence = np.random.SeedSequence([tag, seed, epoch, index])
    return np.random.Generator(np.random.Philox(sequence))


def epoch_order(
    items: int, seed: int, epoch: int, shuffle: bool = True
) -> np.ndarray:
    """Return the order in which an epoch visits the items, (items,) ints."""
    if not shuffle:
        return np.arange(items)
    return generator(seed, epoch, 0, ORDER_TAG).permutation(items)


def even_order(
    kinds: np.ndarray, seed: int, epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw as many items as there are, of each kind as many as of any other.

    Simonyan & Zisserman 2014, section 5: videos are drawn uniformly across
    the classes. The kind is drawn first; its items then come in turn, each
    once before one comes again.

    Args:
        kinds: (items,) or (items, D), the class of each item.
        seed: The run's seed, 0 or more.
        epoch: Epoch number.

    Returns:
        (items,) ints, the items; and how often each came before in the epoch.
    """
    rng = generator(seed, epoch, 0, ORDER_TAG)
    names, kind = np.unique(kinds, axis=0, return_inverse=True)
    kind = kind.ravel()
    drawn = rng.integers(len(names), size=len(kind))
    items, turns = np.empty((2, len(kind)), np.int64)
    for number in range(len(names)):
        own = np.flatnonzero(kind == number)
        places = np.flatnonzero(drawn == number)
        turns[places] = np.arange(len(places)) // len(own)
        queue = [rng.permutation(own) for _ in range(0, len(places), len(own))]
        items[places] = np.concatenate([own[:0], *queue])[: len(places)]
    return items, turns


def fitting_stride(frames: int, spec: ClipSpec, stride: int) -> int:
    """Return the largest stride, up to `stride`, whose clip fits the video.

    A smaller stride keeps the frames in order, where looping would not. The
    authors of ST-ResNet shrink it, too.

    Returns:
        A stride of 1 or more; 1 also where even that does not fit.
    """
    while stride > 1 and spec.span(stride) > frames:
        stride -= 1
    return stride


# === Training: one random placement, by a Sampler ===


def single(frames: int, spec: ClipSpec, rng: np.random.Generator) -> np.ndarray:
    """Draw one clip at the spec's stride, anywhere in the video.

    Simonyan & Zisserman 2014, section 5: one random frame, or stack, each.
    The stride shrinks where the video is too short for it.
    """
    stride = fitting_stride(frames, spec, spec.temporal_stride)
    return _anywhere(frames, spec, stride, rng)


def multi_stride(
    frames: int, spec: ClipSpec, rng: np.random.Generator
) -> np.ndarray:
    """Draw one clip, and its stride from `spec.train_strides`.

    Feichtenhofer et al. 2016, section 4: one stride per clip, smaller where
    the video is too short for it.
    """
    low, high = spec.train_strides
    stride = int(rng.integers(low, high + 1))
    stride = fitting_stride(frames, spec, stride)
    return _anywhere(frames, spec, stride, rng)


def segments(
    frames: int, spec: ClipSpec, rng: np.random.Generator
) -> np.ndarray:
    """Draw a random window in each of T segments (Wang et al. 2016)."""
    room = frames - _window(spec) + 1
    if room < spec.clip_length:
        return np.sort(rng.integers(0, max(room, 1), spec.clip_length))
    bounds = np.arange(spec.clip_length + 1) * room // spec.clip_length
    return rng.integers(bounds[:-1], bounds[1:])


def dense(frames: int, spec: ClipSpec, rng: np.random.Generator) -> np.ndarray:
    """Draw one clip of adjacent steps, whatever the spec's stride.

    Tran et al. 2015, section 3.1: consecutive frames of a video.
    """
    return _anywhere(frames, spec, 1, rng)


def whole(frames: int, spec: ClipSpec, rng: np.random.Generator) -> np.ndarray:
    """Return T steps spread evenly over the whole video, without drawing.

    Wang et al. 2016, "Actions ~ Transformations", section 4.
    """
    del rng
    return _spread(frames - _window(spec) + 1, spec.clip_length)


SAMPLERS: dict[str, Sampler] = {
    "single": single,
    "multi_stride": multi_stride,
    "dense": dense,
    "segments": segments,
    "whole": whole,
}


def get_sampler(name: str | Sampler | None, spec: ClipSpec) -> Sampler:
    """Return the training sampler called `name`, or the spec's when None.

    Raises:
        SpecError: If there is no such sampler.
    """
    if callable(name):
        return name
    if name is None:
        whole = spec.sampling in OF_WHOLE_VIDEOS
        name = spec.sampling if whole else "multi_stride"
    check_choice("sampler", name, SAMPLERS, otherwise=", or a function")
    return SAMPLERS[name]


# === Testing: fixed placements ===


def views(
    frames: int,
    spec: ClipSpec,
    clips: int | None = 1,
    protocol: str | None = None,
    step: int | None = None,
) -> np.ndarray:
    """Return the placements of a video's test clips.

    - "uniform": evenly spaced from the first place to the last (25 positions,
      Simonyan & Zisserman 2014; 10 clips, I3D and later); one clip is
      centred.
    - "dense": one after the other without a gap, or every `step` frames;
      `clips=None` covers the video, a number keeps the first ones.
    - "segments": T segments, the centre of each (Wang et al. 2016); further
      clips shift through the segments.
    - "whole": T steps spread over the whole video.

    The stride shrinks where the video is too short for it, as in training.
    Clips that would be equal are one.

    Args:
        frames: Frames in the video.
        spec: The clip.
        clips: Largest number of clips; None only for "dense".
        protocol: A name above, `spec.sampling` when None.
        step: Frames from one dense clip to the next, as C3D's 8 of 16
            (Tran et al. 2015, section 3.4); the clip's span when None.

    Returns:
        (N, T) ints, a different placement in each row; N is `clips`, or
        less in a video that has room for fewer.

    Raises:
        SpecError: If the protocol or the number of clips is invalid.
    """
    protocol = spec.sampling if protocol is None else protocol
    check_choice("protocol", protocol, SAMPLINGS)
    if not (clips is None and protocol == "dense") and not (
        isinstance(clips, int | np.integer) and clips > 0
    ):
        raise SpecError(
            "The number of clips must be a whole number, 1 or more, or None "
            "with protocol='dense', which covers the video. "
            f"Received: {clips!r} with protocol={protocol!r}"
        )
    if step is not None and (protocol != "dense" or step < 1):
        raise SpecError(
            "`step` is of dense clips, and 1 or more. "
            f"Received: step={step!r} with protocol={protocol!r}"
        )
    return _different(_placements(frames, spec, clips, protocol, step))


def _different(placements: np.ndarray) -> np.ndarray:
    """Return each placement once, in the original order."""
    _, first = np.unique(placements, axis=0, return_index=True)
    return placements[np.sort(first)]


def _placements(
    frames: int,
    spec: ClipSpec,
    clips: int | None,
    protocol: str,
    step: int | None,
) -> np.ndarray:
    if protocol == "whole":
        return _spread(frames - _window(spec) + 1, spec.clip_length)[None]
    if protocol == "segments":
        return _segment_views(frames, spec, clips or 1)
    stride = fitting_stride(frames, spec, spec.temporal_stride)
    span = spec.span(stride)
    if clips is not None and protocol == "uniform":
        starts = _spread(frames - span + 1, clips)
    else:
        starts = _dense_starts(frames, span, clips, step or span)
    return starts[:, None] + _steps(spec, stride)[None, :]


def _dense_starts(
    frames: int, span: int, clips: int | None, step: int
) -> np.ndarray:
    covering = 1 + max(0, -(-(frames - span) // step))
    count = covering if clips is None else min(clips, covering)
    # The last clip ends with the video, rather than beyond it.
    return np.minimum(np.arange(count) * step, max(frames - span, 0))


def _segment_views(frames: int, spec: ClipSpec, clips: int) -> np.ndarray:
    room = max(frames - _window(spec) + 1, 1)
    length = room / spec.clip_length
    starts = np.arange(spec.clip_length) * length
    shares = (np.arange(clips) + 0.5) / clips
    places = starts[None, :] + shares[:, None] * length
    return np.minimum(places.astype(int), room - 1)


def _window(spec: ClipSpec) -> int:
    """Return the number of frames that one step looks at."""
    return spec.replace(clip_length=1).span()


def _steps(spec: ClipSpec, stride: int) -> np.ndarray:
    return np.arange(spec.clip_length) * stride


def _anywhere(
    frames: int, spec: ClipSpec, stride: int, rng: np.random.Generator
) -> np.ndarray:
    room = max(frames - spec.span(stride) + 1, 1)
    return int(rng.integers(room)) + _steps(spec, stride)


def _spread(room: int, count: int) -> np.ndarray:
    """Return `count` even places in 0..room-1; a single one is central."""
    last = max(room - 1, 0)
    if count == 1:
        return np.array([last // 2])
    return np.rint(np.linspace(0, last, count)).astype(int)
