"""`predict` over many videos: answers that are kept, and a cluster."""

import json
import os
import sys

import pytest
from click.testing import CliRunner
from cluster import Cluster
from small_model import small_model

from keras_twostream import actors, cli, hub, inspection
from keras_twostream.cli import _job, _predict_run

NAME = "spatiotemporal_resnet.actors"


@pytest.fixture(scope="module")
def model():
    model = small_model()
    inspection.update_card(model, weights="small.tested")
    return model


@pytest.fixture(autouse=True)
def _shipped(model, monkeypatch):
    _predict_run._loaded.cache_clear()
    monkeypatch.setattr(hub, "load", lambda name: model)
    yield
    _predict_run._loaded.cache_clear()


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for seed in range(3):
        path = folder / f"{seed}.mp4"
        actors.write_clip(path, "wave_hand", seed, size=(64, 80))
    return folder


@pytest.fixture
def cluster(monkeypatch):
    cluster = Cluster(dies="1.mp4")
    monkeypatch.setitem(sys.modules, "ray", cluster)
    return cluster


def run(videos, out, *flags):
    words = ["predict", videos, "--model", NAME, "--no-video", "--out", out]
    return CliRunner().invoke(cli.group, [str(w) for w in [*words, *flags]])


def documents(result):
    """The answers of a run by video, without what a clock says."""
    found = json.loads(result.stdout)["files"]
    return {f["source"]: {**f, "seconds": None} for f in found}


def test_a_cluster_gives_the_same_answers(videos, tmp_path, cluster):
    here = documents(run(videos, tmp_path / "here", "--json"))
    assert len(here) == 3 and not (tmp_path / "here").exists()
    flags = [videos, tmp_path / "there", "--json", "--on", "ray"]
    first = run(*flags)
    assert first.exit_code == 1
    (failed,) = json.loads(first.stdout)["failed"]
    assert failed["source"] == str(videos / "1.mp4")
    assert "out of memory" in failed["reason"]
    cluster.dies, cluster.answered = "nothing", []
    again = run(*flags)
    assert again.exit_code == 0
    assert [job[0] for job in cluster.answered] == [str(videos / "1.mp4")]
    assert documents(again) == here
    assert list(documents(again)) == list(here)


def test_each_answer_of_a_cluster_is_a_line(videos, tmp_path, cluster):
    result = run(videos, tmp_path, "--on", "ray")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert sorted(line.split(":")[0] for line in lines) == [
        str(videos / "0.mp4"),
        str(videos / "2.mp4"),
    ]
    assert all(line.endswith("%") for line in lines)


def test_a_cluster_needs_ray(videos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(hub, "load", pytest.fail)
    found = run(videos, tmp_path, "--on", "ray")
    assert found.exit_code == 2 and "keras-twostream[ray]" in found.stderr


@pytest.fixture
def predicted(monkeypatch):
    """The videos that were predicted, as they come."""
    job, names = _job.run, []

    def watch(loaded, video, *arguments, **options):
        names.append(video.name)
        return job(loaded, video, *arguments, **options)

    monkeypatch.setattr(_job, "run", watch)
    return names


def test_a_run_goes_on_where_it_ended(videos, tmp_path, predicted):
    assert run(videos / "0.mp4", tmp_path, "--resume").exit_code == 0
    result = run(videos, tmp_path, "--resume", "--json")
    assert predicted == ["0.mp4", "1.mp4", "2.mp4"]
    assert len(documents(result)) == 3


@pytest.mark.parametrize(
    "flags", [("--anew",), ("--resume", "--flow", "farneback")]
)
def test_answers_to_another_question_do_not_hold(
    videos, tmp_path, predicted, flags
):
    video = videos / "0.mp4"
    run(video, tmp_path, "--resume")
    run(video, tmp_path, *flags)
    assert predicted == ["0.mp4"] * 2


def test_answers_in_other_names_of_classes_do_not_hold(
    videos, tmp_path, predicted, monkeypatch
):
    run(videos / "0.mp4", tmp_path, "--resume")
    renamed = small_model()
    inspection.update_card(renamed, classes=["hello", "rest", "sip"])
    monkeypatch.setattr(hub, "load", lambda name: renamed)
    result = run(videos / "0.mp4", tmp_path, "--resume", "--json")
    assert predicted == ["0.mp4"] * 2
    (answer,) = documents(result).values()
    assert {x["action"] for x in answer["top"]} == {"hello", "rest", "sip"}


@pytest.mark.parametrize("seconds", [1, -3600])
def test_an_answer_to_another_video_of_its_name_does_not_hold(
    tmp_path, predicted, seconds
):
    video = actors.write_clip(tmp_path / "a.mp4", "wave_hand", size=(64, 80))
    for _ in range(2):
        run(video, tmp_path, "--resume")
    assert predicted == ["a.mp4"]
    answered = (tmp_path / "a.json").stat().st_mtime
    os.utime(video, (answered + seconds, answered + seconds))
    run(video, tmp_path, "--resume")
    (tmp_path / "a.json").write_text("[")
    run(video, tmp_path, "--resume")
    assert predicted == ["a.mp4"] * 3


def test_no_answer_is_kept_in_place_of_another_file(
    videos, tmp_path, predicted
):
    labels = tmp_path / "0.json"
    labels.write_text('{"labels": [1, 2]}')
    result = run(videos / "0.mp4", tmp_path, "--resume")
    assert result.exit_code == 2 and not predicted
    assert "is no answer that `predict` kept" in " ".join(result.stderr.split())
    assert "labels" in labels.read_text()


def test_an_answer_without_its_pictures_does_not_hold(
    videos, tmp_path, predicted
):
    video = videos / "0.mp4"
    words = ["predict", str(video), "--model", NAME, "--resume"]
    words += ["--out", str(tmp_path)]
    for _ in range(2):
        assert CliRunner().invoke(cli.group, words).exit_code == 0
    assert predicted == ["0.mp4"]
    (tmp_path / "0.sheet.png").unlink()
    CliRunner().invoke(cli.group, words)
    assert predicted == ["0.mp4"] * 2
