"""One run of `keras-twostream train`."""

import contextlib
import dataclasses
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import keras

from keras_twostream import _files, hub, inspection, training
from keras_twostream.cli import _console, _train_resume
from keras_twostream.cli import _train_setup as setup
from keras_twostream.cli._evaluate import show
from keras_twostream.cli._files import check_writable
from keras_twostream.cli._settings import parse_value
from keras_twostream.cli._train_checks import Plan, streams_of
from keras_twostream.data import layouts
from keras_twostream.data.cache import CacheFolder
from keras_twostream.scoring.reporting import report_on, save_scores
from keras_twostream.training import RunSettings
from keras_twostream.training._lists import Lists

GOES_ON = (
    "The same command goes on from {}, or begins anew without a checkpoint."
)
CLIPS = 10  # clips of each held-out video, at the end
SHOWN = 8  # videos shown in TensorBoard
RUN_FILES = ("boundaries.json", "config.toml", "log.csv", "metrics.json")


def run(
    flags: dict[str, Any], command: list[str], plan: Plan
) -> dict[str, Any]:
    """Build, train and save; report on standard error.

    Returns:
        The document that `--json` prints: the run's folder, the model's, the
        numbers of training and those of the held-out videos.
    """
    out: Path = flags["out"]
    keras.utils.set_random_seed(flags["seed"] or 0)
    training.set_precision(flags["precision"])
    lists = plan.lists
    before = None
    for number, recipe in plan.stages[:-1]:
        inner = {**flags, "out": out / f"stage{number}"}
        if not _train_resume.is_saved(inner["out"]):
            _console.say(f"Stage {number} of {len(plan.stages)}", err=True)
            _train(inner, command, recipe, lists, before)
        before = setup.load_anything(str(inner["out"]))
    _, last = plan.stages[-1]
    model, trained = _train(flags, command, last, lists, before)
    report = {"out": str(out), "model": str(out / "model"), **trained}
    if lists.validation and lists.heads:
        report["held_out"] = _measure_heads(model, lists, last, flags)
    elif lists.validation:
        results = _measure(model, lists.validation, last, flags)
        hub.state_metrics(out / "model", _rows(results, flags))
        report["held_out"] = results
    return report


def _train(
    flags: dict[str, Any],
    command: list[str],
    recipe: training.Recipe,
    lists: Lists,
    before: keras.Model | None,
) -> tuple[keras.Model, dict[str, Any]]:
    """Train and save a stage in `flags["out"]`, after the one `before`."""
    out = flags["out"]
    with _devices(flags["devices"], recipe):
        teacher = _teacher(flags)
        with setup.without_advice():
            model = _model(flags, recipe, lists, before, teacher)
        # The weights, the best ones, and an optimizer's two moments.
        check_writable(out, room=16 * model.count_params())
        written = [out / name for name in RUN_FILES]
        _files.refuse_replacing(written, [flags["data"], flags["val"]])
        base = _base(model, flags["init"])
        _console.say(
            f"{model.name}{base and f' from {base}'}: "
            f"{model.count_params():,} parameters, "
            f"{len(lists.classes)} classes, {len(lists.train)} videos to "
            f"train on, {len(lists.validation)} to validate",
            err=True,
        )
        if (out / "checkpoint.npz").exists():
            _console.say(f"Going on with the run in {out}.", err=True)
        _console.if_stopped(GOES_ON.format(out))
        begun = _Begun(lambda: _record(flags, command, recipe, model))
        trained = training.train(
            model,
            lists.train,
            recipe,
            out,
            validation=lists.validation,
            teacher=teacher,
            settings=_settings(flags, lists, flags["seed"] or 0),
            callbacks=[begun, *_callbacks(flags, lists, recipe)],
            announce=lambda line: _console.say(line, err=True),
        )
        begun.record()  # of a run that had no step left
    inspection.update_card(
        model,
        head_trained=True,
        head_classes={head: list(x) for head, x in lists.heads.items()},
    )
    model = training.fused_copy(model)
    _save(model, out, base, flags)
    return model, trained


def _devices(count: int | None, recipe: training.Recipe):
    """Return the context in which the model is built and trained.

    Raises:
        click.UsageError: If a batch does not divide among the devices.
    """
    if count is None:
        return contextlib.nullcontext()
    if recipe.batch_size % count:
        raise click.UsageError(
            f"Each of {count} devices takes an equal part of a batch. "
            f"Received: --devices {count}, batch_size={recipe.batch_size}. "
            "Choose a --batch-size that divides."
        )
    return training.devices(count)


def _teacher(flags: dict[str, Any]) -> keras.Model | None:
    if not flags["distill"]:
        return None
    return setup.load_anything(flags["distill"])


def _model(
    flags: dict[str, Any],
    recipe: training.Recipe,
    lists: Lists,
    before: keras.Model | None,
    teacher: keras.Model | None,
) -> keras.Model:
    options = dict(flags["option"])
    if lists.multi_label and recipe.options.get("outputs") == "steps":
        options.setdefault("outputs", "streams")  # whose loss takes vectors
    if before is not None:
        return training.next_stage(
            before,
            {**recipe.options, **options},
            {**recipe.spec, **dict(flags["spec"])},
        )
    streams = flags["streams"] or ("rgb" if teacher else None)
    if streams:
        options["streams"] = streams_of(streams)
    spec = dict(flags["spec"])
    if teacher is not None:
        spec = {**training.clip_of_teacher(teacher), **spec}
    if lists.multi_label:  # probabilities that add up to one cannot say it
        spec.setdefault("score_fusion", "logits")
    model = setup.build_model(
        flags["model"],
        flags["weights"],
        lists.classes,
        recipe,
        options,
        spec,
        lists.heads,
    )
    setup.start_streams(model, flags["init"])
    return model


def _settings(flags: dict[str, Any], lists: Lists, seed: int) -> RunSettings:
    return RunSettings(
        epochs=flags["epochs"],
        batch_size=flags["batch_size"]
        or dict(flags["changes"]).get("batch_size"),
        seed=seed,
        patience=flags["patience"],
        keep=flags["keep"],
        checkpoint_seconds=flags["checkpoint_seconds"],
        workers=flags["workers"],
        cache=flags["cache"],
        jit_compile=parse_value(flags["jit"]),
        multi_label=lists.multi_label,
        class_weight=lists.class_weight() if flags["balance"] else None,
        devices=flags["devices"] or 1,
        verbose=flags["verbose"],
    )


def _callbacks(
    flags: dict[str, Any], lists: Lists, recipe: training.Recipe
) -> list[keras.callbacks.Callback]:
    if not flags["tensorboard"]:
        return []
    if lists.heads:
        raise click.UsageError(
            "--tensorboard shows the classes of one head. Leave it out."
        )
    shown = (lists.validation or lists.train)[:SHOWN]
    folder = flags["out"] / "tensorboard"
    if not lists.validation:
        return [training.TensorBoardImages(folder, shown)]
    evaluation = training.VideoEvaluation(
        lists.validation, num_clips=1, **_reading(flags, recipe)
    )
    return [
        evaluation,
        training.TensorBoardImages(folder, shown, evaluation),
    ]


class _Begun(keras.callbacks.Callback):
    """Callback that records a run after its first step, not if that fails."""

    def __init__(self, record: Callable[[], None]) -> None:
        super().__init__()
        self._record, self._recorded = record, False

    def record(self) -> None:
        """Record the run, once."""
        if not self._recorded:
            self._record()
            self._recorded = True

    def on_train_batch_end(self, batch, logs=None):
        self.record()


def _record(flags, command, recipe, model) -> None:
    """Write a run's `config.toml`, which `--config` takes to repeat it."""
    out = flags["out"]
    if (out / "checkpoint.npz").exists():  # the config is that run's
        _note_epochs(out / "config.toml", flags["epochs"])
        return
    settings = {
        _train_resume.FLAGS.get(name, name): _train_resume.plain(value)
        for name, value in flags.items()
        if value not in (None, {}, ()) and name != "out"
    }
    _files.write_toml(
        out / "config.toml",
        {
            "command": shlex.join(command),
            "train": settings,
            "recipe": recipe.to_dict(),
            "model": setup.describe(model),
            "versions": setup.versions(),
        },
    )


def _note_epochs(config: Path, epochs: int | None) -> None:
    """Write another length into a run's config."""
    if epochs and config.is_file():
        values = _train_resume.read_config(config)
        values.setdefault("train", {})["epochs"] = epochs
        _files.write_toml(config, values)


def _measure(
    model: keras.Model,
    validation: list[tuple[str, Any]],
    recipe: training.Recipe,
    flags: dict[str, Any],
) -> dict[str, Any]:
    """Score the held-out videos, into `evaluation/` and as a report."""
    evaluator = training.VideoEvaluator(
        validation, num_clips=CLIPS, **_reading(flags, recipe)
    )
    scores = evaluator(model)
    weights = training.stream_weights(model)
    report = {
        **report_on(scores, weights, validation=flags["val"] != "test"),
        "videos": len(scores.names),
        "skipped": evaluator.skipped,
    }
    save_scores(scores, report, weights, flags["out"] / "evaluation")
    show(report, as_json=False, err=True)
    return report


def _measure_heads(
    model: keras.Model,
    lists: Lists,
    recipe: training.Recipe,
    flags: dict[str, Any],
) -> dict[str, Any]:
    """Score each head on the held-out videos that it has labels of."""
    reports = {}
    for head, classes in lists.heads.items():
        own = [(path, x[head]) for path, x in lists.validation if head in x]
        if not own:
            continue
        evaluator = training.VideoEvaluator(
            own, num_clips=CLIPS, head=head, **_reading(flags, recipe)
        )
        scores = dataclasses.replace(evaluator(model), classes=classes)
        weights = training.stream_weights(model)
        report = {**report_on(scores, weights), "videos": len(scores.names)}
        folder = flags["out"] / "evaluation" / head
        save_scores(scores, report, weights, folder)
        _console.say(head, err=True)
        show(report, as_json=False, err=True)
        reports[head] = report
    _files.write_json(flags["out"] / "evaluation" / "metrics.json", reports)
    return reports


def _rows(
    report: dict[str, Any], flags: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the rows of the model card for the held-out videos."""
    chosen = ", and used to choose the epoch" if flags["keep"] == "best" else ""
    return [
        {
            "name": name,
            "value": round(value, 4),
            "dataset": Path(flags["data"]).name,
            "split": f"held out{chosen}",
            "protocol": f"{CLIPS} centred clips of each of "
            f"{report['videos']} videos",
        }
        for name, value in report["accuracy"]["fused"].items()
        if name != "top5"
    ]


def _reading(flags: dict[str, Any], recipe: training.Recipe) -> dict[str, Any]:
    """Return an evaluator's options to read whole videos."""
    cache = flags["cache"]
    if cache is not None and CacheFolder(cache).contract() is None:
        cache = None  # in memory, or not yet begun
    return {
        "workers": flags["workers"],
        "cache": cache,
        "bound": recipe.input.get("bound", layouts.BOUND),
    }


def _base(model: keras.Model, init: Mapping[str, str]) -> str:
    """Return the names of the weights that training started from."""
    names = [inspection.card(model).get("weights"), *init.values()]
    return ", ".join(name for name in names if name)


def _save(
    model: keras.Model, out: Path, base: str, flags: dict[str, Any]
) -> None:
    hub.save_pretrained(
        model,
        out / "model",
        base=base,
        license=flags["license_"],
        data_terms=flags["data_terms"],
    )
    _console.say(f"The model is in {out / 'model'}.", err=True)
