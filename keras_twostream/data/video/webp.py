"""Animated WebP files through Pillow, since FFmpeg cannot read them."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from keras_twostream.data.video import limits
from keras_twostream.data.video.clock import Packet

_FRAME_MS = 100  # for a picture without a duration, as in browsers


def is_webp(path: str) -> bool:
    """Return whether a file starts like a WebP file."""
    with open(path, "rb") as file:
        start = file.read(12)
    return start[:4] == b"RIFF" and start[8:] == b"WEBP"


class Flipbook:
    """An animated WebP file, with the interface of `opening.Film`.

    Args:
        path: The file.

    Raises:
        VideoError: If its pictures are too large.
    """

    format = codec = "webp"
    aspect: Fraction | None = None
    tick = 0.001
    rate: float | None = None
    reorders = interlaced = damaged = False
    first = True

    def __init__(self, path: str) -> None:
        from PIL import Image

        self.path = path
        with Image.open(path, formats=["WEBP"]) as image:
            self.size = image.height, image.width
            self._count = getattr(image, "n_frames", 1)
        limits.check_pixels(path, *self.size)

    def list_packets(self) -> tuple[list[Packet], bool]:
        """Return all packets, see `Film.list_packets`."""
        stamps = [frame.pts for frame in self.frames()]
        packets = [Packet(s, s, 0, n == 0) for n, s in enumerate(stamps)]
        return packets, len(packets) == self._count

    def frames(self) -> Iterator[av.VideoFrame]:
        """Yield the frames, see `Film.frames`."""
        from PIL import Image

        clock = 0
        with Image.open(self.path, formats=["WEBP"]) as image:
            for number in range(self._count):
                try:
                    image.seek(number)
                    picture = np.asarray(image.convert("RGB"))
                except (OSError, EOFError, ValueError):
                    self.damaged = True
                    return
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = clock, Fraction(1, 1000)
                clock += int(image.info.get("duration") or _FRAME_MS)
                yield frame

    def frames_of_packets(self) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """Yield frames with packet numbers, see `Film.frames_of_packets`."""
        return enumerate(self.frames())

    def seek(self, stamp: int) -> bool:
        """Return False: each picture is drawn over the one before."""
        del stamp
        return False
