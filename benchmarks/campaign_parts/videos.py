"""Videos and pictures in every container and codec that the suite writes."""

import functools
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from campaign_parts.sample import Reading, Sample, digest
from keras_twostream.data.cutting.clip_sources import open_source
from keras_twostream.data.video import reading
from keras_twostream.spec import ClipSpec

FRAMES = 12
SPEC = ClipSpec(short_side=32, crop=(32, 32), frame_rate=None)
# Name, suffix, codec, pixels, options, and whether a cut can be noticed:
# streams without a stated length end where they end.
_VIDEOS = [
    ("mp4 h264", "mp4", "libx264", "yuv420p", {"bf": "2"}, True),
    ("mp4 h264, index first", "mp4", "libx264", "yuv420p", {}, True),
    ("mp4 hevc", "mp4", "libx265", "yuv420p", {}, True),
    ("mov prores", "mov", "prores", "yuv422p10le", {}, True),
    ("mov mpeg4", "mov", "mpeg4", "yuv420p", {}, True),
    ("mkv h264", "mkv", "libx264", "yuv420p", {"bf": "2"}, False),
    ("mkv ffv1", "mkv", "ffv1", "yuv420p", {}, False),
    ("webm vp8", "webm", "libvpx", "yuv420p", {}, False),
    ("webm vp9", "webm", "libvpx-vp9", "yuv420p", {}, False),
    ("avi h264", "avi", "libx264", "yuv420p", {"bf": "2"}, True),
    ("avi mpeg4", "avi", "mpeg4", "yuv420p", {"bf": "2"}, True),
    ("avi mjpeg", "avi", "mjpeg", "yuvj420p", {}, True),
    ("ts h264", "ts", "libx264", "yuv420p", {"bf": "2"}, False),
    ("mpg mpeg2", "mpg", "mpeg2video", "yuv420p", {"bf": "2"}, False),
    ("flv h264", "flv", "libx264", "yuv420p", {}, False),
    ("h264, raw", "h264", "libx264", "yuv420p", {}, False),
    ("hevc, raw", "hevc", "libx265", "yuv420p", {}, False),
    ("gif", "gif", "gif", "rgb8", {}, False),
    ("apng", "apng", "apng", "rgb24", {}, False),
]
_QUIET = {"x265-params": "log-level=none:pools=1"}
_FAST = {"preset": "ultrafast", "g": "6"}


def samples() -> Iterator[Sample]:
    """Yield one sample of each format."""
    for name, suffix, codec, pixels, options, sealed in _VIDEOS:
        options = dict(options)
        if "x26" in codec:
            options |= _FAST | (_QUIET if codec == "libx265" else {})
        if name.endswith("index first"):
            options["movflags"] = "+faststart"
        yield Sample(
            name=f"video: {name}",
            row="videos, animated pictures",
            file=f"v.{suffix}",
            files={f"v.{suffix}": _video(suffix, codec, pixels, options)},
            read=functools.partial(read_video, name=f"v.{suffix}"),
            sealed=sealed,
        )
    yield Sample(
        name="video: webp",
        row="videos, animated pictures",
        file="v.webp",
        files={"v.webp": _webp()},
        read=functools.partial(read_video, name="v.webp"),
        sealed=True,
    )
    yield from _picture_folders()
    yield _arrays()


def read_video(folder: Path, name: str) -> Reading:
    """Read a video in each way, which must agree on the number of frames."""
    path = folder / name
    frames = reading.read_frames(path)
    streamed = sum(1 for _ in reading.iter_frames(path))
    one = reading.read_frames(path, [len(frames) // 2])
    info = reading.probe(path)
    marks = [word for word in ("truncated", "damaged") if getattr(info, word)]
    if len(frames) != info.frames or len(one) != 1:
        raise AssertionError(f"{len(frames)} frames read of {info.frames}")
    # Decoding may end a few frames early, and no more, without a word.
    few = info.frames if marks else max(2, info.frames // 4)
    if not info.frames - few <= streamed <= info.frames:
        raise AssertionError(f"{streamed} of {info.frames} frames, in silence")
    return Reading(len(frames), digest(frames), ", ".join(marks))


def pictures(count: int = FRAMES, height: int = 48, width: int = 64):
    """Return (count, height, width, 3) uint8 frames of a moving texture."""
    noise = np.random.default_rng(0).integers(0, 255, (8, 24, 3), np.uint8)
    texture = cv2.resize(noise, (3 * width, height))
    return np.stack([texture[:, t : t + width] for t in range(count)])


def write_video(
    path: Path, frames, codec="libx264", pixels="yuv420p", rate=25, **options
) -> None:
    """Write a video file."""
    with av.open(str(path), "w", options={}) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, rate)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _video(suffix: str, codec: str, pixels: str, options: dict) -> bytes:
    muxing = {k: v for k, v in options.items() if k == "movflags"}
    coding = {k: v for k, v in options.items() if k != "movflags"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"v.{suffix}")
        with av.open(str(path), "w", options=muxing) as container:
            stream = container.add_stream(codec, rate=25, options=coding)
            stream.height, stream.width, stream.pix_fmt = 48, 64, pixels
            for number, image in enumerate(pictures()):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path.read_bytes()


def _webp() -> bytes:
    from PIL import Image

    images = [Image.fromarray(image) for image in pictures()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "v.webp")
        images[0].save(
            path, save_all=True, append_images=images[1:], duration=40
        )
        return path.read_bytes()


# === Frames and flow of other tools ===


def _picture_folders() -> Iterator[Sample]:
    for suffix in ("jpg", "png", "bmp", "webp"):
        files = {
            f"{i:05d}.{suffix}": cv2.imencode(f".{suffix}", image)[1].tobytes()
            for i, image in enumerate(pictures(4), 1)
        }
        yield Sample(
            name=f"frames: {suffix}",
            row="frames and flow of other tools",
            file=f"00002.{suffix}",
            files=files,
            read=functools.partial(_read_source, name=""),
            sealed=False,
        )
    files = {}
    for i in range(1, 4):
        for kind in ("img", "x", "y"):
            image = pictures(1)[0] if kind == "img" else pictures(1)[0][..., 0]
            data = cv2.imencode(".jpg", image)[1].tobytes()
            files[f"{kind}_{i:05d}.jpg"] = data
    yield Sample(
        name="frames: flow of mmaction2",
        row="frames and flow of other tools",
        file="x_00001.jpg",
        files=files,
        read=functools.partial(_read_source, name="", streams=("rgb", "flow")),
    )


def _arrays() -> Sample:
    rgb = np.zeros((1, 4, 32, 32, 3), "float32")
    flow = np.zeros((1, 4, 32, 32, 2), "float32")
    return Sample(
        name="frames: npy",
        row="frames and flow of other tools",
        file="v_rgb.npy",
        files={"v_rgb.npy": npy(rgb), "v_flow.npy": npy(flow)},
        read=functools.partial(
            _read_source, name="v_rgb.npy", streams=("rgb", "flow")
        ),
        sealed=True,
    )


def npy(array: np.ndarray) -> bytes:
    """Return an array as the bytes of an .npy file."""
    import io

    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _read_source(
    folder: Path, name: str, streams: tuple[str, ...] = ("rgb",)
) -> Reading:
    spec = SPEC.replace(streams=streams)
    source = open_source(str(folder / name) if name else str(folder), spec)
    frames = source.read(np.arange(source.frames))
    fields = np.zeros(0)
    if "flow" in streams:
        fields = source.fields(np.array([[0, 1]]))
    return Reading(source.frames, digest(frames, fields))
