"""`explain`, with a small network in place of a loaded one."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_model import small_model

from keras_twostream import actors, cli, hub, pretrained
from keras_twostream.cli import _explain
from keras_twostream.explaining import METHODS
from keras_twostream.pretrained import _default_weights


@pytest.fixture
def video(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "load", lambda name, **_: small_model())
    return str(
        actors.write_clip(tmp_path / "a.mp4", "wave_hand", size=(64, 80))
    )


def run(*arguments):
    named = ["--model", "spatiotemporal_resnet.actors"]
    return CliRunner().invoke(cli.group, ["explain", *named, *arguments])


def test_explain_writes_a_video_a_sheet_and_json(video, tmp_path):
    out = tmp_path / "out"
    done = run(video, "--label", "drink", "--out", str(out), "--json")
    assert done.exit_code == 0, done.output
    (file,) = json.loads(done.stdout)["files"]
    assert file["label"] == "drink"
    assert all(Path(file[kind]).is_file() for kind in ("sheet", "video"))
    written = json.loads(Path(file["json"]).read_text())
    assert written["contributions"] == file["contributions"]


def test_a_broken_file_is_named_and_the_rest_go_on(video, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    out = ("--out", str(tmp_path / "out"), "--no-video", "--json")
    done = run(str(broken), video, *out)
    assert done.exit_code == 1, done.output
    document = json.loads(done.stdout)
    assert [x["source"] for x in document["failed"]] == [str(broken)]
    assert [x["source"] for x in document["files"]] == [video]


def test_an_unknown_action_is_named(video, tmp_path):
    refused = run(video, "--label", "drnk", "--out", str(tmp_path))
    assert refused.exit_code == 2
    assert "has no action 'drnk'. Did you mean drink" in refused.stderr


def test_without_a_name_it_explains_what_predict_answers(
    video, tmp_path, monkeypatch
):
    spec = pretrained.weight_spec("spatiotemporal_resnet.actors")
    agreed = []

    def agree(*, yes):
        agreed.append(yes)
        return spec

    monkeypatch.setattr(_default_weights, "agreed_weights", agree)
    arguments = ["explain", video, "--yes", "--no-video", "--json"]
    arguments += ["--out", str(tmp_path)]
    done = CliRunner().invoke(cli.group, arguments)
    assert done.exit_code == 0, done.output
    assert agreed == [True]
    assert json.loads(done.stdout)["model"] == spec.name


def test_the_methods_are_those_of_the_library():
    assert _explain.METHODS == METHODS


def test_explain_writes_over_no_video_that_it_reads(video, tmp_path):
    other = actors.write_clip(tmp_path / "a.why.mp4", "jump", size=(64, 80))
    before = other.read_bytes()
    done = run(video, str(other), "--out", str(tmp_path))
    assert done.exit_code == 2
    assert "would be lost" in " ".join(done.stderr.split())
    assert other.read_bytes() == before
