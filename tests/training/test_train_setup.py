"""What `train` makes of its flags, before anything is trained."""

import tomllib

from keras_twostream import training
from keras_twostream.cli import _train_run
from keras_twostream.cli._settings import _as_flag, assignments
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
    text = training.to_toml({"set": _train_run._as_toml(given)})
    pairs = _as_flag(tomllib.loads(text)["set"])
    assert assignments(pairs, "--set") == given
