"""Runs: killed ones resumed, their folder, their identity."""

import csv
import errno
import json
import os
import shutil

import filelock
import keras
import numpy as np
import pytest
from foreign_layouts import moving_frames, true_fields, write_layout

import keras_twostream as kts
from keras_twostream import training
from keras_twostream.data import read_annotations
from keras_twostream.errors import SpecError, WeightsError
from keras_twostream.inspection import head_is_trained, update_card
from keras_twostream.spec import ClipSpec
from keras_twostream.training import RunSettings
from keras_twostream.training._identity import difference, identity
from keras_twostream.training._run import _Run, with_fused
from keras_twostream.training._schedules import rate_at

pytestmark = pytest.mark.portable

RECIPE = training.load_recipe("actors").replace(
    options={}, spec={}, epochs=2, batch_size=4
)


class _Killed(Exception):
    pass


class _KillAt(keras.callbacks.Callback):
    """A callback that breaks training off in the middle of an epoch."""

    def __init__(self, epoch, batch):
        super().__init__()
        self._place, self._epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self._epoch, batch) == self._place:
            raise _Killed


def _train(model, items, out, callbacks=(), **settings):
    settings = {
        "checkpoint_seconds": 0.0,
        "workers": 1,
        "keep": "last",
        **settings,
    }
    return training.train(
        model,
        items,
        RECIPE,
        out,
        validation=items[::3],
        settings=RunSettings(**settings),
        callbacks=callbacks,
    )


def _ready(model):
    """A model whose state can be saved."""
    training.compile(model, RECIPE, steps=6)
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.agnostic
@pytest.mark.parametrize(
    "epoch, batch, traced",
    [(0, 2, False), pytest.param(1, 1, True, marks=pytest.mark.full)],
)
def test_killed_run_ends_as_an_undisturbed_one(
    build, items, tmp_path, request, epoch, batch, traced
):
    if not traced:
        request.getfixturevalue("untraced")
    whole = build()
    expected = _train(whole, items, tmp_path / "whole")
    with pytest.raises(_Killed):
        _train(build(), items, tmp_path / "cut", [_KillAt(epoch, batch)])
    resumed = build(seed=9)
    metrics = _train(resumed, items, tmp_path / "cut")
    for one, other in zip(
        whole.get_weights(), resumed.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    for name in ("loss", "accuracy", "val_loss"):
        assert metrics["last"][name] == pytest.approx(
            expected["last"][name], rel=1e-4
        )
    rows = list(csv.DictReader((tmp_path / "cut" / "log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_refusing_disk_ends_the_run_with_an_error_and_loses_nothing(
    build, items, tmp_path, untraced, monkeypatch, code
):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as broken:
        broken.setattr("keras_twostream.training._run.plot_curves", refuse)
        with pytest.raises(
            WeightsError, match="Cannot write into .*train again"
        ):
            _train(build(), items, tmp_path / "run")
    metrics = _train(build(seed=9), items, tmp_path / "run")
    assert metrics["epochs"] == 2
    assert len((tmp_path / "run" / "log.csv").read_text().splitlines()) == 3


@pytest.mark.agnostic
def test_last_batch_of_an_epoch_is_no_place_to_go_on(build, tmp_path):
    model = _ready(build())
    resume = training.Resume(tmp_path / "c.npz", every_seconds=0.0)
    resume.set_model(model)
    resume.step = 1  # so that two of three batches are left
    resume.set_params({"steps": 2})
    resume.on_train_begin()
    resume.on_epoch_begin(0)
    for batch in range(2):
        resume.on_train_batch_begin(batch)
        resume.on_train_batch_end(batch)
    result = training.Resume(tmp_path / "c.npz")
    result.restore(model)
    assert (result.epoch, result.step) == (0, 2)


@pytest.mark.parametrize("devices, size", [(1, 3), (2, 2)])
def test_batch_is_filled_by_videos_that_can_be_read(
    build, items, tmp_path, devices, size
):
    settings = RunSettings(batch_size=4, workers=1, devices=devices)
    run = _Run(build(), RECIPE, tmp_path, settings)
    missing = (str(tmp_path / "missing.mp4"), 0)
    with pytest.warns(match="missing.mp4"):
        result = run.clips.readable([*items[:3], missing])
    assert result == items[:3]
    assert run._batch_size(len(result)) == size
    with pytest.raises(SpecError, match="fewer devices"):
        run._batch_size(devices - 1)


@pytest.mark.usefixtures("untraced")
def test_a_run_folder_holds_metrics_and_curves(build, items, tmp_path, capsys):
    _train(build(), items, tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["monitor"] == "val_accuracy"
    assert metrics["epochs"] == 2
    assert (tmp_path / "curves.png").stat().st_size > 1000
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "epoch 2/2" in captured.err


@pytest.mark.usefixtures("untraced")
def test_finished_run_only_gives_its_model_again(build, items, tmp_path):
    first, second = build(), build(seed=9)
    expected = _train(first, items, tmp_path)
    assert _train(second, items, tmp_path) == expected
    np.testing.assert_array_equal(
        first.get_weights()[0], second.get_weights()[0]
    )


def _save_at_once(run, items, validation, resume, callbacks):
    """A stand-in for fitting that saves the state and trains nothing."""
    run.model.optimizer.build(run.model.trainable_variables)
    resume.set_model(run.model)
    resume.save()


def test_checkpoint_of_another_model_is_refused(
    build, items, tmp_path, monkeypatch
):
    monkeypatch.setattr(_Run, "_fit", _save_at_once)
    _train(build(), items, tmp_path)
    with pytest.raises(WeightsError, match="other option.num_classes"):
        _train(build(3), items, tmp_path)


@pytest.mark.agnostic
def test_checkpoint_of_another_hand_made_model_is_refused(build, tmp_path):
    for classes, words in ((2, ""), (3, "saved with another model")):
        resume = training.Resume(tmp_path / "checkpoint.npz")
        model = _ready(build(classes))
        if words:
            with pytest.raises(WeightsError, match=words):
                resume.restore(model)
        else:
            resume.set_model(model)
            resume.save()


def test_run_goes_on_with_its_settings_only(
    build, items, tmp_path, monkeypatch
):
    monkeypatch.setattr(_Run, "_fit", _save_at_once)
    _train(build(), items, tmp_path)
    _train(build(), items, tmp_path, patience=7, checkpoint_seconds=9.0)
    with pytest.raises(WeightsError, match="other seed: 0 then, 1 now"):
        _train(build(), items, tmp_path, seed=1)
    for name, value in (("batch_size", 3), ("class_weight", {0: 2.0})):
        with pytest.raises(WeightsError, match=f"other {name}"):
            _train(build(), items, tmp_path, **{name: value})


def test_run_goes_on_with_its_videos_and_recipe_only(
    build, items, tmp_path, monkeypatch
):
    def train(items, recipe=RECIPE, **spec):
        training.train(build(clip_spec=spec), items, recipe, tmp_path)

    monkeypatch.setattr(_Run, "_fit", _save_at_once)
    train(items)
    train([(path, np.int64(label)) for path, label in items])
    with pytest.raises(WeightsError, match="training videos: '12 videos"):
        train(items[1:])
    with pytest.raises(WeightsError, match="other training videos"):
        train([*items[1:], items[0]])
    with pytest.raises(WeightsError, match="other training videos"):
        train([(path, 1 - label) for path, label in items[6:] + items[:6]])
    with pytest.raises(WeightsError, match="other recipe.learning_rate"):
        train(items, RECIPE.replace(learning_rate=0.5))
    with pytest.raises(WeightsError, match="other clip.temporal_stride"):
        train(items, temporal_stride=2)


def test_a_run_goes_on_where_its_videos_have_moved(
    build, items, video_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(_Run, "_fit", _save_at_once)
    _train(build(), items, tmp_path / "run")
    shutil.copytree(video_folder, tmp_path / "elsewhere")
    moved = [
        (path.replace(str(video_folder), str(tmp_path / "elsewhere")), label)
        for path, label in items
    ]
    _train(build(), moved, tmp_path / "run")


def test_a_run_does_not_go_on_where_its_folders_have_swapped_names(
    build, items, video_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(_Run, "_fit", _save_at_once)
    folder = tmp_path / "videos"
    shutil.copytree(video_folder, folder)
    items = [
        (path.replace(str(video_folder), str(folder)), label)
        for path, label in items
    ]
    _train(build(), items, tmp_path / "run")
    (folder / "slides").rename(folder / "other")
    (folder / "stands").rename(folder / "slides")
    (folder / "other").rename(folder / "stands")
    with pytest.raises(WeightsError, match="content of the training videos"):
        _train(build(), items, tmp_path / "run")


@pytest.mark.parametrize("kind", ["video", "frames"])
def test_another_video_of_the_same_name_is_another_run(kind, tmp_path):
    def mark(content):
        place.write_bytes(content)
        return identity([(path, 0)], (), RECIPE, ClipSpec())

    path = tmp_path / "a"
    place = path
    if kind == "frames":
        path.mkdir()
        place = path / "0.jpg"
    first = mark(b"one")
    assert not difference(first, mark(b"one"))
    name = difference(first, mark(b"two"))
    assert name == "content of the training videos"
    place.unlink()
    if kind == "video":
        gone = identity([(path, 0)], (), RECIPE, ClipSpec())
        assert not difference(first, gone)


def test_two_processes_do_not_train_into_one_folder(
    build, items, tmp_path, monkeypatch
):
    monkeypatch.setattr(_Run, "_fit", _save_at_once)
    with filelock.FileLock(tmp_path / ".lock"):
        with pytest.raises(WeightsError, match="Another process is training"):
            _train(build(), items, tmp_path)
    assert os.listdir(tmp_path) in ([], [".lock"])
    _train(build(), items, tmp_path)


class _Diverge(keras.callbacks.Callback):
    """A callback that makes weights of an epoch's begin no numbers."""

    def __init__(self, epoch):
        super().__init__()
        self._epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self._epoch:
            weight = self.model.trainable_weights[0]
            weight.assign(np.full(weight.shape, np.nan, "float32"))


def test_a_run_that_diverges_ends_at_once(build, items, tmp_path):
    with pytest.raises(WeightsError, match=r"diverged in epoch 1: .* is nan"):
        _train(build(), items, tmp_path, [_Diverge(0)])
    assert not (tmp_path / "log.csv").exists()


def test_a_step_that_breaks_the_weights_last_keeps_none_of_them(
    build, items, tmp_path
):
    """The losses before it were numbers, and its weights were the best."""

    class Break(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            weight = self.model.trainable_variables[-1]
            weight.assign(weight * float("nan"))

    with pytest.raises(WeightsError, match="epoch 1: its val_loss is nan"):
        training.train(
            build(),
            items,
            RECIPE.replace(batch_size=len(items)),
            tmp_path,
            validation=items[::3],
            settings=RunSettings(epochs=2, workers=1),
            callbacks=[Break()],
        )


def test_a_run_that_diverges_late_ends_with_its_best_weights(
    build, items, tmp_path
):
    said, model = [], build()
    metrics = training.train(
        model,
        items[1:],
        RECIPE,
        tmp_path,
        validation=items[:1],
        settings=RunSettings(workers=1, epochs=3),
        callbacks=[_Diverge(1)],
        announce=said.append,
    )
    assert metrics["epochs"] == 1 and metrics["best"]["epoch"] == 0
    assert all(np.isfinite(x).all() for x in model.get_weights())
    assert "diverged in epoch 2" in said[-1]
    assert said[-1].endswith("The weights of epoch 1 are kept.")


def test_a_run_s_classes_keep_their_names_and_order(
    build, items, video_folder, tmp_path, monkeypatch
):
    """A renamed folder would give an output of a trained class its name."""
    monkeypatch.setattr(_Run, "_fit", _save_at_once)

    def train(*classes):
        model = build()
        update_card(model, classes=list(classes))
        return _train(model, items, tmp_path)

    train("slides", "stands")
    train("slides", "stands")
    with pytest.raises(WeightsError, match="other classes: .*'slides'"):
        train("stands", "zz")


def test_classes_of_a_list_are_found_by_name(
    build, video_folder, tmp_path, monkeypatch
):
    shown = []
    monkeypatch.setattr(_Run, "go", lambda run, *lists: shown.append(lists))
    videos = read_annotations(video_folder)
    model = build()
    for classes, expected in (
        (["stands", "slides"], [1] * 6 + [0] * 6),
        (["slides", "stands"], [0] * 6 + [1] * 6),
        (None, [0] * 6 + [1] * 6),
    ):
        update_card(model, classes=classes)
        training.train(model, videos, RECIPE, tmp_path, validation=videos)
        for pairs in shown.pop()[:2]:
            assert [label for _, label in pairs] == expected
    update_card(model, classes=["runs", "stands"])
    with pytest.raises(SpecError, match="does not know the classes slides"):
        training.train(model, videos, RECIPE, tmp_path)


def test_videos_to_validate_on_are_part_of_a_run_s_identity():
    result = identity([("a", 0)], [("b", 1)], RECIPE, ClipSpec())
    other = identity([("a", 0)], [("c", 1)], RECIPE, ClipSpec())
    assert difference(result, other) == "validation videos"


def test_checkpoint_without_identity_goes_on(
    build, items, tmp_path, monkeypatch
):
    def identity(*items_and_more, **settings):
        return {}

    monkeypatch.setattr(_Run, "_fit", _save_at_once)
    monkeypatch.setattr("keras_twostream.training._run.identity", identity)
    _train(build(), items, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(_Run, "_fit", _save_at_once)
    _train(build(), items, tmp_path, seed=1)


@pytest.mark.agnostic
def test_early_stopping_keeps_the_best(build, items, tmp_path):
    best = training.KeepBest(tmp_path / "b.npz", "val_accuracy", patience=1)
    model = build()
    best.set_model(model)
    first = model.get_weights()
    best.on_epoch_end(0, {"val_accuracy": 0.5})
    model.set_weights([weight + 1 for weight in first])
    best.on_epoch_end(1, {"val_accuracy": 0.4})
    assert model.stop_training
    best.load_best(model)
    np.testing.assert_array_equal(first[0], model.get_weights()[0])
    best.path.unlink()  # the last weights do not take their place in silence
    with pytest.raises(WeightsError, match="missing or damaged.*--keep last"):
        best.load_best(model)


def test_stop_of_another_callback_holds(build, tmp_path):
    best = training.KeepBest(tmp_path / "b.npz", "val_accuracy", patience=9)
    model = build()
    best.set_model(model)
    best.on_epoch_end(0, {"val_accuracy": 0.5})
    model.stop_training = True
    best.on_epoch_end(1, {"val_accuracy": 0.4})
    assert model.stop_training


def test_run_that_stopped_early_does_not_go_on(build, items, tmp_path):
    best = training.KeepBest(tmp_path / "best.npz", patience=1)
    best.state = {"best": 0.5, "epoch": 0}
    companions = (best, training.RunLog(tmp_path / "log.csv"))
    resume = training.Resume(tmp_path / "checkpoint.npz", 0.0, companions)
    resume.set_model(_ready(build()))
    resume.epoch = 2
    resume.save()
    metrics = _train(build(), items, tmp_path, patience=1, epochs=3)
    assert metrics["epochs"] == 2


@pytest.mark.usefixtures("untraced")
def test_validation_reads_flow_as_training_does(build, tmp_path):
    def validated(folder, bound, recipe):
        footage = (moving_frames(), true_fields(), bound)
        path = write_layout("i3d_npy", tmp_path / folder, *footage)
        held, out = [(path, 0)] * 2, tmp_path / f"{folder} run"
        training.train(build(), held, recipe, out, validation=held)
        return json.loads((out / "metrics.json").read_text())["last"]

    recipe = RECIPE.replace(epochs=1, batch_size=2)
    expected = validated("usual", 20.0, recipe)["val_loss"]
    recipe = recipe.replace(input={**recipe.input, "bound": 10.0})
    metrics = validated("other", 10.0, recipe)["val_loss"]
    assert metrics == pytest.approx(expected, rel=1e-4)


def test_labels_are_as_wide_as_the_model(build, items, tmp_path):
    settings = RunSettings(multi_label=True, workers=1)
    run = _Run(build(5), RECIPE, tmp_path, settings)
    part = [(items[0][0], 1), (items[1][0], (0, 2)), (items[2][0], ())]
    _, labels, _ = next(iter(run.clips.validation(part, 3)))
    assert labels.numpy()[:3].tolist() == [
        [0, 1, 0, 0, 0],
        [1, 0, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]


def test_several_heads_are_refused(build, items, tmp_path):
    model = build(heads={"ucf101": 2, "hmdb51": 2})
    with pytest.raises(SpecError, match="the heads ucf101, hmdb51"):
        _train(model, items, tmp_path)


def test_an_unknown_keep_is_refused():
    with pytest.raises(SpecError, match="`keep` must be one of best, last"):
        RunSettings(keep="first")


@pytest.mark.parametrize(
    "name, value",
    [
        ("epochs", 0),
        ("epochs", -1),
        ("batch_size", 2.5),
        ("patience", 0),
        ("workers", 0),
        ("devices", 0),
        ("seed", -1),
        ("checkpoint_seconds", -1.0),
    ],
)
def test_a_run_of_settings_without_sense_is_refused(name, value):
    """Of 0 epochs the recipe's were taken, and -1 marked a model as trained."""
    with pytest.raises(SpecError, match=f"`{name}` must be"):
        RunSettings(**{name: value})


# === The length of a run ===


class _Announcements(list):
    """Sentences that a run announced, as one text."""

    @property
    def text(self):
        return " ".join(self)


def _lengths(build, items, out, epochs):
    """Train for some epochs, and return metrics and the announcements."""
    announced = _Announcements()
    metrics = training.train(
        build(),
        items,
        RECIPE,
        out,
        settings=RunSettings(epochs=epochs, workers=1, keep="last"),
        announce=announced.append,
    )
    return metrics, announced.text


@pytest.mark.usefixtures("untraced")
def test_a_run_can_become_longer_and_shorter(build, items, tmp_path):
    _, text = _lengths(build, items, tmp_path, 1)
    assert "now to have" not in text
    metrics, text = _lengths(build, items, tmp_path, 2)
    assert metrics["epochs"] == 2 and metrics["planned"] == 2
    assert "1 of 1 epochs are done, and the run is now to have 2" in text
    assert "follows the schedule of 2 epochs" in text
    metrics, text = _lengths(build, items, tmp_path, 1)
    assert metrics["epochs"] == 2
    assert "now to have 1. So it ends here." in text
    metrics, text = _lengths(build, items, tmp_path, None)
    assert metrics["epochs"] == 2 and "now to have" not in text


def test_the_rate_after_a_change_of_length_is_that_of_the_new_one():
    recipe = training.load_recipe("actors").replace(
        learning_rate=1.0, schedule={"name": "cosine"}
    )
    assert rate_at(recipe, 10, 10) == pytest.approx(0.0, abs=1e-6)
    assert rate_at(recipe, 20, 10) == pytest.approx(0.5)
    assert rate_at(recipe.replace(schedule={"name": "constant"}), 1, 9) == 1.0


# === The fused score of streams that learn apart ===


@pytest.mark.usefixtures("untraced")
def test_the_fused_accuracy_is_logged_beside_the_streams(
    build, items, tmp_path, capsys
):
    model = build(outputs="streams")
    metrics = _train(model, items, tmp_path)
    for name in ("fused", "rgb", "flow"):
        assert 0 <= metrics["last"][f"{name}_accuracy"] <= 1
        assert 0 <= metrics["last"][f"val_{name}_accuracy"] <= 1
    assert "fused_loss" not in metrics["last"]
    parts = metrics["last"]["rgb_loss"], metrics["last"]["flow_loss"]
    assert metrics["last"]["loss"] == pytest.approx(sum(parts), rel=1e-3)
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"accuracy {metrics['last']['fused_accuracy']:.4f}" in last
    assert "rgb" not in last
    assert head_is_trained(model)


@pytest.mark.usefixtures("untraced")
def test_every_step_of_a_clip_has_a_loss(items, tmp_path):
    keras.utils.set_random_seed(0)
    model = kts.models.spatiotemporal_resnet(
        2,
        streams=("rgb",),
        depth=18,
        width=2,
        clip_length=2,
        outputs="steps",
        clip_spec={"crop": (32, 32), "short_side": 32, "temporal_stride": 3},
    )
    found = _train(model, items[::3], tmp_path, epochs=1)
    assert found["last"]["loss"] > 1.0  # two of about 0.7
    assert 0 <= found["last"]["val_accuracy"] <= 1
    used = training.fused_copy(model)
    assert used.output_shape == (None, 2)
    assert head_is_trained(used)


def test_the_fused_score_is_the_weighted_mean_of_the_streams(build, items):
    spec = {"stream_weights": [1.0, 3.0]}
    model = build(outputs="streams", clip_spec=spec)
    clips = {
        x.name: np.random.rand(2, *(side or 24 for side in x.shape[1:]))
        for x in model.inputs
    }
    out = with_fused(model).predict_on_batch(clips)
    expected = (out["rgb"] + 3 * out["flow"]) / 4
    np.testing.assert_allclose(out["fused"], expected, atol=1e-5)


def test_variables_keep_their_order_with_the_fused_score(build):
    """A checkpoint of an earlier version lists them by this order."""
    model = build(outputs="streams")
    paths = [weight.path for weight in model.weights]
    assert [weight.path for weight in with_fused(model).weights] == paths
    alone = build()
    assert with_fused(alone) is alone
