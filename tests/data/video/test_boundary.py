"""Whatever one file raises is a `VideoError` that names it, everywhere."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from numbered_videos import numbered_frames, write_video
from small_model import CLASSES, SPEC, small_model

import keras_twostream as kts
from keras_twostream import cli, data, hub
from keras_twostream.data.cache import Contract
from keras_twostream.data.doctor import examine
from keras_twostream.data.extraction import extract
from keras_twostream.data.video.boundary import one_file
from keras_twostream.data.video.opening import Film
from keras_twostream.errors import SpecError, VideoError

RAISED = {
    "memory": MemoryError(),
    "attribute": AttributeError("'NoneType' object has no attribute 'x'"),
    "library": RuntimeError("the decoder is out of order"),
    "key": KeyError("stream"),
}


def test_an_error_gets_the_name_of_the_file():
    with pytest.raises(VideoError, match=r"Cannot read a\.mp4: KeyError: 'x'"):
        with one_file("a.mp4"):
            raise KeyError("x")
    with pytest.raises(VideoError, match=r"a\.mp4: there is not enough mem"):
        with one_file("a.mp4"):
            raise MemoryError
    with pytest.raises(VideoError, match=r"a\.mp4: No space left"):
        with one_file("a.mp4"):
            raise OSError(28, "No space left on device")


def test_our_own_errors_and_the_end_of_the_program_pass():
    with pytest.raises(SpecError, match="^as it is$"):
        with one_file("a.mp4"):
            raise SpecError("as it is")
    with pytest.raises(KeyboardInterrupt):
        with one_file("a.mp4"):
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "good.mp4"
    return write_video(path, numbered_frames(20, 48, 64), g="5")


@pytest.fixture
def videos(good, tmp_path):
    """A class folder each with a video that is fine and one that is not."""
    content = good.read_bytes()
    for name in CLASSES:
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "good.mp4").write_bytes(content)
        unknown = content.replace(b"avc1", b"zzz1").replace(b"avcC", b"zzzC")
        (tmp_path / "set" / name / "bad.mp4").write_bytes(unknown)
    return tmp_path / "set"


@pytest.fixture(params=["codec", *RAISED])
def bad(request, videos, monkeypatch):
    """The folder, with files of a codec that is not known, or a decoder that
    raises as soon as it is asked for a frame of one of them."""
    if request.param != "codec":
        for path in videos.rglob("bad.mp4"):
            # Told from its neighbour, which is the very same file.
            path.write_bytes((path.parent / "good.mp4").read_bytes())

        original = Film.frames

        def raising(film):
            if film.path.endswith("bad.mp4"):
                raise RAISED[request.param]
            yield from original(film)

        monkeypatch.setattr(Film, "frames", raising)
    return videos


def names(reasons):
    return sorted({str(path).rsplit("/", 1)[1] for path in reasons})


@pytest.fixture
def annotations(bad):
    return data.read_annotations(bad)


def test_readers_name_the_bad_file(bad):
    path = bad / CLASSES[0] / "bad.mp4"
    for read in (
        data.read_frames,
        data.probe,
        lambda path: list(data.iter_frames(path)),
        lambda path: data.clips(path, SPEC),
    ):
        with pytest.raises(VideoError, match=r"bad\.mp4"):
            read(path)


@pytest.mark.filterwarnings("ignore:Set aside")
def test_training_and_testing_leave_the_bad_files_out(annotations):
    for training in (True, False):
        dataset = data.video_dataset(
            annotations, SPEC, 2, training=training, drop_remainder=False
        )
        for batch, _ in dataset:
            assert np.isfinite(batch["rgb"]).all()
        assert names(dataset.skipped) == ["bad.mp4"]
        assert len(dataset.skipped) == len(CLASSES)


def test_evaluation_leaves_the_bad_files_out(annotations):
    items = list(zip(annotations.paths, annotations.labels, strict=True))
    evaluator = kts.training.VideoEvaluator(
        items, num_clips=1, crops="centre", workers=1
    )
    evaluator(small_model())
    assert names(evaluator.skipped) == ["bad.mp4"]
    assert len(evaluator.skipped) == len(CLASSES)


def test_the_doctor_reports_the_bad_files(bad):
    report = examine(bad)
    assert (report.facts["videos"], report.facts["readable"]) == (6, 3)
    problem = [f for f in report.findings if f.problem and "bad.mp4" in f.text]
    assert len(problem) == 3


def test_extraction_leaves_the_bad_files_out(bad, tmp_path):
    summary = extract(bad, tmp_path / "cache", Contract.of(SPEC), workers=1)
    assert len(summary.done) == 3
    assert names(summary.failed) == ["bad.mp4"]
    assert all("bad.mp4" in reason for reason in summary.failed.values())


def test_prediction_names_the_bad_file_and_goes_on(bad):
    model = small_model()
    with pytest.raises(VideoError, match=r"bad\.mp4"):
        kts.predict(bad / CLASSES[0] / "bad.mp4", model)
    kts.predict(bad / CLASSES[0] / "good.mp4", model)


COMMANDS = {
    "predict": [
        *["predict", "SET", "--no-video", "--json"],
        *["--model", "spatiotemporal_resnet.actors"],
    ],
    "evaluate": ["evaluate", "c3d", "--data", "SET", "--clips", "1", "--json"],
    "features": [
        *["features", "c3d", "--data", "SET", "--tap", "rgb.pool"],
        *["--clips", "1", "--out", "OUT", "--json"],
    ],
    "extract": ["extract", "SET", "OUT", "--workers", "1", "--json"],
    "doctor": ["doctor", "SET", "--json"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_name_the_file_and_go_on(
    command, videos, tmp_path, monkeypatch
):
    monkeypatch.setattr(hub, "load", lambda name: small_model())
    places = {"SET": str(videos), "OUT": str(tmp_path / "out")}
    arguments = [places.get(word, word) for word in COMMANDS[command]]
    result = CliRunner().invoke(cli.group, arguments)
    assert result.exit_code == 1, result.output
    document = json.loads(result.stdout)
    text = json.dumps(document)
    assert "codec zzz1 is not in this FFmpeg" in text
    for name in CLASSES:
        assert str(videos / name / "bad.mp4") in text
