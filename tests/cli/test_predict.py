"""`predict` and `demo`, with a small network in place of the shipped one."""

import http.server
import json
import shutil
import threading
import types
from pathlib import Path

import av
import pytest
from click.testing import CliRunner
from small_model import CLASSES, small_model

from keras_twostream import actors, cli, data, hub, inspection
from keras_twostream.cli import _demo, _files, _job, _model
from keras_twostream.data.source import Part
from keras_twostream.errors import VideoError
from keras_twostream.prediction import Prediction
from keras_twostream.scoring import predicting


@pytest.fixture(scope="module")
def model():
    model = small_model()
    inspection.update_card(
        model, weights="small.tested", data_terms="synthetic, our own"
    )
    return model


@pytest.fixture(autouse=True)
def _shipped(model, monkeypatch):
    monkeypatch.setattr(hub, "load", lambda name: model)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return actors.write_clip(folder / "wave.mp4", "wave_hand", size=(64, 80))


def run(command, *arguments):
    words = [command, *map(str, arguments)]
    if command == "predict":
        words += ["--model", "spatiotemporal_resnet.actors"]
    return CliRunner().invoke(cli.group, words)


def test_the_answer_is_printed_with_both_pictures(video, tmp_path):
    result = run("predict", video, "--out", tmp_path / "new", "--top", 2)
    assert result.exit_code == 0, result.output
    assert sum(name.replace("_", " ") in result.stdout for name in CLASSES) == 2
    assert "frames head" in result.stdout
    assert "small.tested" in result.stdout
    written = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert written == ["wave.annotated.mp4", "wave.sheet.png"]
    with av.open(str(tmp_path / "new" / "wave.annotated.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_predict_says_what_the_model_knows_and_has_seen(video, tmp_path):
    out = tmp_path / "out"
    result = run("predict", video, "--no-video", "--out", out)
    assert not out.exists()
    words = " ".join(result.stderr.split())
    assert "small.tested knows 3 actions: wave hand, sit down" in words
    assert "have seen only synthetic videos" in words


def test_a_folder_that_cannot_be_written_is_refused_at_once(video, tmp_path):
    (tmp_path / "file").touch()
    result = run("predict", video, "--out", tmp_path / "file" / "new")
    assert result.exit_code == 2
    words = " ".join(result.stderr.split())
    assert "Choose another folder with --out" in words and "--no-video" in words
    assert "knows 3 actions" not in words
    assert run("predict", video, "--no-video").exit_code == 0


def test_the_home_folder_may_be_a_tilde(video, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(video.parent))
    result = run("predict", f"~/{video.name}", "--out", "~/pictures")
    assert result.exit_code == 0, result.output
    assert (video.parent / "pictures" / "wave.sheet.png").exists()


def test_json_is_one_document_and_nothing_else(video, tmp_path):
    result = run("predict", video, "--json", "--out", tmp_path, "--top", 1)
    document = json.loads(result.stdout)
    assert document["classes"] == list(CLASSES)
    assert document["synthetic"] is True
    (entry,) = document["files"]
    assert entry["source"] == str(video)
    assert len(entry["top"]) == 1
    assert set(entry["streams"]) == {"rgb", "flow"}
    assert entry["video"] == str(tmp_path / "wave.annotated.mp4")


def test_segments_are_a_list_that_trains(video, tmp_path):
    table = tmp_path / "new" / "segments.csv"
    result = run(
        "predict", video, "--no-video", "--json",
        "--threshold", 0, "--csv", table,
    )  # fmt: skip
    (entry,) = json.loads(result.stdout)["files"]
    assert entry["segments"], result.output
    annotations = data.read_annotations(table)
    assert [annotations.classes[label] for label in annotations.labels] == [
        segment["label"] for segment in entry["segments"]
    ]
    part = Part.of(annotations.paths[0])
    first = entry["segments"][0]
    assert (part.path, part.start, part.end) == (
        str(video),
        first["start"],
        first["end"],
    )


def test_windows_come_as_often_as_asked(video):
    counts = []
    for hop in (0.1, 1.0):
        flags = ("--no-video", "--json", "--hop", hop)
        (entry,) = json.loads(run("predict", video, *flags).stdout)["files"]
        counts.append(len(entry["windows"]))
    assert counts[0] > 2 * counts[1]


def test_without_a_segment_the_list_has_its_columns(video, tmp_path):
    table = tmp_path / "segments.csv"
    result = run(
        "predict", video, "--no-video", "--threshold", 1, "--csv", table
    )
    assert "No action reaches 100.0% in any window" in result.stdout
    assert table.read_text() == "path,start,end,label,score\n"


def test_a_broken_file_is_named_and_the_rest_go_on(video, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    result = run("predict", broken, video, "--no-video", "--json")
    assert result.exit_code == 1
    assert f"Cannot read {broken}" in result.stderr
    document = json.loads(result.stdout)
    assert [entry["source"] for entry in document["files"]] == [str(video)]
    (failure,) = document["failed"]
    assert failure["source"] == str(broken)
    assert "not a video file" in failure["reason"]


def test_an_error_nobody_foresaw_stops_one_file_only(video, monkeypatch):

    def fail(*arguments, **options):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(predicting, "answer", fail)
    result = run("predict", video, "--no-video")
    assert result.exit_code == 1
    assert "ZeroDivisionError: by zero" in result.stderr


def test_an_answer_outlives_a_picture_that_fails(video, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError("no space left")

    monkeypatch.setattr(Prediction, "save_video", fail)
    result = run("predict", video, "--out", tmp_path, "--json")
    assert result.exit_code == 1
    assert f"Cannot draw {video}: OSError: no space left" in result.stderr
    document = json.loads(result.stdout)
    assert document["files"][0]["top"] and len(document["failed"]) == 1
    demo = run("demo", "--out", tmp_path)
    assert demo.exit_code == 1 and "The same again" in demo.stdout


def test_a_tilde_that_is_no_user_s_is_a_name(video, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(video, "~draft.mp4")
    result = run("predict", "~draft.mp4", "--no-video", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["files"][0]["source"] == "~draft.mp4"


def test_an_untrained_head_is_refused_at_once(video, monkeypatch):
    untrained = small_model(trained=False)
    monkeypatch.setattr(hub, "load", lambda name: untrained)
    result = run("predict", video, "--no-video")
    assert result.exit_code == 2
    assert "is random" in result.stderr


def test_the_flow_algorithm_is_the_one_asked_for(video):
    result = run(
        "predict", video, "--no-video", "--json", "--flow", "farneback"
    )
    assert json.loads(result.stdout)["flow"] == "farneback"


def test_files_are_predicted_with_the_flow_of_the_clip(monkeypatch):
    spec = types.SimpleNamespace(flow_algorithm="farneback")
    loaded = types.SimpleNamespace(model="net", spec=spec)
    asked = {}

    def stop(model, flow):
        asked.update(model=model, flow=flow)
        raise VideoError("seen enough")

    monkeypatch.setattr(_job.predicting, "ready", stop)
    with pytest.raises(VideoError, match="seen enough"):
        _job.run(loaded, Path("a.mp4"), None)
    assert asked == {"model": "net", "flow": "farneback"}


# === Files ===


def test_folders_stand_for_the_videos_in_them(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in (
        "b.MP4",
        "deep/a.avi",
        "note.txt",
        "b.annotated.mp4",
        "._b.mp4",
    ):
        (tmp_path / name).write_text("something")
    files, empty = _files.expand([tmp_path, tmp_path / "b.MP4"])
    assert [file.name for file in files] == ["b.MP4", "a.avi"]
    assert empty == {}


def test_what_is_missing_in_a_list_is_named_and_the_rest_is_there(tmp_path):
    (tmp_path / "a.mp4").write_text("something")
    (tmp_path / "list.txt").write_text("gone.mp4\na.mp4\n")
    files, missing = _files.expand([tmp_path / "list.txt"])
    assert [file.name for file in files] == ["a.mp4"]
    assert list(missing) == [str(tmp_path / "gone.mp4")]


def test_a_list_that_names_itself_ends(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"film")
    (tmp_path / "inner.txt").write_text("outer.txt\na.mp4\n")
    outer = tmp_path / "outer.txt"
    outer.write_text("inner.txt\n")
    files, empty = _files.expand([outer])
    assert files == [tmp_path / "a.mp4"]
    assert empty == {
        str(outer): f"The list {outer} names itself. Delete that line."
    }


def test_a_part_of_a_video_is_refused_with_advice(model, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"film")
    part = f"{tmp_path / 'a.mp4'}#t=1,2.5"
    files, refused = _files.expand([part])
    assert not files and "-ss 1 -to 2.5" in refused[part]
    with pytest.raises(VideoError, match="whole videos are read here"):
        predicting.predict(part, model)


def test_a_folder_without_videos_fails(tmp_path):
    result = run("predict", tmp_path, "--no-video")
    assert result.exit_code == 1
    assert f"No video in the folder {tmp_path}" in result.stderr


@pytest.mark.parametrize("command", ["predict", "detect", "live"])
def test_a_file_that_is_not_there_is_known_before_any_weights(
    tmp_path, monkeypatch, command
):
    def load(*arguments):
        raise AssertionError("weights were fetched")

    monkeypatch.setattr(_model, "load", load)
    gone = tmp_path / "gone.mp4"
    result = CliRunner().invoke(cli.group, [command, str(gone)])
    assert result.exit_code == 1
    assert f"Cannot read {gone}: No such file" in result.stderr


@pytest.fixture
def site(video):
    """The address of the folder of the video, on a server of this machine."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(video.parent))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_addresses_and_lists_are_answered_as_files(video, site, tmp_path):
    listed = tmp_path / "list.txt"
    address = f"{site}/wave.mp4?key=secret"
    listed.write_text(f"# two of three are there\n{video}\n{address}\n")
    gone = f"{site}/gone.mp4?key=secret"
    result = run("predict", listed, gone, "--no-video", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    one, two = document["files"]
    assert (one["source"], two["source"]) == (str(video), f"{site}/wave.mp4")
    assert one["top"] == two["top"]
    (failed,) = document["failed"]
    assert failed["source"] == f"{site}/gone.mp4"
    assert "not found" in failed["reason"]
    assert "secret" not in result.output


def test_python_takes_an_address_too(video, site, model):
    one, two = predicting.predict([video, f"{site}/wave.mp4"], model)
    assert one.top(1) == two.top(1)
    assert Path(two.source).name == "wave.mp4"


def test_files_of_one_name_get_pictures_of_their_own(tmp_path):
    paths = [tmp_path / "x" / "a.mp4", tmp_path / "a.avi", tmp_path / "b.avi"]
    assert _files.stems(paths) == ["a", "a-2", "b"]


# === Demo ===


@pytest.fixture
def demo(tmp_path):
    # Its own folder, so that what it writes can be counted.
    return lambda *extra: run("demo", "--out", tmp_path / "d", *extra)


def test_demo_does_the_whole_job(demo, tmp_path):
    result = demo("--seed", 3)
    assert result.exit_code == 0, result.output
    assert "truth:" in result.stdout
    for part in ("render", "import", "decode", "flow", "network", "drawing"):
        assert f"{part} " in result.stdout
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == [
        "actor_3.annotated.mp4",
        "actor_3.mp4",
        "actor_3.sheet.png",
    ]


def test_demo_draws_the_same_file_by_seed(tmp_path):
    drawn = [_demo._render(tmp_path / where, 5) for where in "ab"]
    (first, action), (second, again) = drawn
    assert action == again
    assert first.read_bytes() == second.read_bytes()
    other, _ = _demo._render(tmp_path / "a", 6)
    assert other.read_bytes() != first.read_bytes()


def test_demo_draws_another_actor_when_no_seed_is_given(demo, monkeypatch):
    monkeypatch.setattr(_demo.secrets, "randbelow", lambda _: 11)
    document = json.loads(demo("--json").stdout)
    assert document["seed"] == 11
    assert document["truth"] in actors.CLASSES
    assert len(document["top"]) == 3


def test_the_videos_of_a_first_run_are_passed_over_in_a_second(
    video, tmp_path, monkeypatch
):
    """A shell gives both for *.mp4."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(video, "wave.mp4")
    names = ["wave.mp4"]
    for _ in range(2):
        result = run("predict", *names, "--json")
        assert result.exit_code == 0, result.stderr
        (answer,) = json.loads(result.stdout)["files"]
        assert answer["source"] == "wave.mp4"
        names = sorted(path.name for path in tmp_path.glob("*.[mw]*"))
        assert len(names) == 2
    words = " ".join(result.stderr.split())
    assert f"drawn of the others: 1 video, such as {names[0]}." in words
    alone = _files.expand([names[0]])
    assert alone == ([Path(names[0])], {})


@pytest.mark.parametrize(
    "name, flags",
    [
        ("wave.json", ("--no-video", "--resume")),
        ("list.txt", ("--no-video", "--csv", "list.txt")),
    ],
)
def test_predict_writes_over_no_file_that_it_reads(
    video, tmp_path, monkeypatch, name, flags
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(video, "wave.mp4")
    listed = {"items": [{"path": "wave.mp4", "label": 0}]}
    text = json.dumps(listed) if "json" in name else "wave.mp4"
    Path(name).write_text(text)
    before = Path(name).read_bytes()
    result = run("predict", "wave.mp4", name, *flags)
    assert result.exit_code == 2
    assert "would be lost" in " ".join(result.stderr.split())
    assert Path(name).read_bytes() == before
    assert not Path("wave.sheet.png").exists()
