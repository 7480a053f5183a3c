"""Limits on the memory that a file may request, and on what it may lack.

Each is an environment variable that a user can raise:

| variable | default | what it bounds |
|---|---|---|
| `KERAS_TWOSTREAM_MAX_PIXELS` | 50,000,000 | height times width of a frame |
| `KERAS_TWOSTREAM_MAX_STRETCH` | 1,000 | places on a timeline, per frame |
| `KERAS_TWOSTREAM_MAX_GAP` | 25 | % of frames, undecodable in a row |
| `KERAS_TWOSTREAM_MAX_DOWNLOAD` | 2,000 | MB of a video at an address |

A picture of 8K has 33 million pixels. A video that shows each picture for 40
seconds, read at 25 frames per second, has 1,000 places for each frame.
"""

import os

from keras_twostream.errors import SpecError, VideoError

PIXELS = "KERAS_TWOSTREAM_MAX_PIXELS"
STRETCH = "KERAS_TWOSTREAM_MAX_STRETCH"
GAP = "KERAS_TWOSTREAM_MAX_GAP"
DOWNLOAD = "KERAS_TWOSTREAM_MAX_DOWNLOAD"
_DEFAULTS = {PIXELS: 50_000_000, STRETCH: 1_000, GAP: 25, DOWNLOAD: 2_000}
_SMALL_GAP = 2  # frames; a broken end loses as many in good recordings


def limit(name: str) -> int:
    """Return the value of a limit.

    Args:
        name: `PIXELS`, `STRETCH`, `GAP` or `DOWNLOAD`.

    Raises:
        SpecError: If the variable is not a number above 0.
    """
    text = os.environ.get(name, "").strip()
    if not text:
        return _DEFAULTS[name]
    if not text.isdecimal() or int(text) < 1:
        raise SpecError(
            f"The environment variable {name} must be a number above 0. "
            f"Received: {text!r}"
        )
    return int(text)


def check_pixels(path: str, height: int, width: int) -> None:
    """Refuse frames that are too large.

    Raises:
        VideoError: If they have more pixels than the limit.
    """
    pixels, most = height * width, limit(PIXELS)
    if pixels > most:
        raise VideoError(
            f"Cannot read {path}: its frames have {width}x{height} = "
            f"{pixels:,} pixels, more than {most:,}. If you trust the file, "
            f"raise the limit: {PIXELS}={pixels}"
        )


def check_stretch(path: str, places: int, frames: int, rate: float) -> None:
    """Refuse a timeline that outgrows the frames that fill it.

    Args:
        path: The file, for the message.
        places: Number of frames that the timeline would have.
        frames: Number of frames of the video.
        rate: Frames per second of the timeline.

    Raises:
        VideoError: If there are more places per frame than the limit.
    """
    most = limit(STRETCH)
    if places > most * frames:
        needed = -(-places // frames)
        raise VideoError(
            f"Cannot read {path} at {rate:g} frames per second: its "
            f"{frames:,} frames would be repeated to {places:,}, more than "
            f"{most:,} times each. Take a lower rate, or raise the limit: "
            f"{STRETCH}={needed}"
        )


def check_gap(path: str, missing: int, frames: int) -> None:
    """Refuse a file of which too many frames in a row cannot be decoded.

    Their neighbours would be repeated in their place.

    Raises:
        VideoError: If they are more than two and more than the limit.
    """
    most = limit(GAP)
    if missing > max(_SMALL_GAP, frames * most / 100):
        needed = -(-100 * missing // frames)
        raise VideoError(
            f"Cannot read {path}: {missing:,} of its {frames:,} frames, one "
            "behind the other, cannot be decoded. It is damaged: download it "
            "again. To have their neighbours repeated instead, raise the "
            f"limit: {GAP}={needed}"
        )
