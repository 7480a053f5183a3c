"""Several heads: a clip trains those that it has a label for, and no other."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

import keras_twostream as kts
from keras_twostream import data, inspection, training
from keras_twostream.cli._evaluate import evaluate_command
from keras_twostream.cli._train import train_command
from keras_twostream.cli._train_setup import build_model
from keras_twostream.errors import SpecError
from keras_twostream.training._several_heads import HeadLabels

pytestmark = pytest.mark.usefixtures("untraced")

HEADS = {"motion": 2, "number": 3}


def of_heads(items):
    """Motion is labelled everywhere, the number on every second video."""
    return [
        (path, {"motion": label, **({"number": n % 3} if n % 2 else {})})
        for n, (path, label) in enumerate(items)
    ]


def recipe(**changes):
    return training.Recipe("heads", epochs=1, batch_size=4, **changes)


@pytest.mark.parametrize("outputs", ["fused", "streams"])
def test_each_output_gets_the_labels_of_its_head(build, items, outputs):
    labels = HeadLabels(of_heads(items), build(heads=HEADS, outputs=outputs))
    numbers = tf.data.Dataset.from_tensors((0, [1, 4, 11]))
    ((_, result),) = labels.targets(numbers)
    streams = ("",) if outputs == "fused" else ("rgb_", "flow_")
    assert {name: x.numpy().tolist() for name, x in result.items()} == {
        f"{stream}{head}": expected
        for stream in streams
        for head, expected in {
            "motion": [0, 0, 1],
            "number": [1, -1, 2],
        }.items()
    }


@pytest.mark.parametrize("outputs", ["fused", "streams"])
def test_a_head_whose_name_ends_like_another_has_its_labels(build, outputs):
    model = build(heads={"ucf": 2, "my_ucf": 3}, outputs=outputs)
    labels = HeadLabels([("a.mp4", {"ucf": 1, "my_ucf": 2})], model)
    numbers = tf.data.Dataset.from_tensors((0, [0]))
    ((_, result),) = labels.targets(numbers)
    for name, label in result.items():
        assert label.numpy().tolist() == [2 if "my_ucf" in name else 1]


def test_a_head_without_labels_does_not_move(build, items, tmp_path):
    model = build(heads=HEADS)
    names = [x.name for x in model.layers if x.name.endswith("_number")]
    before = [model.get_layer(x).get_weights() for x in names if "fc" in x]
    motion = [(path, {"motion": label}) for path, label in items]
    training.train(
        model,
        motion,
        recipe(optimizer="adam", learning_rate=0.01),
        tmp_path,
        validation=motion[:3],
        settings=training.RunSettings(keep="last", workers=1),
    )
    after = [model.get_layer(x).get_weights() for x in names if "fc" in x]
    assert before
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_pairs_of_labels_are_drawn_evenly(build, items, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "keras_twostream.data.feeding.order.placement.even_order",
        lambda kinds, seed, epoch: (
            drawn.append(kinds),
            (np.arange(len(kinds)), np.zeros(len(kinds), int)),
        )[1],
    )
    training.train(
        build(heads=HEADS, streams=("rgb",)),
        of_heads(items)[::3],
        recipe(input={"even_classes": True}),
        tmp_path,
        settings=training.RunSettings(keep="last", workers=1),
    )
    assert drawn[0].tolist() == [[0, -1], [0, 0], [1, -1], [1, 0]]


def test_labels_that_no_head_can_take_are_refused(build, items, tmp_path):
    model = build(heads=HEADS)
    for wrong, message in (
        (items, "heads motion, number, and the labels of .* a dict"),
        ([(items[0][0], {"place": 1})], "a dict from head to class number"),
        ([(items[0][0], {"motion": 2})] * 4, "the label 2 for motion, .* 2 cl"),
    ):
        with pytest.raises(SpecError, match=message):
            training.train(model, wrong, recipe(), tmp_path)
    settings = training.RunSettings(class_weight={0: 1.0})
    with pytest.raises(SpecError, match="several heads, and class_weight"):
        training.train(
            model, of_heads(items), recipe(), tmp_path, settings=settings
        )


def test_two_columns_of_a_table_train_two_heads(
    registered, items, video_folder, tmp_path
):
    table, out = video_folder / "two.csv", tmp_path / "run"
    with open(table, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "motion", "Number"])
        for path, labels in of_heads(items):
            number = "abc"[labels["number"]] if "number" in labels else ""
            moves = ("slides", "stands")[labels["motion"]]
            rows.writerow([path, moves, number])
    command = [
        "--data", str(table), "--heads", "motion,number", "--out", str(out),
        "--model", "tiny_net", "--weights", "none", "--epochs", "1",
        "--batch-size", "4", "--workers", "1", "--val-share", "0.3", "--json",
    ]  # fmt: skip
    result = CliRunner().invoke(train_command, command)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)["held_out"]
    assert set(report) <= {"motion", "number"} and "motion" in report
    model = kts.load(f"local:{out / 'model'}")
    assert {name: x.shape[-1] for name, x in model.output.items()} == HEADS
    names = inspection.class_names(model, "motion")
    assert names == ["slides", "stands"] == inspection.class_names(model)
    assert inspection.class_names(model, "number") == ["a", "b", "c"]
    measure = [str(out), "--data", str(table), "--clips", "1", "--json"]
    result = CliRunner().invoke(
        evaluate_command, [*measure, "--head", "number"]
    )
    assert result.exit_code == 0, result.output
    counted = sum("number" in labels for _, labels in of_heads(items))
    assert counted < len(items)
    assert json.loads(result.stdout)["protocol"]["videos"] == counted
    for head, message in (([], "motion, number"), (["--head", "x"], "no head")):
        result = CliRunner().invoke(evaluate_command, [*measure, *head])
        assert message in str(result.exception)
    part = video_folder / "part.csv"  # a list that lacks the class "a"
    lines = table.read_text().splitlines()
    part.write_text("\n".join([lines[0], *(x for x in lines if ",b" in x)]))
    result = CliRunner().invoke(
        evaluate_command,
        [str(out), "--data", str(part), "--head", "number", "--clips", "1",
         "--out", str(tmp_path / "found"), "--json"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "found" / "scores.npz") as scores:
        assert set(scores["labels"].tolist()) == {1}


def test_a_head_that_knew_other_classes_starts_afresh(
    build, registered, tmp_path
):
    model = build(heads=HEADS)
    inspection.update_card(
        model,
        head_classes={"motion": ["slides", "stands"], "number": [*"abc"]},
        head_trained=True,
    )
    kts.save_pretrained(model, tmp_path / "net")

    def kernels(number):
        heads = {"motion": ["slides", "stands"], "number": number}
        again = build_model(
            f"local:{tmp_path / 'net'}", None, (), recipe(), {}, {}, heads
        )
        names = inspection.head_layers(again)
        return {
            x.name: x.get_weights() for x in again.layers if x.weights
        }, names

    before = {x.name: x.get_weights() for x in model.layers if x.weights}
    for number, same in (([*"abc"], True), ([*"xyz"], False)):
        after, heads = kernels(number)
        for name, weights in before.items():
            kept = np.array_equal(weights[0], after[name][0])
            assert kept is (same or name not in heads)


def test_a_column_that_is_not_there_is_named(tmp_path):
    table = tmp_path / "list.csv"
    table.write_text("path,label\na.mp4,x\n")
    with pytest.raises(SpecError, match="no column 'scene'.*path, label"):
        data.read_annotations(table, label="scene")
    with pytest.raises(SpecError, match="names a column of a CSV"):
        data.read_annotations(tmp_path, "folder", label="scene")


@pytest.mark.parametrize("heads", ["motion", "motion,motion", ",motion"])
def test_heads_are_several_columns(heads, tmp_path, registered):
    result = CliRunner().invoke(
        train_command,
        ["--data", str(tmp_path), "--heads", heads, "--out", str(tmp_path)],
    )
    assert "two columns of labels or more" in str(result.exception)


def test_a_folder_has_no_columns_for_heads(tmp_path, registered):
    result = CliRunner().invoke(
        train_command,
        ["--data", str(tmp_path), "--heads", "a,b", "--out", str(tmp_path)],
    )
    assert "is a folder, and heads are columns" in str(result.exception)
