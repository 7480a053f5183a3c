"""Frames as a player shows them: turned, mirrored, with square pixels."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from numbered_videos import block_numbers, blocks, numbered_frames, write_video
from PIL import Image, ImageOps

from keras_twostream.data import count_frames, iter_frames, probe, read_frames
from keras_twostream.data.video.pictures import shown_size

ONE, LAST = 1 << 16, 1 << 30


def matrix(a, b, c, d):
    values = (a, b, 0, c, d, 0, 0, 0, LAST)
    return b"".join(value.to_bytes(4, "big", signed=True) for value in values)


@pytest.fixture(scope="module")
def corners(tmp_path_factory):
    """A video with four greys: 40 80 above, 120 160 below; 48x64."""
    frames = np.zeros((3, 48, 64, 3), np.uint8)
    frames[:, :24, :32], frames[:, :24, 32:] = 40, 80
    frames[:, 24:, :32], frames[:, 24:, 32:] = 120, 160
    path = tmp_path_factory.mktemp("corners") / "corners.mp4"
    return write_video(path, frames, qp="1")


# The matrix (a, b, c, d) maps (x, y) to (a x + c y, b x + d y), y downwards.
TURNS = {
    "turned clockwise": ((0, 1, -1, 0), [[120, 40], [160, 80]], -90, False),
    "turned the other way": ((0, -1, 1, 0), [[80, 160], [40, 120]], 90, False),
    "upside down": ((-1, 0, 0, -1), [[160, 120], [80, 40]], 180, False),
    "left is right": ((-1, 0, 0, 1), [[80, 40], [160, 120]], 0, True),
    "top is bottom": ((1, 0, 0, -1), [[120, 160], [40, 80]], 180, True),
    "transposed": ((0, 1, 1, 0), [[40, 120], [80, 160]], 90, True),
    "transposed, turned": ((0, -1, -1, 0), [[160, 80], [120, 40]], -90, True),
}


@pytest.mark.parametrize("name", TURNS)
def test_the_whole_display_matrix_is_applied(corners, tmp_path, name):
    numbers, shown, rotation, mirrored = TURNS[name]
    content = corners.read_bytes()
    track = content.index(b"tkhd")
    upright = matrix(ONE, 0, 0, ONE)
    assert upright in content[track:]
    other = matrix(*(number * ONE for number in numbers))
    path = tmp_path / "turned.mp4"
    path.write_bytes(
        content[:track] + content[track:].replace(upright, other, 1)
    )
    info = probe(path)
    size = (64, 48) if numbers[0] == 0 else (48, 64)
    assert (info.height, info.width) == size
    assert (info.rotation, info.mirrored) == (rotation, mirrored)
    frame = read_frames(path)[0]
    assert frame.shape[:2] == size
    height, width = size
    for row in (0, 1):
        for column in (0, 1):
            y = height // 4 + row * height // 2
            x = width // 4 + column * width // 2
            assert abs(int(frame[y, x].mean()) - shown[row][column]) < 4
    np.testing.assert_array_equal(next(iter_frames(path)), frame)


def test_mirrored_files_equal_the_plain_one_mirrored(faults):
    plain = read_frames(faults / "plain.mp4")
    across = read_frames(faults / "hflip.mp4")
    np.testing.assert_array_equal(across, plain[:, :, ::-1])
    down = read_frames(faults / "vflip.mp4")
    np.testing.assert_array_equal(down, plain[:, ::-1])


@pytest.mark.parametrize("turn", [1, 2, 3, 6, 8])
def test_cameras_write_the_orientation_into_each_picture(tmp_path, turn):
    path = tmp_path / "camera.mjpeg"
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32] = 200
    exif = Image.Exif()
    exif[0x0112] = turn
    picture = io.BytesIO()
    Image.fromarray(image).save(picture, "JPEG", exif=exif)
    path.write_bytes(2 * picture.getvalue())
    shown = ImageOps.exif_transpose(Image.open(picture)).convert("RGB")
    frames = read_frames(path)
    assert frames.shape == (2, *np.asarray(shown).shape)
    assert np.abs(frames[0].astype(int) - np.asarray(shown)).max() < 10


@pytest.mark.parametrize("left", [16, 6])
def test_edges_that_a_header_cuts_are_not_shown(tmp_path, left):
    frames = np.full((3, 48, 64, 3), 60, np.uint8)
    frames[:, :, :left] = 220
    cut = {"x264-params": f"crop-rect={left},0,4,0"}
    path = write_video(tmp_path / "cut.mkv", frames, qp="1", **cut)
    read = read_frames(path)
    assert read.shape == (3, 48, 64 - left - 4, 3)
    assert probe(path).width == 64 - left - 4
    assert np.abs(read.astype(int) - 60).max() < 8


def write_squeezed(path, aspect):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for image in numbered_frames(3):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    "aspect, width", [(Fraction(4, 3), 85), (Fraction(1, 2), 32)]
)
def test_pixels_are_made_square(tmp_path, aspect, width):
    path = tmp_path / "squeezed.mp4"
    write_squeezed(path, aspect)
    info = probe(path)
    assert (info.height, info.width) == (48, width)
    assert info.pixel_aspect == pytest.approx(float(aspect))
    assert read_frames(path).shape == (3, 48, width, 3)
    assert next(iter_frames(path)).shape == (48, width, 3)
    side = min(48, width) // 2
    small = read_frames(path, short_side=side)
    assert small.shape[1:3] == (24, round(width / 2)) or width == 32
    assert min(small.shape[1:3]) == side


@pytest.mark.parametrize(
    "size, aspect, quarters, shown",
    [
        ((576, 720), Fraction(16, 15), 0, (576, 768)),
        ((480, 720), Fraction(8, 9), 0, (480, 640)),
        ((576, 720), Fraction(16, 15), 1, (768, 576)),
        ((576, 720), None, 3, (720, 576)),
        ((576, 720), Fraction(1000, 1), 0, (576, 720)),  # a mistake
    ],
)
def test_sizes_are_those_of_the_shown_picture(size, aspect, quarters, shown):
    assert shown_size(size, aspect, quarters) == shown


FORMATS = {
    "gray": "ffv1",
    "gray10le": "ffv1",
    "gray16le": "ffv1",
    "yuv420p10le": "ffv1",
    "yuv444p12le": "ffv1",
    "yuv422p16le": "ffv1",
    "yuva420p": "ffv1",
    "bgra": "ffv1",
    "rgba": "png",
    "rgb48be": "png",
    "gray16be": "png",
    "monob": "png",
}


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_every_format_of_pixels(tmp_path, pix_fmt):
    path = tmp_path / ("v.mov" if FORMATS[pix_fmt] == "png" else "v.mkv")
    frames = blocks(range(6))
    write_video(path, frames, codec=FORMATS[pix_fmt], pix_fmt=pix_fmt)
    read = read_frames(path)
    assert (read.dtype, read.shape) == (np.uint8, frames.shape)
    assert block_numbers(read) == list(range(6))
    assert block_numbers(list(iter_frames(path))) == list(range(6))
    if pix_fmt != "monob":
        assert np.abs(read.astype(int) - frames).max() < 6


def test_interlaced_videos_are_marked(tmp_path):
    path = tmp_path / "woven.mkv"
    write_video(path, blocks(range(12)), x264_params="", flags="+ildct+ilme")
    assert probe(path).interlaced
    assert block_numbers(read_frames(path)) == list(range(12))
    plain = write_video(tmp_path / "plain.mkv", blocks(range(2)))
    assert not probe(plain).interlaced


@pytest.mark.parametrize("kind", ["gif", "png", "webp"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_animated_pictures_are_videos(tmp_path, kind, count):
    path = tmp_path / f"animation.{'apng' if kind == 'png' else kind}"
    images = [Image.fromarray(image) for image in blocks(range(count))]
    lossless = {"lossless": True} if kind == "webp" else {}
    images[0].save(
        path,
        format=kind,
        save_all=True,
        append_images=images[1:],
        duration=50,
        **lossless,
    )
    info = probe(path)
    assert info.frames == count_frames(path) == count
    if count > 1:
        assert info.fps == pytest.approx(20)
    assert block_numbers(list(iter_frames(path))) == list(range(count))
    for number in range(count):
        assert block_numbers(read_frames(path, [number])) == [number]
