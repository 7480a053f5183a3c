"""`live`, with a small network in place of the shipped one."""

import itertools
import json

import av
import numpy as np
import pytest
from click.testing import CliRunner
from small_model import small_model

from keras_twostream import actors, cli, hub
from keras_twostream.cli import _live, _model
from keras_twostream.errors import VideoError
from keras_twostream.scoring import streaming


@pytest.fixture(autouse=True)
def _shipped(monkeypatch):
    model = small_model()
    monkeypatch.setattr(hub, "load", lambda name: model)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return actors.write_clip(folder / "wave.mp4", "wave_hand", size=(64, 80))


def run(*arguments):
    words = ["live", *map(str, arguments), "--model", _model.SHIPPED]
    return CliRunner().invoke(cli.group, words)


def test_each_window_is_a_line_of_json(video, tmp_path):
    drawn = tmp_path / "new" / "live.mp4"
    result = run(video, "--pace", 0, "--hop", 0.5, "--json", "--video", drawn)
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    ends = [line["end"] for line in lines]
    assert len(lines) > 1 and ends == sorted(set(ends))
    assert {"top", "streams", "latency", "ms_per_frame"} <= set(lines[0])
    assert f"{len(lines)} windows" in result.stderr
    words = " ".join(result.stderr.split())
    assert f"{len(lines)} windows" in words and "0 frames dropped" in words
    assert str(drawn) in result.stderr
    with av.open(str(drawn)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert frames == pytest.approx(10 * (ends[-1] - ends[0]), abs=2)


@pytest.mark.parametrize("hop", [0.05, 0.25, 0.64])
def test_the_video_lasts_as_long_as_the_stream(tmp_path, hop):
    picture = np.zeros((720, 1280, 3), np.uint8)
    with _live._written(tmp_path / "live.mp4") as write:
        for second in np.arange(0, 8, hop):
            write(picture, second)
    with av.open(str(tmp_path / "live.mp4")) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert frames == pytest.approx(80, abs=7)


def test_live_stops_when_time_is_up(video):
    whole = run(video, "--pace", 0)
    part = run(video, "--pace", 0.5, "--seconds", 2.5, "--hop", 0.1)
    assert whole.exit_code == part.exit_code == 0, part.output
    assert "ms late" in part.stdout
    reached, last = (
        float(result.stdout.splitlines()[-1].split()[0])
        for result in (part, whole)
    )
    assert reached < 1.5 < last


def test_live_stops_before_the_first_answer_if_time_is_up(video, tmp_path):
    drawn = tmp_path / "live.mp4"
    result = run(video, "--pace", 0.001, "--seconds", 0.2, "--video", drawn)
    assert result.exit_code == 0, result.output
    assert not result.stdout and not drawn.exists()
    assert "no window was full" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "end, status",
    [(KeyboardInterrupt(), 130), (VideoError("Lost it."), 1)],
    ids=["Ctrl-C", "a lost camera"],
)
def test_a_stream_that_is_cut_short_leaves_a_whole_video(
    video, tmp_path, monkeypatch, end, status
):
    streamed = streaming.stream

    def cut_short(*given, **options):
        yield from itertools.islice(streamed(*given, **options), 2)
        raise end

    monkeypatch.setattr(streaming, "stream", cut_short)
    drawn = tmp_path / "live.mp4"
    result = run(video, "--pace", 0, "--hop", 0.5, "--video", drawn)
    assert result.exit_code == status, result.output
    with av.open(str(drawn)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6


def test_a_camera_that_is_not_there_is_one_line(capfd):
    result = run(99, "--seconds", 1)
    assert result.exit_code == 1
    assert "there is no camera 99" in result.stderr
    assert "OpenCV" not in capfd.readouterr().err


def test_a_source_that_is_not_there_is_named():
    result = run("gone.mp4")
    assert result.exit_code == 1
    assert "gone.mp4" in result.stderr


def test_a_window_needs_a_display(video, monkeypatch):
    monkeypatch.setattr(_live.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    result = run(video, "--window")
    assert result.exit_code == 2
    assert "There is no display here" in result.stderr


def test_live_does_not_write_over_the_file_that_it_plays(video):
    before = video.read_bytes()
    for name in ("wave.mp4", "wave.avi"):
        result = run(video, "--video", video.with_name(name))
        assert result.exit_code == 2
        assert "would be lost" in " ".join(result.stderr.split())
    assert video.read_bytes() == before
