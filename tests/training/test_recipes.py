"""Recipes: fields, files and schedules."""

import math
import tomllib

import pytest

from keras_twostream import _files, training
from keras_twostream.data import AUGMENTATIONS, SAMPLERS
from keras_twostream.errors import SpecError, UnknownNameError
from keras_twostream.registry import list_models, model_entry
from keras_twostream.spec import ClipSpec
from keras_twostream.training._schedules import learning_rate


@pytest.mark.parametrize("name", training.list_recipes())
def test_recipe_is_complete(name):
    recipe = training.load_recipe(name)
    assert recipe.name == name
    assert recipe.source
    assert recipe.input.get("augment", "random") in AUGMENTATIONS
    assert recipe.input.get("sampler", "single") in SAMPLERS
    ClipSpec(**recipe.spec)
    rate = learning_rate(recipe, 1000)
    first = rate if isinstance(rate, float) else float(rate(0))
    assert 0 < first <= recipe.learning_rate * 1.0001


def test_every_model_has_a_recipe_with_options_it_takes():
    for name in list_models():
        recipe = training.load_recipe(name)
        assert set(recipe.options) <= set(model_entry(name).options)


def test_toml_gives_back_the_recipe():
    recipe = training.load_recipe("temporal_segment")
    text = _files.to_toml(recipe.to_dict())
    assert training.recipe_from_dict(tomllib.loads(text)) == recipe


def test_a_file_of_ones_own_is_a_recipe(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('optimizer = "adam"\nepochs = 3\n')
    recipe = training.load_recipe(path)
    assert (recipe.name, recipe.optimizer, recipe.epochs) == (
        "mine",
        "adam",
        3,
    )


def test_unknown_field_is_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("learning_rat = 1.0\n")
    with pytest.raises(SpecError, match=r"no field 'learning_rat'.*_rate"):
        training.load_recipe(path)


def test_unknown_recipe_names_close_ones():
    with pytest.raises(UnknownNameError, match="Did you mean actors"):
        training.load_recipe("actor")


def test_broken_toml_is_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("epochs = = 3")
    with pytest.raises(SpecError, match="is not a TOML file"):
        training.load_recipe(path)
    path.write_text("epoch = 3")
    with pytest.raises(SpecError, match="mine.toml: A recipe has no field"):
        training.load_recipe(path)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"optimizer": "lion"}, "`optimizer` must be one of sgd"),
        ({"schedule": {"name": "poly"}}, "`schedule.name` must be one of"),
        ({"epochs": 0}, "`epochs` must be a whole number, 1 or more"),
        ({"epochs": 2.5}, "`epochs` must be a whole number"),
        ({"patience": "abc"}, "`patience` must be a whole number"),
        ({"weight_decay": "abc"}, "`weight_decay` must be 0 or more"),
        ({"label_smoothing": 1}, "`label_smoothing` must be below 1"),
        ({"clip_norm": 0}, "`clip_norm` must be greater than 0"),
        ({"multipliers": {"bias": "x"}}, "`multipliers.bias` must be 0 or"),
        ({"frozen": ["[a"]}, r"'\[a' is no regular expression"),
        ({"schedule": "cosine"}, "`schedule` is a table of names and values"),
        ({"schedule": {"name": "steps"}}, "'steps' needs `at`, a list"),
        (
            {"schedule": {"name": "cosine", "warmpu": 0.1}},
            "`schedule` has no entry 'warmpu'. Did you mean warmup",
        ),
        ({"input": {"miror": True}}, "no entry 'miror'. Did you mean mirror"),
        ({"partial_batch_norm": "False"}, "must be true or false"),
        ({"input": {"mirror": "no"}}, "`input.mirror` must be true or false"),
        ({"schedule": {"name": "cosine", "warmup": 3}}, "`schedule.warmup`"),
        ({"schedule": {"name": "cosine", "end": -1}}, "`schedule.end`"),
        ({"schedule": {"name": "plateau", "patience": 0}}, "e.patience`"),
        ({"input": {"even_classes": 1}}, "`input.even_classes` must be true"),
        ({"optimizer": "adam", "weight_decay": 0.1}, "adamw has"),
        ({"learnin_rate": 3}, "Did you mean learning_rate"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(SpecError, match=message):
        training.load_recipe("actors").replace(**changes)


def test_one_pattern_may_be_given_as_text():
    recipe = training.load_recipe("actors").replace(frozen="^rgb_")
    assert recipe.frozen == ("^rgb_",)


def test_a_recipe_of_steps_takes_as_many_passes_as_they_need():
    assert training.load_recipe("temporal_segment").passes(75) == 240
    assert training.load_recipe("temporal_segment").passes(74) == 244
    assert training.load_recipe("actors").passes(75) == 14


def test_entries_of_tables_are_changed_one_by_one():
    recipe = training.load_recipe("two_stream").with_entries(
        {"schedule.name": "cosine", "schedule.end": 0.1, "epochs": 3}
    )
    assert recipe.epochs == 3
    assert learning_rate(recipe, 100).end == 0.1


@pytest.mark.parametrize(
    "name, message",
    [
        ("scedule.name", "no field 'scedule'. Did you mean schedule"),
        ("epochs.first", "`epochs` has no entries"),
        ("epoch", "no field 'epoch'. Did you mean epochs"),
    ],
)
def test_an_entry_that_no_recipe_has_is_refused(name, message):
    with pytest.raises(SpecError, match=message):
        training.load_recipe("actors").with_entries({name: 1})


def test_schedule_needs_the_length_of_the_run():
    with pytest.raises(SpecError, match="needs the length of the run"):
        learning_rate(training.load_recipe("actors"), None)


def test_steps_are_stretched_over_the_run():
    recipe = training.load_recipe("two_stream")
    rate = learning_rate(recipe, recipe.steps // 10)
    values = [float(rate(step)) for step in (0, 4999, 5000, 7000)]
    assert values == pytest.approx([1e-2, 1e-2, 1e-3, 1e-4])


def test_steps_may_follow_a_climb():
    recipe = training.Recipe(
        "x",
        epochs=10,
        learning_rate=1.0,
        schedule={"name": "steps", "at": [5], "warmup": 0.2},
    )
    rate = learning_rate(recipe, 20)
    values = [float(rate(step)) for step in (0, 1, 3, 4, 9, 10, 19)]
    assert values == pytest.approx([0.25, 0.5, 1.0, 1.0, 1.0, 0.1, 0.1])
    again = type(rate).from_config(rate.get_config())
    assert float(again(0)) == pytest.approx(0.25)


def test_cosine_climbs_then_falls():
    recipe = training.load_recipe("actors").replace(
        learning_rate=1.0,
        schedule={"name": "cosine", "warmup": 0.1, "end": 0.01},
    )
    rate = learning_rate(recipe, 100)
    values = [float(rate(step)) for step in (0, 9, 10, 55, 100, 200)]
    expected = [0.1, 1.0, 1.0, 0.505, 0.01, 0.01]
    assert values == pytest.approx(expected, abs=1e-6)


def test_one_cycle_peaks_at_three_tenths():
    recipe = training.load_recipe("actors").replace(
        learning_rate=2.0, schedule={"name": "one_cycle"}
    )
    rate = learning_rate(recipe, 10)
    values = [float(rate(step)) for step in range(12)]
    climb = [2 / 3, 4 / 3, 2]
    fall = [
        0.002 + 1.998 * (1 + math.cos(math.pi * step / 7)) / 2
        for step in range(8)
    ]
    assert values == pytest.approx([*climb, *fall, 0.002])


@pytest.mark.parametrize("steps", [4, 11, 15, 28, 45])
def test_a_short_warm_up_stays_below_the_peak(steps):
    recipe = training.load_recipe("finetune")
    rate = learning_rate(recipe, steps)
    rates = [float(rate(step)) for step in range(steps)]
    assert max(rates) <= recipe.learning_rate * 1.0001
    assert max(rates) > 0.5 * recipe.learning_rate


def test_steps_of_several_batches_take_more_passes():
    recipe = training.Recipe("x", steps=100)
    assert recipe.passes(10) == 10
    assert recipe.replace(accumulate=4).passes(10) == 40
    assert "epochs" not in recipe.to_dict()
