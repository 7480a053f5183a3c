"""The annotated video and the contact sheet."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest
from numbered_videos import write_video
from PIL import Image

from keras_twostream import flow, visual
from keras_twostream.data.cutting.kept_flow import Album
from keras_twostream.errors import MissingLibraryError
from keras_twostream.spec import ClipSpec
from keras_twostream.timeline import States
from keras_twostream.visual import _parts, _theme, _video
from keras_twostream.visual._parts import Box

RNG = np.random.default_rng(0)
SCORES = RNG.dirichlet(np.ones(3), 4)
STORY = visual.Story(
    name="a very long name of a video file, longer than its place.mp4",
    classes=("wave_hand", "sit_down", "drink"),
    windows=np.stack([np.arange(4), np.arange(4) + 1.0], axis=-1),
    timelines={"rgb": SCORES, "flow": SCORES[::-1], "fused": SCORES},
    whole=dict.fromkeys(("rgb", "flow", "fused"), SCORES.mean(axis=0)),
    subtitle="small",
    truth="sit_down",
)


def moments(count, height=33, width=47):
    """Odd sizes, as in the wild."""
    image = RNG.integers(0, 256, (height, width, 3), np.uint8)
    return [(number / 2, image, image) for number in range(count)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "out.mp4"
    return visual.annotated_video(path, STORY, moments(6), 29.97)


def test_the_video_is_one_that_browsers_play(written):
    with av.open(str(written)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (1280, 720)
        assert float(stream.average_rate) == pytest.approx(29.97, abs=0.01)
        assert sum(1 for _ in container.decode(video=0)) == 6


def test_given_frames_come_at_the_rate_of_the_model():
    spec = ClipSpec(short_side=32, crop=(24, 24), frame_rate=10.0)
    frames = np.zeros((3, 32, 40, 3), np.uint8)
    seconds = [second for second, _, _ in visual.footage(frames, spec)]
    assert seconds == pytest.approx([0, 0.1, 0.2])


def test_frames_of_a_file_come_when_its_clock_says(tmp_path):
    times = [0, 40, 80, 1000, 1040]
    path = tmp_path / "uneven.mkv"
    write_video(path, np.zeros((5, 32, 48, 3), np.uint8), times=times)
    spec = ClipSpec(short_side=32, crop=(24, 24), frame_rate=None)
    seconds = [second for second, _, _ in visual.footage(path, spec)]
    assert seconds == pytest.approx([x / 1000 for x in times])


def test_the_index_stands_before_the_frames(written):
    content = written.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_vp9_takes_over_where_there_is_no_h264(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"libvpx-vp9"})
    path = visual.annotated_video(tmp_path / "out.mp4", STORY, moments(2), 25.0)
    assert path.name == "out.webm"
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "vp9"


def test_without_any_encoder_the_error_says_what_to_install(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(av, "codecs_available", set())
    with pytest.raises(MissingLibraryError, match="libx264, libvpx-vp9, and"):
        visual.annotated_video(tmp_path / "out.mp4", STORY, moments(2), 25.0)


def test_a_long_video_of_short_stretches_has_a_timeline(tmp_path):
    count = 1200  # ten minutes of an answer that changes twice a second
    scores = np.eye(3)[np.arange(count) % 3]
    long = dataclasses.replace(
        STORY,
        windows=np.stack([np.arange(count), np.arange(count) + 1], -1) / 2,
        timelines={"fused": scores},
        whole={"fused": scores.mean(axis=0)},
    )
    path = visual.annotated_video(tmp_path / "out.mp4", long, moments(1), 25.0)
    assert path.exists()


def test_a_long_video_of_a_short_change_has_a_sheet(tmp_path):
    count = 600  # twenty minutes, of which a state takes half a second
    scores = np.eye(3)[np.zeros(count, int)]
    long = dataclasses.replace(
        STORY,
        windows=2.0 * np.stack([np.arange(count), np.arange(count) + 1], -1),
        timelines={"fused": scores},
        whole={"fused": scores.mean(axis=0)},
        states=States(0, (10.0, 10.5), (11.0, 11.5), 0.1),
    )
    assert visual.contact_sheet(tmp_path / "out.png", long, moments(1)).exists()


def test_a_stream_of_long_windows_shows_the_newest():
    story = dataclasses.replace(
        STORY,
        windows=np.array([[0.0, 25.0]]),
        timelines={"fused": SCORES[:1]},
        whole={"fused": SCORES[0]},
    )
    broadcast = visual.Broadcast()
    for begin in (0.0, 12.5, 25.0):
        later = dataclasses.replace(story, windows=story.windows + begin)
        picture = broadcast.draw(later, moments(1)[0][1], None)
        assert picture.shape == (720, 1280, 3)


def test_a_name_that_ffmpeg_takes_for_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = visual.annotated_video("12:30.mp4", STORY, moments(1), 25.0)
    assert path.name == "12:30.mp4" and path.exists()


def test_a_failure_leaves_no_half_written_file(tmp_path):
    def broken():
        yield from moments(1)
        raise OSError("the file ended")

    with pytest.raises(OSError, match="the file ended"):
        visual.annotated_video(tmp_path / "out.mp4", STORY, broken(), 25.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("frames", [1, 20])
def test_a_failure_of_the_encoder_is_raised(tmp_path, monkeypatch, frames):
    def fail(container, stream, image):
        raise RuntimeError("no room")

    monkeypatch.setattr(_video, "_append", fail)
    with (
        pytest.raises(RuntimeError, match="no room"),
        visual.video_writer(tmp_path / "a.mp4", 25, (64, 48)) as (_, write),
    ):
        for _ in range(frames):
            write(np.zeros((48, 64, 3), np.uint8))
    assert not list(tmp_path.iterdir())


def test_frames_are_encoded_in_the_order_in_which_they_come(tmp_path):
    path, levels = tmp_path / "a.mp4", range(20, 220, 10)
    with visual.video_writer(path, 25, (64, 48)) as (_, write):
        for level in levels:
            write(np.full((48, 64, 3), level, np.uint8))
    with av.open(str(path)) as container:
        shown = [f.to_ndarray(format="rgb24") for f in container.decode()]
    means = [frame.mean() for frame in shown]
    np.testing.assert_allclose(means, levels, atol=3)


def test_another_process_may_write_the_same_video(tmp_path):
    path = tmp_path / "out.mp4"

    def interrupted():
        yield from moments(12)
        with ThreadPoolExecutor(1) as other:
            write = visual.annotated_video
            other.submit(write, path, STORY, moments(3), 25.0).result()
        yield from moments(1)

    visual.annotated_video(path, STORY, interrupted(), 25.0)
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 13
    assert list(tmp_path.iterdir()) == [path]


def test_the_playhead_moves(written):
    with av.open(str(written)) as container:
        first, *_, last = [
            frame.to_ndarray(format="rgb24")
            for frame in container.decode(video=0)
        ]
    strip = slice(_video._TIMELINE.top, _video._TIMELINE.bottom)

    def place(image):
        return np.argmax(image[strip].min(axis=(0, 2)))

    assert place(first) == pytest.approx(_video._TIMELINE.left, abs=2)
    expected = _video._TIMELINE.left + _video._TIMELINE.width * 2.5 / 4
    assert place(last) == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("count", [1, 3, 8, 20])
def test_the_sheet_has_room_for_its_moments(tmp_path, count):
    path = visual.contact_sheet(tmp_path / "s.png", STORY, moments(count))
    with Image.open(path) as image:
        assert image.width == 1600
        rows = -(-min(count, 8) // 4)
        assert image.height > rows * 300


def test_a_row_that_is_not_full_is_as_high_as_a_full_one(tmp_path):
    heights = []
    for count in (3, 4, 5):
        path = visual.contact_sheet(tmp_path / "s.png", STORY, moments(count))
        with Image.open(path) as image:
            heights.append(image.height)
    assert heights[0] == heights[1] < heights[2]


def test_a_margin_is_taken_off_all_four_sides():
    assert Box(10, 20, 100, 60).inset(4) == Box(14, 24, 92, 52)


def test_a_portrait_video_does_not_make_an_endless_sheet(tmp_path):
    path = visual.contact_sheet(
        tmp_path / "s.png", STORY, moments(8, height=640, width=100)
    )
    with Image.open(path) as image:
        assert image.height < 2000


# === Parts ===


def test_a_bar_is_as_long_as_its_score():
    canvas = Image.new("RGB", (200, 60))
    draw = _parts.ImageDraw.Draw(canvas)
    _parts.bars(draw, Box(0, 0, 200, 60), "flow", [("sit down", 0.25)])
    colour = np.array(_theme.STREAM_COLOURS["flow"])
    filled = (np.asarray(canvas) == colour).all(axis=-1)
    # The title has the colour too, but no row of it is as long.
    assert filled.sum(axis=1).max() == 50


def test_the_legend_shows_motion_to_the_right_at_its_right():
    wheel, inside = map(np.asarray, _parts._wheel(20))
    ways = np.float32([[[0.9, 0], [0, 0.9], [-0.9, 0], [0, -0.9]]])
    wanted = _parts.on_dark(flow.to_rgb(ways, 1.0))[0].astype(int)
    edges = [wheel[10, 18], wheel[18, 10], wheel[10, 1], wheel[1, 10]]
    assert np.abs(np.array(edges, int) - wanted).max() < 40
    assert inside[10, 10] == 255 and inside[0, 0] == 0


def test_text_that_is_too_long_ends_in_an_ellipsis():
    face = _theme.font(14)
    short = _parts._shorten("a name that is too long", face, 80)
    assert short.endswith("…")
    assert face.getlength(short) <= 80
    assert _parts._shorten("short", face, 80) == "short"


def test_a_picture_keeps_its_shape():
    canvas = Image.new("RGB", (100, 100))
    image = np.full((20, 40, 3), 255, np.uint8)
    filled = _parts.picture(canvas, Box(0, 0, 100, 100), image)
    assert filled == Box(0, 25, 100, 50)


@pytest.mark.parametrize("duration", [0.1, 1.3, 9.9, 61, 3700, 90000])
def test_a_timeline_has_few_ticks(duration):
    ticks = _parts._ticks(duration)
    assert 1 <= len(ticks) <= 14
    assert ticks == sorted(set(ticks))


# === Footage ===


@pytest.fixture
def moving(tmp_path):
    """A texture that moves 2 px to the right; every other frame repeats."""
    texture = np.kron(
        RNG.integers(0, 256, (16, 40, 3)), np.ones((4, 4, 1))
    ).astype(np.uint8)
    frames = [
        np.roll(texture, 2 * (n // 2), axis=1)[:, :128] for n in range(12)
    ]
    path = tmp_path / "moving.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25, options={"qp": "1"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in frames:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_flow_that_the_network_saw_is_not_computed_again(moving, monkeypatch):
    right = np.zeros((32, 64, 2), np.float32)
    right[..., 0] = 3
    album = Album()
    for number in range(11):
        album.add((number, number + 1), right)
    monkeypatch.setattr("keras_twostream.flow.compute", None)
    shown = list(visual.footage(moving, ClipSpec(short_side=32), album))
    assert len(shown) == 12
    np.testing.assert_array_equal(shown[5][2], visual.colours(right, 3.0))


def test_motion_is_shown_without_flicker(moving):
    shown = list(visual.footage(moving, ClipSpec(short_side=32)))
    assert len(shown) == 12
    assert [second for second, _, _ in shown[:3]] == [0.0, 0.04, 0.08]
    assert shown[0][1].shape == (64, 128, 3)
    reds = [motion[8:-8, 16:-16, 0].mean() for _, _, motion in shown[1:]]
    blues = [motion[8:-8, 16:-16, 2].mean() for _, _, motion in shown[1:]]
    # To the right is red, and the repeated frames do not go dark.
    assert min(reds) > 2 * max(blues)
