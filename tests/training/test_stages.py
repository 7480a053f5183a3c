"""A recipe's stages: each changes what it names, and goes on with weights."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from keras_twostream import hub, inspection, training
from keras_twostream.cli._train import train_command
from keras_twostream.errors import SpecError, WeightsError

pytestmark = pytest.mark.usefixtures("untraced")

TWO_STAGES = """
epochs = 1
batch_size = 4
learning_rate = 1e-3
schedule = { name = "constant" }
[options]
outputs = "streams"
[spec]
short_side = 32
crop = [24, 24]
train_strides = [2, 3]
[[stages]]
learning_rate = 1e-4
spec = { train_strides = [1, 3], clip_length = 3 }
options = { dropout = 0.0 }
"""


def test_a_stage_changes_what_it_names():
    first, second = training.load_recipe("spatiotemporal_resnet").staged()
    assert (first.epochs, first.learning_rate) == (80, 1e-3)
    assert (second.epochs, second.learning_rate) == (2, 1e-4)
    assert second.options == {
        "outputs": "steps",
        "clip_length": 11,
        "temporal_pool": 5,
    }
    assert list(second.spec["train_strides"]) == [1, 15]
    assert second.weight_decay == first.weight_decay
    assert second.staged() == [second]


def test_a_stage_that_changes_no_field_of_a_recipe_is_refused():
    with pytest.raises(SpecError, match="no field 'rate'"):
        training.Recipe("x", stages=({"rate": 1.0},))
    with pytest.raises(SpecError, match="Stage 2 .* must be a table"):
        training.Recipe("x", stages=(3,))


def test_few_videos_get_smaller_batches_and_more_epochs():
    recipe = training.load_recipe("finetune")
    assert recipe.fitted_batch(2000) == 16
    assert recipe.fitted_batch(54) == 9
    assert recipe.fitted_batch(12) == 8
    assert recipe.passes(6) == 80
    assert recipe.passes(100) == recipe.epochs == 30


def test_the_next_stage_goes_on_with_the_weights(build, registered):
    inspection_of = inspection.card
    model = build(clip_spec={"clip_length": 2})
    inspection.update_card(
        model, architecture="tiny_net", options={"num_classes": 2}
    )
    longer = training.next_stage(
        model, {"dropout": 0.0, "no_option": 1}, {"clip_length": 4}
    )
    assert inspection.clip_spec(longer).clip_length == 4
    assert "dropout" not in inspection_of(model)["options"]
    for one, other in zip(
        model.get_weights(), longer.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_networks_without_a_common_layer_are_refused(build):
    rgb, flow = build(streams=("rgb",)), build(streams=("flow",))
    with pytest.raises(WeightsError, match="shares no layer"):
        training.carry_over(rgb, flow)


def test_train_runs_the_stages_in_order(registered, video_folder, tmp_path):
    recipe, out = tmp_path / "two.toml", tmp_path / "run"
    recipe.write_text(TWO_STAGES)
    command = [
        "--data", str(video_folder), "--out", str(out), "--workers", "1",
        "--model", "tiny_net", "--weights", "none", "--recipe", str(recipe),
        "--json",
    ]  # fmt: skip
    result = CliRunner().invoke(train_command, command)
    assert result.exit_code == 0, result.output
    assert "Stage 1 of 2" in result.stderr
    assert "steps an epoch" in result.stderr
    report = json.loads(result.stdout)
    assert report["model"] == str(out / "model")
    first = hub.load(f"local:{out / 'stage1' / 'model'}")
    second = hub.load(f"local:{out / 'model'}")
    assert inspection.clip_spec(first).clip_length == 2
    assert inspection.clip_spec(second).clip_length == 3
    # A rate of a tenth moves the first layer from where stage 1 left it.
    moved = first.get_layer("rgb_conv1").get_weights()[0]
    assert (
        np.abs(moved - second.get_layer("rgb_conv1").get_weights()[0]).max()
        < 0.01
    )
    wrong = CliRunner().invoke(
        train_command,
        ["--stage", "3", *command[:2], "--out", str(tmp_path / "x"),
         *command[4:]],
    )  # fmt: skip
    assert wrong.exit_code == 2
    assert "last stage is 2" in wrong.output
