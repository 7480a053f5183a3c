"""A prediction, as it shows itself."""

import re
import sys

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw
from rich.console import Console

from keras_twostream import visual
from keras_twostream._printing import percent
from keras_twostream.cli._report import report
from keras_twostream.errors import (
    MissingLibraryError,
    SpecError,
    UnknownNameError,
)
from keras_twostream.prediction import Prediction
from keras_twostream.spec import ClipSpec
from keras_twostream.visual import _parts

SPEC = ClipSpec(short_side=32, crop=(24, 24))
CLASSES = ("wave_hand", "sit_down", "<b>drink</b>")
TIMES = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])


def predicted(classes=CLASSES, timeline=TIMES, **changes):
    """A prediction whose streams differ from the means of their windows."""
    starts = np.arange(len(timeline)) / 2
    values = {
        "source": "frames",
        "model": "small.tested",
        "classes": classes,
        "probabilities": timeline.mean(axis=0),
        "streams": {"rgb": timeline[0], "flow": timeline[-1]},
        "windows": np.stack([starts, starts + 1], axis=-1),
        "timeline": timeline,
        "stream_timelines": {"rgb": timeline, "flow": timeline[::-1]},
        "truncated": False,
        "seconds": {"decode": 0.1},
        "spec": SPEC,
        **changes,
    }
    return Prediction(**values)


def frames(count=12):
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    still = noise.repeat(8, axis=0).repeat(8, axis=1)
    return np.stack([np.roll(still, t, axis=1) for t in range(count)])


# === In a line, and in a notebook ===


def test_the_repr_of_a_prediction_is_short():
    assert repr(predicted(source="a/wave.mp4")) == (
        "<Prediction 'wave.mp4': wave_hand 53.3%, 2.0 s in 3 windows>"
    )
    assert "\x1b" not in repr(predicted(source="\x1b[31m.mp4"))


def test_html_has_scores_times_and_segments():
    shown = predicted(truncated=True)._repr_html_()
    assert "wave hand" in shown and "53.3%" in shown
    assert "0.0 - 1.2 s" in shown and "75.0%" in shown
    assert "The file ends before it should." in shown
    assert shown.count("<table>") == 2


def test_html_escapes_the_names_of_strangers():
    shown = predicted(source='x"><script>.mp4')._repr_html_()
    assert "<script>" not in shown and "<b>drink" not in shown
    assert "&lt;b&gt;drink" in shown


def test_html_of_many_segments_is_bounded():
    timeline = np.eye(2)[np.arange(200) % 2]
    shown = predicted(("a", "b"), timeline)._repr_html_()
    assert "and 180 more" in shown


def test_a_prediction_needs_no_sure_window():
    shown = predicted(timeline=np.full((3, 3), 1 / 3))._repr_html_()
    assert shown.count("<table>") == 1


# === Elsewhere ===


def test_a_table_has_a_row_for_each_window():
    pytest.importorskip("pandas")
    table = predicted().to_dataframe()
    assert list(table.index.names) == ["start", "end"]
    assert table.loc[(0.5, 1.5), "sit_down"] == 0.2
    assert list(table.idxmax(axis=1)) == ["wave_hand", "wave_hand", "sit_down"]
    flow = predicted().to_dataframe("flow")
    np.testing.assert_array_equal(flow.to_numpy(), TIMES[::-1])
    with pytest.raises(UnknownNameError, match="'audio' alone"):
        predicted().to_dataframe("audio")


def test_a_table_without_pandas_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingLibraryError, match="pip install pandas"):
        predicted().to_dataframe()


def test_a_plot_has_bars_and_curves(tmp_path):
    with pytest.raises(SpecError, match="`count` must be a whole number"):
        predicted().plot(count="2")
    figure = predicted().plot(count=2)
    left, right = figure.axes
    words = {text.get_text() for text in left.texts}
    assert words == {"53.3%", "36.7%", "80.0%", "10.0%"}
    np.testing.assert_array_equal(right.lines[0].get_ydata(), TIMES[:, 0])
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_rounding_error_is_no_second():
    windows = np.array([[0, 1], [1, 2], [2, np.nextafter(3, 4)]])
    assert len(predicted(windows=windows).per_second()) == 3


def test_segments_in_json_are_as_sure_as_was_asked():
    document = predicted().to_json(threshold=0.75)
    assert [
        (x["start"], x["end"], x["label"]) for x in document["segments"]
    ] == [(0, 0.75, "wave_hand"), (1.25, 2, "sit_down")]
    assert predicted().to_json(threshold=0.9)["segments"] == []


def test_two_classes_of_one_name_have_shares_of_their_own():
    console = Console(width=100)
    with console.capture() as printed:
        console.print(report(predicted(classes=("crane", "crane", "b")), 3))
    first, second = [x for x in printed.get().splitlines() if "crane" in x][:2]
    assert first.split()[-2:] == ["80.0%", "10.0%"]
    assert second.split()[-2:] == ["10.0%", "80.0%"]


def test_pictures_tell_the_whole_video_s_own_probabilities():
    whole = np.array([0.2, 0.3, 0.5])  # as multi-view pooling gives them
    story = predicted(probabilities=whole).story()
    np.testing.assert_array_equal(story.whole["fused"], whole)
    np.testing.assert_array_equal(story.whole["flow"], TIMES[-1])


# === Pictures ===


def test_pictures_of_frames_take_the_frames(tmp_path):
    seen = []
    path = predicted().save_video(
        tmp_path / "new" / "a.mp4",
        source=frames(),
        sheet=tmp_path / "a.png",
        progress=lambda done, total: seen.append((done, total)),
    )
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 12
    assert seen[-1] == (12, 12)
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.width == 1600
    alone = predicted().save_sheet(tmp_path / "b.png", source=frames())
    assert alone.read_bytes() == (tmp_path / "a.png").read_bytes()


@pytest.mark.parametrize("name", ["z.mp4", "z.avi", "z.webm", "z"])
def test_no_picture_takes_the_place_of_its_video(tmp_path, monkeypatch, name):
    video = tmp_path / "z.mp4"
    video.write_bytes(b"the only copy")
    made = predicted(source=str(video))
    place = str(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for write in (
        lambda: made.save_video(place),
        lambda: made.save_video("other.mp4", sheet="z.mp4"),
        lambda: made.save_sheet("z.mp4"),
        lambda: predicted().save_video(place, source=video),
    ):
        with pytest.raises(SpecError, match="would be lost"):
            write()
    assert video.read_bytes() == b"the only copy"
    assert [path.name for path in tmp_path.iterdir()] == ["z.mp4"]


def test_pictures_of_frames_between_0_and_1_are_not_black(tmp_path):
    with pytest.raises(SpecError, match=r"frames \* 255"):
        predicted().save_sheet(tmp_path / "a.png", source=frames() / 255)
    assert not (tmp_path / "a.png").exists()


def test_pictures_without_the_frames_say_what_is_missing(tmp_path):
    with pytest.raises(SpecError, match="source="):
        predicted().save_sheet(tmp_path / "a.png")


@pytest.fixture
def words(monkeypatch):
    """Texts on pictures, with their boxes and the picture's size."""
    written = []
    write = ImageDraw.ImageDraw.text

    def spy(draw, at, text, font=None, anchor=None, **options):
        box = draw.textbbox(at, text, font=font, anchor=anchor)
        written.append((text, box, draw.im.size))
        return write(draw, at, text, font=font, anchor=anchor, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", spy)
    return written


def test_a_number_is_the_same_wherever_it_is_shown(tmp_path, words):
    prediction = predicted()
    prediction.save_video(
        tmp_path / "a.mp4", source=frames(2), sheet=tmp_path / "a.png"
    )
    console = Console(width=100)
    with console.capture() as printed:
        console.print(report(prediction, 3))
    drawn = {text for text, _, _ in words}
    document = prediction.to_json()
    for rows, share in (
        (document["top"], prediction.probabilities[0]),
        (document["streams"]["rgb"], prediction.streams["rgb"][0]),
        (document["streams"]["flow"], prediction.streams["flow"][1]),
    ):
        assert rows[0]["probability"] == round(float(share), 4)
        assert percent(share) in drawn
        assert percent(share) in printed.get()
        assert percent(share) in prediction._repr_html_()
    assert re.search(r"0:00\.0 - 0:01\.2  wave hand 75\.0%", printed.get())


def test_nothing_is_cut_off_the_sheet(tmp_path, words):
    names = tuple(
        f"playing_a_very_long_instrument_in_a_large_orchestra_number_{n}"
        for n in range(60)
    )
    timeline = np.random.default_rng(0).dirichlet(np.full(60, 0.02), 40)
    prediction = predicted(
        names, timeline, model="user/a-model-with-a-long-name.of-some-weights"
    )
    prediction.save_sheet(tmp_path / "a.png", source=frames(8), truth=names[7])
    assert len(words) > 50
    for text, (left, top, right, bottom), (width, height) in words:
        assert 0 <= left <= right <= width, text
        assert 0 <= top <= bottom <= height, text
    cut = [text for text, _, _ in words if text.endswith("…")]
    # Only the strip's stretches are too narrow; the legend names them.
    legend = {text for text, _, _ in words}
    winners = {names[i].replace("_", " ") for i in timeline.argmax(axis=1)}
    assert winners <= legend
    assert all(any(w.startswith(t[:-1]) for w in winners) for t in cut)


def test_actions_of_one_video_have_colours_of_their_own():
    timeline = np.eye(40)[[3, 11, 19, 27]]
    story = predicted(tuple(map(str, range(40))), timeline).story()
    colours = {_parts.action_colour(n) for n in story.colours.values()}
    assert len(colours) == 4
    assert isinstance(story, visual.Story)
