"""Runs that cannot go on are refused before anything is loaded."""

import json
import subprocess
import sys

import click
import pytest

from keras_twostream import _files
from keras_twostream.cli import _train_resume
from keras_twostream.cli._train import train_command

BEGUN = {
    "model": "two_stream",
    "data": "videos",
    "seed": 0,
    "epochs": 5,
    "batch_size": 8,
    "option": {"depth": 18, "dropout": "none"},
}


@pytest.fixture
def out(tmp_path):
    """A run that was begun with `BEGUN`."""
    _files.write_toml(tmp_path / "config.toml", {"train": BEGUN})
    (tmp_path / "checkpoint.npz").touch()
    return tmp_path


def flags(out, **changes):
    """The parameters that gave `BEGUN`, changed."""
    result = {p.name: None for p in train_command.params}
    result |= {**BEGUN, "option": {"depth": 18, "dropout": None}}
    return {**result, "out": out, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seed": None},
        {"epochs": 9},
        {"data": "elsewhere/videos"},
        {"workers": 7},
        {"model": "a/folder/two_stream"},
    ],
)
def test_free_settings_may_change_within_a_run(out, changes):
    _train_resume.refuse(flags(out, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "begun with no --seed, and now there is --seed 1"),
        ({"batch_size": None}, "begun with --batch-size 8, and now .* no --b"),
        ({"changes": {"learning_rate": 1}}, "no --set, .* --set learning_rate"),
        ({"option": {"depth": 34}}, "--option depth=18 .*--option depth=34"),
        ({"model": "c3d"}, "begun with --model two_stream"),
        ({"model": "a/folder/of/weights"}, "there is --model a/folder/of/wei"),
        ({"model": "hf://user/two_stream"}, "there is --model hf://user/two"),
    ],
)
def test_what_a_run_keeps_until_its_end(out, changes, message):
    with pytest.raises(click.UsageError, match=message):
        _train_resume.refuse(flags(out, **changes))


def test_each_stage_is_looked_at(tmp_path):
    stage = tmp_path / "stage1"
    stage.mkdir()
    (stage / "checkpoint.npz").touch()
    _files.write_toml(stage / "config.toml", {"train": BEGUN})
    _train_resume.refuse(flags(tmp_path))
    with pytest.raises(click.UsageError, match="stage1"):
        _train_resume.refuse(flags(tmp_path, seed=3))


def test_a_damaged_config_is_named(out):
    (out / "config.toml").write_text("= 3")
    with pytest.raises(click.UsageError, match=r"config\.toml is damaged"):
        _train_resume.refuse(flags(out))


def complete(out, **metrics):
    for name in ("model/config.json", "evaluation/metrics.json"):
        _files.write_json(out / name, {})
    _files.write_json(out / "metrics.json", metrics)


@pytest.mark.parametrize("text", ["[]", "{", '{"planned": [1]}', "2"])
def test_a_complete_run_whose_numbers_are_damaged_is_still_complete(out, text):
    (out / "model").mkdir()
    (out / "model" / "config.json").touch()
    (out / "metrics.json").write_text(text)
    with pytest.raises(click.UsageError, match="is complete"):
        _train_resume.refuse_complete(out, None)
    _train_resume.refuse_complete(out, 9)


@pytest.mark.parametrize("epochs", [None, 4, 5])
def test_a_complete_run_is_refused_unless_longer(out, epochs):
    complete(out, epochs=3, planned=5)
    with pytest.raises(click.UsageError, match="--epochs above its 5"):
        _train_resume.refuse(flags(out, epochs=epochs))
    _train_resume.refuse(flags(out, epochs=6))


REFUSED = """
import sys
from keras_twostream.cli import group
try:
    group({arguments!r}, standalone_mode=False)
except Exception as error:
    print(error)
heavy = {{"keras", "tensorflow", "jax", "torch", "cv2", "av"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def test_nothing_is_imported_to_refuse(out):
    _files.write_json(out / "metrics.json", {})
    (out / "videos").mkdir()
    arguments = ["train", "--data", "videos", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", REFUSED.format(arguments=arguments)],
        cwd=out,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "was begun with --model two_stream" in done.stdout
    assert json.loads((out / "metrics.json").read_text()) == {}
