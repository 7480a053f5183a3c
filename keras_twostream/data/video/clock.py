"""Times at which frames are shown, from the stamps of a container.

Stamps may be missing, equal, negative or in decoding order; they step back
where recordings were joined, and leap where one has a hole. A decoder puts
frames out in the order in which they are shown, so the times made here never
go back, and every hole is of bounded length.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

HOLE_SECONDS = 10.0  # a longer wait may be a hole in a recording,
HOLE_FRAMES = 50  # if it also lasts at least this many frames
_STEP_BACK = 1.0  # seconds; a longer step back begins another recording


class Packet(NamedTuple):
    """A packet of a video stream, in the order of the file.

    Attributes:
        pts: Time at which its frame is shown, in ticks, or None.
        dts: Time at which it is decoded, in ticks, or None.
        duration: Ticks for which its frame is shown, 0 where unknown.
        key: Whether decoding can start with it.
        shown: Whether its frame is shown, rather than only decoded for others.
    """

    pts: int | None
    dts: int | None
    duration: int
    key: bool
    shown: bool = True


@dataclasses.dataclass(frozen=True)
class Times:
    """The times of a video's frames.

    Attributes:
        seconds: (frames,) seconds since the first frame, ascending.
        joins: Number of places where another recording begins.
        holes: Number of leaps that were closed.
    """

    seconds: np.ndarray
    joins: int = 0
    holes: int = 0


def frame_times(
    packets: Sequence[Packet],
    shown: Sequence[int],
    tick: float,
    rate: float | None,
) -> Times:
    """Return the times of frames, from the stamps of their packets.

    Where stamps step back from one packet to the next, another recording was
    appended, and time continues from the last frame. A leap of more than
    `HOLE_SECONDS` and `HOLE_FRAMES` is closed. Without stamps, time is the
    frame's number over the rate.

    Args:
        packets: All packets of the stream.
        shown: The packet of each frame, in the order of frames.
        tick: Length of a tick in seconds.
        rate: Frames per second as the file states it; 25 when None.
    """
    interval = _interval(packets, tick, rate)
    order = np.asarray(shown, int)
    moments, joins = _continuous(packets, order, tick, interval)
    if moments is None:
        return Times(np.arange(len(shown)) * interval)
    # Sorted: the frames are in their order, their stamps may not be.
    moments = _spread(np.sort(moments[order]), interval)
    steps = np.diff(moments)
    usual = float(np.median(steps)) if len(steps) else interval
    holes = steps > max(HOLE_SECONDS, HOLE_FRAMES * usual)
    steps = np.where(holes, usual, steps)
    seconds = np.concatenate([[0.0], np.cumsum(steps)])
    return Times(seconds, joins, int(holes.sum()))


def average_rate(seconds: np.ndarray, rate: float | None) -> float:
    """Return frames per second: the stated rate where the times confirm it."""
    if len(seconds) < 2 or not seconds[-1] > seconds[0]:
        return rate or 25.0
    measured = (len(seconds) - 1) / (seconds[-1] - seconds[0])
    if rate is not None and abs(rate - measured) < 0.01 * measured:
        return rate
    return float(measured)


def _interval(packets, tick: float, rate: float | None) -> float:
    """Return the seconds from frame to frame, as far as the file tells."""
    durations = [packet.duration for packet in packets if packet.duration > 0]
    if durations:
        return float(np.median(durations)) * tick
    return 1 / (rate or 25.0)


def _continuous(
    packets: Sequence[Packet], order: np.ndarray, tick: float, interval: float
) -> tuple[np.ndarray | None, int]:
    """Return each packet's seconds on one clock, and the number of joins.

    Stamps of showing that run backwards in the order of frames were made up
    by the demuxer, and those of decoding are taken if they are more even.
    """
    shown = _seconds([packet.pts for packet in packets], tick)
    decoded = _seconds([packet.dts for packet in packets], tick)
    if np.isnan(decoded).all():
        decoded = shown
    # An edit list leaps among packets that are decoded only for others.
    kept = np.array([packet.shown for packet in packets])
    known = np.flatnonzero(~np.isnan(decoded) & kept)
    if not len(known):
        return None, 0
    keys = np.array([packet.key for packet in packets])
    back = _steps_back(decoded[known], shown[known], keys[known], interval)
    steps = np.diff(decoded[known])
    added = np.cumsum(np.where(back, interval - steps, 0.0))
    # A packet without a stamp is moved by as much as the one before.
    last = np.searchsorted(known, np.arange(len(packets)), side="right") - 1
    shifts = np.concatenate([[0.0], added])[np.maximum(last, 0)]
    moments = np.where(np.isnan(shown), decoded, shown) + shifts
    runs_back = (np.diff(moments[order]) < 0).any()
    if runs_back and not np.isnan(decoded).any():
        choice = (moments, decoded + shifts)
        moments = min(choice, key=lambda times: _unevenness(times[order]))
    return _filled(moments, interval), int(back.sum())


def _unevenness(moments: np.ndarray) -> float:
    return float(np.std(np.diff(np.sort(moments))))


def _steps_back(decoded, shown, keys, interval: float) -> np.ndarray:
    """Return (packets - 1,) bool, where the next begins another recording.

    A key frame is never shown before one that precedes it in the file.
    """
    steps = np.diff(decoded)
    latest = np.fmax.accumulate(shown)[:-1]
    behind = ~(shown[1:] > latest)
    far = steps < -_STEP_BACK
    return far | (keys[1:] & behind & (steps < -interval / 2))


def _seconds(stamps: list[int | None], tick: float) -> np.ndarray:
    return np.array([np.nan if s is None else s for s in stamps], float) * tick


def _filled(moments: np.ndarray, interval: float) -> np.ndarray:
    """Return the moments, with unknown ones interpolated.

    Those before the first and after the last known one are an interval apart.
    """
    known = np.flatnonzero(~np.isnan(moments))
    places = np.arange(len(moments))
    outside = np.minimum(places - known[0], 0)
    outside += np.maximum(places - known[-1], 0)
    return np.interp(places, known, moments[known]) + outside * interval


def _spread(moments: np.ndarray, interval: float) -> np.ndarray:
    """Return ascending moments, with equal ones spread towards the next.

    All are even where that moves none by more than a frame and a half:
    demuxers give one frame its neighbour's stamp, and leave its own out.
    """
    values, place, counts = np.unique(
        moments, return_inverse=True, return_counts=True
    )
    if len(values) == len(moments):
        return moments
    even = moments[0] + np.arange(len(moments)) * interval
    if np.abs(moments - even).max() <= 1.5 * interval:
        return even
    after = np.append(values[1:], values[-1] + counts[-1] * interval)
    first = np.cumsum(counts) - counts
    within = (np.arange(len(moments)) - first[place]) / counts[place]
    return moments + within * (after - values)[place]
