"""The work behind the web page, without a page."""

import functools
import threading
import time
import types

import pytest
from small_model import small_model

import keras_twostream as kts
from keras_twostream import actors, hub, web
from keras_twostream.errors import (
    SpecError,
    UnknownNameError,
    UntrainedHeadError,
    VideoError,
    WeightsError,
)
from keras_twostream.web import desk as work
from keras_twostream.web import page

SHIPPED = "spatiotemporal_resnet.actors"


@pytest.fixture(scope="module", autouse=True)
def _loaded_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "load", functools.cache(hub.load))
        yield


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("web") / "an_actor.mp4"
    actors.write_clip(path, "wave_hand", seed=3, split="test")
    return path


def desk(folder, **limits):
    return web.Desk([SHIPPED], folder, web.Limits(**limits))


def test_a_desk_answers_as_predict_does(video, tmp_path):
    parts = []
    output = desk(tmp_path).answer(
        str(video), SHIPPED, lambda done, total: parts.append(done / total)
    )
    expected = kts.predict(video, SHIPPED)
    label, score = expected.top(1)[0]
    assert output.title == f"{label.replace('_', ' ')}, {score:.0%}"
    assert set(output.scores) == {"fused", *expected.streams}
    names = [name.replace("_", " ") for name, _ in expected.top(5)]
    assert list(output.scores["fused"]) == names
    assert output.scores["fused"][names[0]] == pytest.approx(score, abs=1e-6)
    assert output.video.is_file() and output.sheet.is_file()
    assert parts[-1] == pytest.approx(1)
    starts = [row[1] for row in output.rows]
    assert starts == sorted(starts) and len(starts) == len(expected.segments())


def test_of_classes_of_one_name_the_page_shows_the_best():
    """ImageNet has two cranes."""
    ranked = [("crane", 0.6), ("run_fast", 0.3), ("crane", 0.1)]
    assert work._by_name(ranked) == {"crane": 0.6, "run fast": 0.3}


def test_a_desk_shows_where_each_stream_looks(video, tmp_path):
    why = desk(tmp_path).reasons(str(video), SHIPPED, lambda *_: None)
    expected = kts.explain(video, SHIPPED)
    assert why.title.startswith(f"Why {expected.label.replace('_', ' ')}?")
    for name, stream in (("frames", "rgb"), ("motion", "flow")):
        share = expected.contributions[stream]
        assert f"{name} {share:+.2f}" in why.title
    assert why.sheet.is_file() and why.video.is_file()


def test_answers_of_one_file_do_not_overwrite_each_other(video, tmp_path):
    room = desk(tmp_path)
    one, two = (
        room.answer(str(video), SHIPPED, lambda *_: None) for _ in range(2)
    )
    assert one.video != two.video and one.video.is_file()


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"megabytes": 0.001}, "MB, and the page takes at most 0.001"),
        ({"seconds": 0.5}, "s, and the page takes at most 0.5"),
    ],
)
def test_a_large_video_is_refused(video, tmp_path, limits, words):
    with pytest.raises(VideoError, match=words):
        desk(tmp_path, **limits).answer(str(video), SHIPPED, lambda *_: None)


def test_no_video_is_a_message(tmp_path):
    with pytest.raises(SpecError, match="Choose a video"):
        desk(tmp_path).answer(None, SHIPPED, lambda *_: None)


def test_a_visitor_names_no_model_but_those_of_the_page(video, tmp_path):
    with pytest.raises(UnknownNameError, match="Choose one of its list"):
        desk(tmp_path).answer(str(video), "local:/etc", lambda *_: None)


def test_a_page_has_a_model(tmp_path):
    with pytest.raises(SpecError, match="at least one model"):
        web.Desk([], tmp_path)


def test_no_model_is_named_in_vain(tmp_path):
    names = ["spatiotemporal_resnet.actors", "local:nowhere"]
    with pytest.raises(WeightsError, match="no folder nowhere"):
        web.Desk(names, tmp_path)


def test_a_random_classifier_is_refused_before_any_video(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "load", lambda name: small_model(trained=False))
    with pytest.raises(UntrainedHeadError):
        desk(tmp_path).model(SHIPPED)


def test_one_video_is_worked_on_at_a_time(video, tmp_path, monkeypatch):
    at_work, most = [], []

    def answer(*_):
        at_work.append(1)
        time.sleep(0.1)
        most.append(len(at_work))
        at_work.pop()

    monkeypatch.setattr(hub, "load", lambda name: small_model())
    monkeypatch.setattr(work, "_actions", answer)
    ask = (str(video), SHIPPED, lambda *_: None)
    shared = desk(tmp_path)
    threads = [
        threading.Thread(target=shared.answer, args=ask) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]


def test_an_error_names_the_upload_without_its_folder(tmp_path):
    class Shown(Exception):
        def __init__(self, words, print_exception):
            super().__init__(words)

    gradio = types.SimpleNamespace(
        Error=Shown, Progress=lambda: lambda *_, **__: None
    )
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    answer = page._answering(gradio, desk(tmp_path).answer)
    with pytest.raises(Shown, match="broken.mp4") as shown:
        answer(str(broken), SHIPPED)
    assert str(tmp_path) not in str(shown.value)
