"""The settings that `train` makes of its flags, before it trains."""

import logging
import tomllib

import click
import pytest
from click import UsageError
from click.testing import CliRunner

from keras_twostream import _files, hub, training
from keras_twostream.cli import (
    _settings,
    _train_checks,
    _train_resume,
    _train_run,
)
from keras_twostream.cli._settings import _as_flag, assignments
from keras_twostream.cli._train import train_command
from keras_twostream.cli._train_setup import build_model, without_advice
from keras_twostream.training._lists import Lists
from keras_twostream.training._schedules import learning_rate

FLAGS = {
    "recipe": "finetune",
    "epochs": None,
    "batch_size": None,
    "changes": {},
    "inputs": {},
}


def _recipe(**flags):
    return _train_checks._recipe({**FLAGS, **flags})


def test_epochs_stretch_a_schedule_that_counts_in_them():
    recipe = _recipe(recipe="spatiotemporal_resnet", epochs=60, batch_size=8)
    assert recipe.batch_size == 8
    assert learning_rate(recipe, 60 * 10).at == [225, 450]


def test_every_entry_that_is_set_counts():
    recipe = _recipe(
        changes={
            "schedule.warmup": 0.3,
            "schedule.end": 0.5,
            "input.mirror": True,
            "input.colour": 0.1,
        },
        inputs={"colour": 0.0},
    )
    assert dict(recipe.schedule) == {
        "name": "cosine",
        "warmup": 0.3,
        "end": 0.5,
    }
    assert recipe.input["mirror"] is True and recipe.input["colour"] == 0.0


def test_who_trains_is_not_told_to_train(caplog):
    advice = logging.getLogger("keras_twostream.advice")
    with without_advice():
        advice.warning("Train it first.")
    assert not caplog.text
    advice.warning("Train it first.")
    assert "Train it first." in caplog.text


def test_none_and_tables_come_back_from_a_file():
    given = {
        "frame_rate": None,
        "schedule": {"name": "steps", "at": [3, 6]},
        "schedule.end": 0.5,
        "note": "caf\u00e9 \U0001f3ac",
    }
    text = _files.to_toml({"set": _train_resume.plain(given)})
    pairs = _as_flag(tomllib.loads(text)["set"])
    assert assignments(pairs, "--set") == given


def test_a_table_of_a_config_is_a_flag_given_several_times(tmp_path):
    @click.command()
    @_settings.config_option("any")
    @click.option("--field", multiple=True)
    def command(field):
        click.echo(" ".join(field))

    file = tmp_path / "a.toml"
    file.write_text("[any.field]\nbound = 32\nname = 'dis'\n")
    result = CliRunner().invoke(command, ["--config", str(file)])
    assert result.output == 'bound=32 name="dis"\n'


def test_a_run_without_validation_cannot_be_patient(tmp_path, capsys):
    lists = Lists([("a.mp4", 0), ("b.mp4", 1)], [], ("0", "1"))
    flags = {"patience": None, "val_share": 0.15}
    _train_checks._check_validation(flags, lists)
    assert "No videos are held out" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--patience waits for"):
        _train_checks._check_validation({**flags, "patience": 3}, lists)


@pytest.mark.parametrize(
    "pattern, message",
    [(r"_c\d+$", "has no group"), ("(", "not a regular expression")],
)
def test_recordings_need_a_pattern_with_a_group(tmp_path, pattern, message):
    result = CliRunner().invoke(
        train_command,
        ["--data", ".", "--out", str(tmp_path), "--recordings", pattern],
    )
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_a_saved_run_is_complete_once_it_is_measured(tmp_path):
    for name in ("model/config.json", "evaluation/metrics.json"):
        _train_resume.refuse({"out": tmp_path, "epochs": None})
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("{}")
    with pytest.raises(UsageError, match="is complete"):
        _train_resume.refuse({"out": tmp_path, "epochs": None})


def test_a_saved_model_takes_the_recipe_s_options(build, registered, tmp_path):
    hub.save_pretrained(build(), tmp_path / "model")
    model = build_model(
        f"local:{tmp_path / 'model'}",
        None,
        ("0", "1"),
        training.load_recipe("finetune"),
        {},
        {},
    )
    assert set(model.output) == {"rgb", "flow"}


def test_a_config_keeps_what_was_set_to_nothing(build, tmp_path):
    flags = {"seed": 0, "val_share": 0.0, "balance": False, "epochs": None}
    _train_run._record(
        {**flags, "changes": {}, "out": tmp_path},
        ["train", "--val-share", "0"],
        training.load_recipe("finetune"),
        build(),
    )
    written = tomllib.loads((tmp_path / "config.toml").read_text())
    assert written["train"] == {"seed": 0, "val_share": 0.0, "balance": False}
