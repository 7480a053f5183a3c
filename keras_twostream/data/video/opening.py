"""Opening of a video file: its format, stream and decoder."""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.stream import Disposition

from keras_twostream.data.video import limits, webp
from keras_twostream.data.video.boundary import one_file, reason
from keras_twostream.data.video.clock import Packet
from keras_twostream.errors import VideoError

# Formats to open. Any other format is refused before a byte of it is
# acted on: playlists (concat, hls, sdp, dash, imf) name other files and
# addresses, and FFmpeg plays text as a terminal.
FORMATS = """
3dostr 4xm amv apng apv asf asf_o av1 avi avs avs2 avs3 bethsoftvid bink c93
cavsvideo cdxl cine dhav dirac dnxhd dv dxa ea evc film_cpk flic flv gif gxf
h261 h263 h264 hevc idcin ipmovie ivf ivr jpeg_pipe jv kux live_flv lxf m4v
matroska mjpeg mjpeg_2000 mm mov mpeg mpegts mpegvideo mtv mv mvi mxf nsv nut
nuv obu ogg png_pipe pva r3d rm roq rpl siff smjpeg smk thp tmv ty usm vc1
vc1test vividas vivo vmd vvc wc3movie webp_pipe wsvqa wtv xmv yop
yuv4mpegpipe aac ac3 aiff au flac mp3 w64 wav
""".split()
_TRANSPORT = (".ts", ".mts", ".m2ts")
_NOT_FRAMES = Disposition.attached_pic | Disposition.timed_thumbnails
_STILL_CODECS = ("bmp", "gif", "mjpeg", "png", "tiff", "webp")
_PROGRESSIVE = (0, 1)  # FFmpeg's AVFieldOrder: unknown, progressive
# Their headers state a length, or as FFmpeg writes them the time on the file's
# clock when it ends. Only where the clock starts at 0 are these the same.
_CLOCKED = ("asf", "matroska", "nut")


def check_file(path: str | os.PathLike) -> os.stat_result:
    """Return the status of a file without opening it.

    Raises:
        VideoError: If it is missing, empty, or not a regular file: a pipe
            would hang.
    """
    try:
        status = os.stat(os.path.expanduser(path))
    except (OSError, ValueError) as error:
        raise VideoError(
            f"Cannot read {path}: {reason(error)}. Check the path."
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise VideoError(f"Cannot read {path}: it is a folder, not a file.")
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(
            f"Cannot read {path}: it is a pipe, a socket or a device, not a "
            "file. Write the video to a file first."
        )
    if status.st_size == 0:
        raise VideoError(
            f"Cannot read {path}: the file is empty. Copy or download it again."
        )
    return status


class Film:
    """An open video file and its best stream, as FFmpeg chooses it.

    Args:
        path: The file.
        container: The open file.
        stream: The video stream in it.

    Attributes:
        path: The file.
        format: First name of the container: "mov", "matroska", "avi", ...
        codec: FFmpeg's name of the codec.
        size: (height, width) as stored.
        aspect: Width of a pixel over its height, None where not stated.
        tick: Length of a tick, the unit of stamps, in seconds.
        rate: Frames per second as stated, None where not stated.
        reorders: Whether the codec may show frames in another order than the
            file's.
        interlaced: Whether the header declares interlaced frames.
        first: Whether this is the file's first video stream.
        damaged: Whether any packet so far could not be decoded.
    """

    def __init__(
        self, path: str, container: InputContainer, stream: av.VideoStream
    ) -> None:
        self.path, self._container, self._stream = path, container, stream
        context = stream.codec_context
        self.format = container.format.name.partition(",")[0]
        self.codec = context.codec.canonical_name
        self.size = context.height, context.width
        self.aspect: Fraction | None = stream.sample_aspect_ratio
        self.tick = float(stream.time_base or 0)
        rate = stream.average_rate or stream.guessed_rate
        self.rate = float(rate) if rate else None
        self.reorders = bool(context.has_b_frames)
        # PyAV tells this from version 18 on.
        order = getattr(context, "field_order", _PROGRESSIVE[0])
        self.interlaced = order not in _PROGRESSIVE
        self.first = stream is _pictures_of(container)[0]
        self.damaged = False

    def list_packets(self) -> tuple[list[Packet], bool]:
        """Return all packets, and whether the file reaches its stated end."""
        packets, end = [], 0.0
        try:
            for packet in self._container.demux():
                if packet.size == 0:
                    continue
                end = max(end, _end_of(packet))
                if packet.stream_index == self._stream.index:
                    packets.append(_describe(packet))
        except av.FFmpegError:
            return packets, False
        return packets, self._is_whole(packets, end)

    def frames(self) -> Iterator[av.VideoFrame]:
        """Yield frames in the order in which they are shown.

        Damaged packets are skipped, and set `damaged`.
        """
        for packet in self._demuxed():
            yield from self._decoded(packet)

    def frames_of_packets(self) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """Yield frames, each with the number of the packet it came from."""
        self._stream.codec_context.flags |= Flags.copy_opaque
        for number, packet in enumerate(self._demuxed()):
            packet.opaque = number
            for frame in self._decoded(packet):
                origin = frame.opaque
                yield origin if isinstance(origin, int) else None, frame

    def seek(self, stamp: int) -> bool:
        """Seek to the key frame at or before a stamp; return if it worked."""
        try:
            self._container.seek(stamp, stream=self._stream)
        except av.FFmpegError:
            return False
        return True

    def index_holds(self, packets: list[Packet]) -> bool:
        """Return whether seeking counts the frames that reading finds.

        The index of a damaged AVI file also names frames that are lost, by
        which all behind them have another number.
        """
        entries = len(self._stream.index_entries)
        return self.format != "avi" or entries == len(packets)

    def _demuxed(self) -> Iterator[av.Packet]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                self.damaged = True
                return
            if packet is None:
                return
            yield packet

    def _decoded(self, packet: av.Packet) -> Iterator[av.VideoFrame]:
        try:
            yield from packet.decode()
        except av.FFmpegError:
            self.damaged = True

    def _is_whole(self, packets: list[Packet], end: float) -> bool:
        if self.format == "mov":
            size = os.path.getsize(self.path)
            entries = self._stream.index_entries
            if any(entry.pos + entry.size > size for entry in entries):
                return False
        elif self._frames_missing(packets):
            return False
        if self._container.duration is None:
            return True
        stated = self._container.duration / av.time_base
        start = (self._container.start_time or 0) / av.time_base
        if end - start >= stated - _slack(stated):
            return True
        if self.format not in _CLOCKED or stated <= start:
            return False
        return abs(end - stated) <= _slack(stated - start)

    def _frames_missing(self, packets: list[Packet]) -> bool:
        """Return whether the file has far fewer frames than its header states.

        Headers may be wrong by a frame or two, and AVI's count frames that
        are shown twice and stored once.
        """
        stated = self._stream.frames
        stamps = [p.dts for p in packets if p.dts is not None]
        ticks = stamps[-1] - stamps[0] + 1 if stamps else 0
        there = max(len(packets), ticks if self.format == "avi" else 0)
        return there < stated - max(1, 0.02 * stated)


@contextlib.contextmanager
def open_video(path: str, threads: int = 1) -> Iterator[Film | webp.Flipbook]:
    """Open a video file for reading.

    Args:
        path: The file.
        threads: Number of the decoder's threads; 0 lets it choose.

    Raises:
        VideoError: If it is no video that can be decoded, or its frames are
            too large.
    """
    check_file(path)
    with contextlib.ExitStack() as stack:
        with one_file(path):
            film = _film(path, threads, stack)
        yield film


def _film(
    path: str, threads: int, stack: contextlib.ExitStack
) -> Film | webp.Flipbook:
    if webp.is_webp(path):
        return webp.Flipbook(path)
    container = stack.enter_context(_open(path))
    stream = best_stream(container, path)
    context = stream.codec_context
    context.options = {"max_pixels": str(limits.limit(limits.PIXELS))}
    context.thread_count, context.thread_type = threads, "AUTO"
    # Without it the left edge that a header cuts is rounded, and stays.
    context.flags |= Flags.unaligned
    film = Film(path, container, stream)
    _check_size(film)
    return film


def _open(path: str):
    options = {
        "format_whitelist": ",".join(FORMATS),
        "protocol_whitelist": "file",
        "max_pixels": str(limits.limit(limits.PIXELS)),
    }
    # Absolute, since FFmpeg takes text before a colon for a protocol.
    place = os.path.abspath(path)
    try:
        return av.open(place, options=options)
    except (av.FFmpegError, ValueError) as error:
        container = _by_its_name(place, options)
        if container is None:
            raise _refusal(path, error) from error
        return container


def _by_its_name(place: str, options: dict[str, str]):
    """Open a transport stream too short to be detected, or return None."""
    if os.path.splitext(place)[1].lower() not in _TRANSPORT:
        return None
    try:
        container = av.open(place, format="mpegts", options=options)
    except (av.FFmpegError, ValueError):
        return None
    if container.streams.video:
        return container
    container.close()
    return None


def _refusal(path: str, error: Exception) -> VideoError:
    if isinstance(error, av.ArgumentError):
        return VideoError(
            f"Cannot read {path}: not a video file, but text or a playlist, "
            "which names other files (ffconcat, HLS, SDP, DASH). Give the "
            "files themselves."
        )
    return VideoError(
        f"Cannot read {path}: not a video file, or its header is missing or "
        f"damaged ({reason(error)}). Try to play it, or download it again."
    )


def _pictures_of(container) -> list:
    """Return the video streams, without covers and thumbnails."""
    return [
        stream
        for stream in container.streams.video
        if not stream.disposition & _NOT_FRAMES
    ]


def best_stream(container: Any, path: str) -> av.VideoStream:
    """Return the video stream that FFmpeg would show: the largest, by default.

    A stream of one picture is a cover, whatever its header says, and so may be
    one of pictures that are not counted.

    Args:
        container: The open file or address.
        path: Its name in errors.

    Raises:
        VideoError: If there is none, or its codec is not in this FFmpeg.
    """
    streams = _pictures_of(container)
    if not streams:
        kinds = sorted({stream.type for stream in container.streams})
        if any(container.streams.video):
            kinds.remove("video")
            kinds.append("a still picture")
        raise VideoError(
            f"Cannot read {path}: it has no video stream, only "
            f"{' and '.join(kinds) or 'nothing'}."
        )
    known = [s for s in streams if s.codec_context is not None]
    if not known:
        raise VideoError(
            f"Cannot read {path}: its codec{_codec_tag(path)} is not in this "
            "FFmpeg. Convert it: ffmpeg -i IN -c:v libx264 OUT.mp4, where a "
            "program that plays it is installed."
        )
    return max(known, key=_rank)


def _rank(stream: Any) -> tuple[bool, bool, int]:
    context = stream.codec_context
    still = context.codec.canonical_name in _STILL_CODECS
    # An AVI header also counts frames that repeat the one before.
    stored = min(stream.frames, len(stream.index_entries) or stream.frames)
    cover = stored == 1 or (still and not stored)
    default = bool(stream.disposition & Disposition.default)
    return not cover, default, (context.height or 0) * (context.width or 0)


def _codec_tag(path: str) -> str:
    """Return the four-letter codec tag of an MP4 file, if it is one."""
    if not os.path.isfile(path):  # an address
        return ""
    with open(path, "rb") as file:
        ends = file.read(2**20)
        file.seek(max(os.path.getsize(path) - 2**20, 0))
        ends += file.read()
    tags = re.findall(rb"stsd.{12}(\w{4})", ends, re.DOTALL)
    names = sorted({tag.decode() for tag in tags} - {"mp4a", "text"})
    return f" {', '.join(names)}" if names else ""


def _check_size(film: Film) -> None:
    height, width = film.size
    if height and width:
        limits.check_pixels(film.path, height, width)
        return
    raise VideoError(
        f"Cannot read {film.path}: its frames have no size, or more than "
        f"{limits.limit(limits.PIXELS):,} pixels. If you trust the file, "
        f"raise the limit: {limits.PIXELS}=..."
    )


def _slack(length: float) -> float:
    """Return the seconds by which a stated length may be too long."""
    return max(1.0, 0.05 * length)


def _describe(packet: av.Packet) -> Packet:
    return Packet(
        packet.pts,
        packet.dts,
        packet.duration or 0,
        packet.is_keyframe,
        not packet.is_discard,
    )


def _end_of(packet: av.Packet) -> float:
    stamp = packet.pts if packet.pts is not None else packet.dts
    if stamp is None:
        return float("inf")  # no clock in the file: nothing to compare
    return float((stamp + (packet.duration or 0)) * packet.time_base)
