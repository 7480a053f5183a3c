"""What `train` makes of its flags, before anything is trained."""

import tomllib
from pathlib import Path

import click
import pytest
from click import UsageError
from click.testing import CliRunner

from keras_twostream import _files, hub, training
from keras_twostream.cli import _settings, _train_run
from keras_twostream.cli._settings import _as_flag, assignments
from keras_twostream.cli._train import train_command
from keras_twostream.cli._train_setup import (
    Lists,
    build_model,
    read_lists,
    recording,
)
from keras_twostream.errors import SpecError
from keras_twostream.training._schedules import learning_rate

FLAGS = {
    "recipe": "finetune",
    "epochs": None,
    "batch_size": None,
    "changes": {},
    "inputs": {},
}


def _recipe(**flags):
    return _train_run._recipe({**FLAGS, **flags})


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


def test_none_and_tables_come_back_from_a_file():
    given = {
        "frame_rate": None,
        "schedule": {"name": "steps", "at": [3, 6]},
        "schedule.end": 0.5,
        "note": "caf\u00e9 \U0001f3ac",
    }
    text = _files.to_toml({"set": _train_run._as_toml(given)})
    pairs = _as_flag(tomllib.loads(text)["set"])
    assert assignments(pairs, "--set") == given


def _lists(data, **flags):
    defaults = {
        "val": None,
        "val_share": 0.25,
        "recordings": r"^(.+)_c\d+$",
        "split": None,
        "subset": None,
        "root": None,
        "list_format": None,
        "seed": 0,
    }
    return read_lists(str(data), **{**defaults, **flags})


def test_whole_recordings_are_held_out(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for group in range(4):
            for clip in range(3):
                file = f"v_{name}_g{group:02}_c{clip:02}.mp4"
                (tmp_path / name / file).touch()
    lists = _lists(tmp_path)
    assert (len(lists.train), len(lists.validation)) == (18, 6)
    groups = [
        {Path(path).stem[:-4] for path, _ in part}
        for part in (lists.train, lists.validation)
    ]
    assert not groups[0] & groups[1]


def test_recordings_of_one_name_in_two_folders_are_two():
    names = {recording(f"{folder}/v_g01_c01.mp4", "(g01)") for folder in "ab"}
    assert names == {"a/g01", "b/g01"}


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


def _write_csv(path, *rows):
    path.write_text("\n".join(["path,label,split", *rows]) + "\n")
    return path


@pytest.fixture
def with_subsets(tmp_path):
    """A list of one's own with a column for the subset."""
    rows = [
        f"{subset}{number}.mp4,{number % 2},{subset}"
        for subset in ("train", "test")
        for number in range(8)
    ]
    return _write_csv(tmp_path / "list.csv", *rows)


def test_the_test_part_of_a_list_is_not_trained_on(with_subsets):
    with pytest.raises(UsageError, match="subsets: test, train. Choose"):
        _lists(with_subsets)
    lists = _lists(with_subsets, subset="train", val="test")
    names = [{Path(path).name[:4] for path, _ in lists.train}]
    names.append({Path(path).name[:4] for path, _ in lists.validation})
    assert names == [{"trai"}, {"test"}]


def test_a_validation_list_of_several_subsets_is_refused(
    tmp_path, with_subsets
):
    data = tmp_path / "train.txt"
    data.write_text("a.mp4 0\nb.mp4 1\n")
    with pytest.raises(UsageError, match="test, train. Give --val a list"):
        _lists(data, val=str(with_subsets))


def test_an_official_list_without_a_split_is_a_mixture(tmp_path):
    (tmp_path / "classInd.txt").write_text("1 Run\n2 Sit\n")
    for subset in ("train", "test"):
        rows = [f"{name}/v_{name}_g01_c01.avi" for name in ("Run", "Sit")]
        (tmp_path / f"{subset}list01.txt").write_text("\n".join(rows))
    with pytest.raises(UsageError, match="--split where"):
        _lists(tmp_path)
    assert len(_lists(tmp_path, split=1, val="test").validation) == 2


@pytest.mark.parametrize(
    "row, message",
    [
        (
            "odd.mp4 2",
            r"odd\.mp4 has the label 2: classes are .* 0 to 1",
        ),
        ("odd.mp4 -1", r"odd\.mp4 has no label"),
    ],
)
def test_validation_with_labels_that_the_model_lacks(tmp_path, row, message):
    data, val = tmp_path / "train.txt", tmp_path / "val.txt"
    data.write_text("a.mp4 0\nb.mp4 1\n")
    val.write_text(f"c.mp4 1\n{row}\n")
    with pytest.raises(SpecError, match=message):
        _lists(data, val=str(val))


def test_labels_are_of_one_kind_where_a_video_shows_several(tmp_path):
    rows = ["a.mp4,0|2,", "b.mp4,1,", "c.mp4,,", "d.mp4,1,", "e.mp4,0,"]
    data = _write_csv(tmp_path / "list.csv", *rows, "f.mp4,0,")
    lists = _lists(data, val_share=0.5)
    labels = [label for _, label in [*lists.train, *lists.validation]]
    assert lists.validation and lists.multi_label
    assert all(isinstance(label, tuple) for label in labels)
    assert lists.classes == ("0", "1", "2")


def test_videos_of_several_classes_are_not_balanced(tmp_path):
    lists = Lists([("a.mp4", (0, 1))], [], ("0", "1"))
    with pytest.raises(UsageError, match="--balance weighs each video"):
        _train_run._class_weight(lists)


def test_a_folder_too_high_holds_one_class(tmp_path):
    for name in ("Run", "Sit"):
        (tmp_path / "UCF" / name).mkdir(parents=True)
        (tmp_path / "UCF" / name / "a.mp4").touch()
    with pytest.raises(UsageError, match="holds one class, UCF; .*right above"):
        _lists(tmp_path)


def test_a_run_without_validation_cannot_be_patient(tmp_path, capsys):
    lists = Lists([("a.mp4", 0), ("b.mp4", 1)], [], ("0", "1"))
    flags = {"patience": None, "val_share": 0.15}
    _train_run._check_validation(flags, lists)
    assert "No videos are held out" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--patience waits for"):
        _train_run._check_validation({**flags, "patience": 3}, lists)


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


def test_a_saved_run_without_validation_is_complete(tmp_path, monkeypatch):
    monkeypatch.setattr(_train_run, "_is_saved", lambda out: True)
    lists = Lists([("a", 0)], [("b", 0)], ("x", "y"))
    _train_run._refuse_complete(tmp_path, lists)  # it is to be measured
    lists = Lists([("a", 0)], [], ("x", "y"))
    with pytest.raises(UsageError, match="is complete"):
        _train_run._refuse_complete(tmp_path, lists)


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
