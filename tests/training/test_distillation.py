"""Distillation: the student learns, and the teacher stays as it is."""

import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from keras import ops
from safetensors.numpy import load_file
from scipy.special import log_softmax, softmax

from keras_twostream import hub, inspection, training
from keras_twostream.cli._train import train_command
from keras_twostream.errors import (
    SpecError,
    UntrainedHeadError,
    WeightsError,
)
from keras_twostream.scoring.scorer import scorer
from keras_twostream.training import RunSettings, Student
from keras_twostream.training._distillation import fed_clip

pytestmark = pytest.mark.agnostic

RECIPE = training.load_recipe("distillation").replace(
    epochs=2, batch_size=4, least_steps=0, label_smoothing=0.0
)


def _teacher(build, **options):
    model = build(seed=3, **options)
    inspection.update_card(model, head_trained=True)
    rng = np.random.default_rng(0)
    for layer in model.layers:  # what a batch would change
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(
                rng.normal(0, 0.1, layer.moving_mean.shape)
            )
    return model


def _batch(model, rows=3):
    rng = np.random.default_rng(1)
    spec = inspection.clip_spec(model)
    shape = (rows, spec.clip_length, *spec.crop)
    clips = {
        "rgb": rng.uniform(0, 255, (*shape, 3)).astype("float32"),
        "flow": rng.normal(0, 3, (*shape, spec.channels("flow"))),
    }
    clips["flow"] = clips["flow"].astype("float32")
    return clips, np.arange(rows) % 2


def _pooled(model, stream, clips):
    """Features before a stream's classifier, as at test time."""
    layer = model.get_layer(f"{stream}_pool")
    network = keras.Model(model.inputs, layer.output)
    return ops.convert_to_numpy(network(clips, training=False))


def _loss(pair, clips, labels):
    training.compile(pair, RECIPE, steps=4)
    answer = pair(clips, training=True)
    loss = pair.compute_loss(clips, labels, answer, training=True)
    scores, features = map(ops.convert_to_numpy, answer)
    return float(ops.convert_to_numpy(loss)), scores, features


def _cross_entropy(scores, labels):
    return -log_softmax(scores, -1)[np.arange(len(labels)), labels].mean()


def test_features_follow_the_flow_of_the_teacher(build):
    teacher, student = _teacher(build), build(streams=("rgb",))
    clips, labels = _batch(teacher)
    weights = {"features": 50.0, "scores": 0.0}
    pair = Student(student, teacher, weights)
    loss, scores, features = _loss(pair, clips, labels)
    taught = _pooled(teacher, "flow", clips)
    expected = _cross_entropy(scores, labels)
    expected += 50.0 * np.square(features - taught).mean()
    assert loss == pytest.approx(expected, rel=1e-4)


def test_scores_follow_the_fused_ones_of_the_teacher(build):
    teacher, student = _teacher(build), build(streams=("rgb",))
    teacher.get_layer("rgb_fc").bias.assign([9.0, -3.0])  # far from even
    clips, labels = _batch(teacher)
    weights = {"features": 0.0, "scores": 3.0, "temperature": 4.0}
    pair = Student(student, teacher, weights)
    loss, scores, _ = _loss(pair, clips, labels)
    logits = scorer(teacher)(clips, training=False)["fused"]
    taught = softmax(ops.convert_to_numpy(logits) / 4, -1)
    apart = np.log(taught) - log_softmax(scores / 4, -1)
    expected = _cross_entropy(scores, labels)
    expected += 3.0 * 16 * (taught * apart).sum(-1).mean()
    assert loss == pytest.approx(expected, rel=1e-3)


def test_a_student_may_see_more_frames_of_a_step_than_its_teacher(build):
    teacher = _teacher(build)
    student = build(streams=("rgb",), clip_spec={"frames_per_step": 3})
    clips, labels = _batch(teacher)
    wide = np.concatenate([clips["rgb"], *[clips["rgb"][::-1]] * 2], axis=-1)
    fed = {"rgb": wide, "flow": clips["flow"]}
    pair = Student(student, teacher, {"features": 50.0, "scores": 0.0})
    loss, scores, features = _loss(pair, fed, labels)
    taught = _pooled(teacher, "flow", clips)
    expected = _cross_entropy(scores, labels)
    expected += 50.0 * np.square(features - taught).mean()
    assert loss == pytest.approx(expected, rel=1e-4)


def test_dropout_of_the_student_is_not_in_its_features(build):
    teacher, student = _teacher(build), build(streams=("rgb",), dropout=0.9)
    clips, _ = _batch(teacher)
    _, features = Student(student, teacher)(clips, training=True)
    assert np.count_nonzero(ops.convert_to_numpy(features)) == 12


def test_without_training_the_pair_is_the_student(build):
    teacher, student = _teacher(build), build(streams=("rgb",))
    clips, _ = _batch(teacher)
    pair = Student(student, teacher)
    alone = student({"rgb": clips["rgb"]}, training=False)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(pair({"rgb": clips["rgb"]}, training=False)),
        ops.convert_to_numpy(alone),
    )
    assert [w.path for w in pair.weights] == [w.path for w in student.weights]


def test_a_run_trains_the_student_by_its_teacher(
    build, items, tmp_path, untraced
):
    teacher, student = _teacher(build), build(streams=("rgb",))
    before = teacher.get_weights()
    recipe = RECIPE.replace(epochs=1)
    _train(student, items, tmp_path / "run", teacher, recipe=recipe)
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert inspection.head_is_trained(student)
    assert list(inspection.stream_layers(student)) == ["rgb"]
    alone = build(streams=("rgb",))
    plain = recipe.replace(distill={})
    _train(alone, items, tmp_path / "none", None, recipe=plain)
    apart = student.get_weights()[0] - alone.get_weights()[0]
    assert np.abs(apart).max() > 1e-4


class _Killed(Exception):
    pass


class _KillAt(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if self.model.optimizer.iterations == 4:
            raise _Killed


def test_a_killed_run_goes_on_with_its_teacher_alone(
    build, items, tmp_path, untraced
):
    teacher, whole = _teacher(build), build(streams=("rgb",))
    _train(whole, items, tmp_path / "whole", teacher)
    place = tmp_path / "cut"
    with pytest.raises(_Killed):
        student = build(streams=("rgb",))
        _train(student, items, place, teacher, callbacks=[_KillAt()])
    other = _teacher(build)
    other.get_layer("flow_conv1").kernel.assign_add(
        np.ones(other.get_layer("flow_conv1").kernel.shape)
    )
    with pytest.raises(WeightsError, match="of a run with other teacher"):
        _train(build(streams=("rgb",)), items, place, other)
    resumed = build(seed=9, streams=("rgb",))
    _train(resumed, items, place, teacher)
    for one, two in zip(
        whole.get_weights(), resumed.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def _train(student, items, out, teacher, callbacks=(), recipe=RECIPE):
    settings = RunSettings(checkpoint_seconds=0.0, workers=1, keep="last")
    return training.train(
        student,
        items,
        recipe,
        out,
        validation=items[::3],
        teacher=teacher,
        settings=settings,
        callbacks=callbacks,
    )


def test_both_are_fed_the_same_clip(build):
    teacher = _teacher(build, clip_spec={"flow_bound": 7.0})
    clip = fed_clip(build(streams=("rgb",)), teacher)
    assert clip.streams == ("rgb", "flow")
    assert clip.flow_bound == 7.0
    longer = build(streams=("rgb",), clip_spec={"clip_length": 3})
    message = "clip_length=3, and the teacher with clip_length=2"
    with pytest.raises(SpecError, match=message):
        fed_clip(longer, teacher)


def test_a_student_sees_each_frame_that_its_teacher_sees(build):
    two = {"frames_per_step": 2, "frame_gap": 3}
    teacher = _teacher(build, clip_spec=two)
    student = build(streams=("rgb",), clip_spec={**two, "frames_per_step": 4})
    assert fed_clip(student, teacher).channels("rgb") == 12
    for other in ({}, {**two, "frame_gap": 1}):
        student = build(streams=("rgb",), clip_spec=other)
        with pytest.raises(SpecError, match="both must see the same clip"):
            fed_clip(student, teacher)


@pytest.mark.parametrize(
    "options, weights, message",
    [
        ({}, {}, "a score for each of rgb, flow|several"),
        ({"streams": ("rgb",), "num_classes": 3}, {}, r"not 1 class \(2\) of"),
        ({"streams": ("rgb",), "heads": {"a": 2, "b": 2}}, {}, "several heads"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(build, options, weights, message):
    teacher = _teacher(build)
    if not options:
        options = {"outputs": "streams"}
    with pytest.raises(SpecError, match=message):
        Student(build(**options), teacher, weights)


def test_a_teacher_is_asked_for_the_students_classes_in_their_order(build):
    teacher = _teacher(build, num_classes=3)
    inspection.update_card(teacher, classes=["slides", "hops", "stands"])
    student = build(streams=("rgb",))
    inspection.update_card(student, classes=["stands", "slides"])
    clips, labels = _batch(teacher)
    pair = Student(student, teacher, {"features": 0.0, "temperature": 1.0})
    loss, scores, _ = _loss(pair, clips, labels)
    fused = ops.convert_to_numpy(scorer(teacher)(clips)["fused"])[:, [2, 0]]
    own, taught = log_softmax(scores, -1), log_softmax(fused, -1)
    apart = (np.exp(taught) * (taught - own)).sum(-1).mean()
    wanted = _cross_entropy(scores, labels) + apart
    np.testing.assert_allclose(loss, wanted, rtol=1e-4)


def test_a_teacher_that_knows_nothing_is_refused(build):
    with pytest.raises(UntrainedHeadError, match="is random"):
        Student(build(streams=("rgb",)), build(seed=3))


def test_a_recipe_that_distils_needs_a_teacher(build, items, tmp_path):
    with pytest.raises(SpecError, match="there is no teacher"):
        _train(build(streams=("rgb",)), items, tmp_path, None)


@pytest.mark.parametrize("entry, value", [("features", -1), ("temperature", 0)])
def test_wrong_weights_are_refused(entry, value):
    with pytest.raises(SpecError, match=f"`distill.{entry}` must be"):
        RECIPE.with_entries({f"distill.{entry}": value})


def test_the_command_saves_a_student_without_flow(
    build, registered, video_folder, tmp_path, untraced
):
    teacher = _teacher(build)
    inspection.update_card(teacher, classes=["slides", "stands"])
    hub.save_pretrained(teacher, tmp_path / "teacher")
    result = CliRunner().invoke(
        train_command,
        [
            *("--data", str(video_folder), "--out", str(tmp_path / "run")),
            *("--distill", f"local:{tmp_path / 'teacher'}"),
            *("--epochs", "1", "--batch-size", "4", "--workers", "1"),
        ],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    saved = tmp_path / "run" / "model"
    keys = load_file(saved / "model.safetensors")
    assert keys and not [key for key in keys if "flow" in key]
    config = json.loads((saved / "config.json").read_text())
    assert config["clip_spec"]["streams"] == ["rgb"]
    assert config["clip_spec"]["frames_per_step"] == 4
    student = hub.load(f"local:{saved}")
    assert inspection.head_is_trained(student)
    assert (tmp_path / "run" / "evaluation" / "metrics.json").exists()
