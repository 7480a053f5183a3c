"""A whole training run in a folder, from data to metrics."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_twostream import _files
from keras_twostream.costs import costs
from keras_twostream.data.lists.annotations import Annotations, as_pairs
from keras_twostream.errors import SpecError, WeightsError
from keras_twostream.inspection import (
    card,
    clip_spec,
    stated_classes,
    update_card,
)
from keras_twostream.scoring.heads import head_names
from keras_twostream.scoring.plots import plot_curves
from keras_twostream.scoring.scorer import refuse_regions, scorer
from keras_twostream.spec import FUSED
from keras_twostream.training._ahead import build_ahead, step_alone
from keras_twostream.training._boundaries import (
    BoundaryTable,
    boundary_table,
    rounds,
)
from keras_twostream.training._checkpoint import (
    Diverged,
    KeepBest,
    RefuseDiverged,
    Resume,
    RunLog,
    planned_epochs,
)
from keras_twostream.training._compile import compile, output_names
from keras_twostream.training._distillation import (
    Student,
    fed_clip,
    fingerprint,
)
from keras_twostream.training._identity import identity
from keras_twostream.training._plateau import plateaus
from keras_twostream.training._progress import Progress
from keras_twostream.training._recipes import Recipe
from keras_twostream.training._run_clips import RunClips
from keras_twostream.training._run_settings import RunSettings
from keras_twostream.training._schedules import rate_at
from keras_twostream.training._throughput import ThroughputMonitor

# Seconds for each layer of a network until its first step is done: 7.4 s for
# the 397 layers of ST-ResNet-26 (benchmarks/startup.md).
_BUILDING = 0.018
_AGAIN = "and train again: the run goes on from its last checkpoint"


def train(
    model: keras.Model,
    items: Annotations | Sequence[tuple[str, Any]],
    recipe: Recipe,
    out: str | os.PathLike,
    *,
    validation: Annotations | Sequence[tuple[str, Any]] = (),
    teacher: keras.Model | None = None,
    settings: RunSettings | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    announce: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Train a model, or resume a run that was killed.

    The folder gets `checkpoint.npz`, `best.npz`, `log.csv` and
    `metrics.json`. The model ends with its best (or last) weights.

    Args:
        model: A model of this library. It is compiled here; one whose streams
            have a loss each is trained through another model of its layers,
            which also fuses their scores.
        items: An `Annotations`, whose classes are found by name where both
            sides have names, or (path, label) pairs, to train on. Where the
            model has several heads, a label is a dict from head to class
            number, without the heads that the video has no label for.
        recipe: The training settings.
        out: The run's folder.
        validation: As `items`, for the accuracy by clip after each epoch, from
            one centred clip per video.
        teacher: A trained model that the model learns from, too, with the
            weights of `recipe.distill`; it is frozen and stays as it is. The
            model has one stream, and takes the teacher's clip of it.
        settings: See `RunSettings`.
        callbacks: More callbacks, called before those that keep the best
            weights and save. Their state is not part of a checkpoint.
        announce: Function that is told the videos, batch size, steps and epochs
            before training begins.

    Returns:
        The contents of `metrics.json`.

    Raises:
        SpecError: If a setting is wrong, or the teacher does not fit.
        UntrainedHeadError: If the teacher's classifier is random.
        VideoError: If no video can be read.
        WeightsError: If the folder's checkpoint is of another model, other
            videos or other settings, another process trains into it, it
            cannot be written, or the loss is no number any more and no best
            weights are kept.
    """
    call = "train(model, items, recipe, out)"
    names = [] if len(head_names(model)) > 1 else stated_classes(model)
    pairs = as_pairs(items, call, names)
    held_out = as_pairs(validation, call, names) if len(validation) else []
    settings = settings or RunSettings()
    run = _Run(model, recipe, _files.expanded(out), settings, announce, teacher)
    with locked(run.out), _files.refused(out, WeightsError, _AGAIN):
        return run.go(pairs, held_out, list(callbacks))


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep other processes from writing a run into a folder.

    Raises:
        WeightsError: If another process holds it, or it cannot be written.
    """
    with contextlib.ExitStack() as stack:
        with _files.refused(out, WeightsError, _AGAIN):
            held = stack.enter_context(_files.held(out, wait=False))
        if not held:
            raise WeightsError(
                f"Another process is training into {out}. Wait for it, or "
                "choose another folder."
            )
        yield


class _Run:
    def __init__(
        self,
        model: keras.Model,
        recipe: Recipe,
        out: Path,
        settings: RunSettings,
        announce: Callable[[str], None] = lambda line: None,
        teacher: keras.Model | None = None,
    ) -> None:
        self.announce = announce
        self.recipe, self.out = recipe, out
        self.settings, self.teacher = settings, teacher
        refuse_regions(model)
        _refuse_no_teacher(recipe, teacher)
        clip = fed_clip(model, teacher)
        if teacher is None:
            self.model = with_fused(model)
        else:
            self.model = Student(model, teacher, recipe.distill)
        self.clips = RunClips(self.model, clip, recipe, settings)
        _refuse_unfit_for_heads(self.model, recipe, settings)

    def go(self, items, validation, callbacks) -> dict[str, Any]:
        readable = self.clips.readable(items)
        self._plan(len(readable))
        self._announce(len(readable), len(items) - len(readable))
        compile(
            self.model,
            self.recipe,
            steps=self._optimizer_steps(self.epochs),
            multi_label=self.settings.multi_label,
            jit_compile=self.settings.jit_compile,
        )
        best = KeepBest(
            self.out / "best.npz", self._monitor(), self._patience()
        )
        falls = plateaus(self.recipe, self._monitor() if validation else "loss")
        log = RunLog(self.out / "log.csv")
        resume = Resume(
            self.out / "checkpoint.npz",
            self.settings.checkpoint_seconds,
            (best, log, *falls),
            self.settings.seed,
            self._identity(readable, validation),
        )
        resume.restore(self.model)
        self.model.stop_training = best.exhausted(resume.epoch - 1)
        self._announce_length(resume)
        callbacks = [RefuseDiverged(), *callbacks, *falls, best, log, resume]
        try:
            self._fit(readable, validation, resume, callbacks)
        except Diverged as error:
            self._end_with_best(best, error)
        return self._end(best, log, resume)

    def _plan(self, readable: int) -> None:
        """Fix the batch size, the steps of an epoch and the epochs."""
        self.batch_size = self._batch_size(readable)
        self.steps = readable // self.batch_size
        self.planned = planned_epochs(self.out / "checkpoint.npz")
        self.epochs = (
            self.settings.epochs
            or self.planned
            or self.recipe.passes(self.steps)
        )

    def _batch_size(self, count: int) -> int:
        """Return the largest batch that `count` videos fill on all devices."""
        devices = self.settings.devices
        wanted = self.settings.batch_size or self.recipe.fitted_batch(count)
        size = min(wanted, count)
        if size < devices:
            raise SpecError(
                f"A batch must hold a clip for each of {devices} devices. "
                f"Received: batch_size={wanted}, and {count} videos "
                "that can be read. Use more videos or fewer devices."
            )
        return size - size % devices

    def _end_with_best(self, best: KeepBest, error: Diverged) -> None:
        """End a run that diverged with its best weights, or raise."""
        epoch = best.state["epoch"]
        if epoch is None or self.settings.keep != "best":
            raise error
        self.announce(f"{error} The weights of epoch {epoch + 1} are kept.")

    def _end(
        self, best: KeepBest, log: RunLog, resume: Resume
    ) -> dict[str, Any]:
        """Give the model its last or best weights, and write the numbers."""
        if self.settings.keep == "best":
            best.load_best(self.model)
        # The optimiser is that of another model of its layers.
        update_card(self.model, head_trained=True)
        metrics = {
            "monitor": best.monitor,
            "epochs": resume.epoch,
            "planned": self.epochs,
            "best": best.state,
            "last": log.state[-1] if log.state else {},
        }
        _files.write_json(self.out / "metrics.json", metrics)
        if log.state:
            plot_curves(log.state, self.out / "curves.png")
        return metrics

    def _announce(self, readable: int, left_out: int) -> None:
        """Announce the run, before the wait for the first step."""
        self.announce(
            f"{readable} videos in batches of {self.batch_size}: {self.steps} "
            f"steps an epoch, {self.epochs} epoch{'s' * (self.epochs != 1)}"
            + (f"; {left_out} videos cannot be read" if left_out else "")
            + ". The first step builds the graph: about "
            f"{max(2, round(_BUILDING * len(self.model.layers)))} s on two "
            "idle cores."
        )

    def _announce_length(self, resume: Resume) -> None:
        """Announce what another number of epochs changes in a run."""
        if self.model.stop_training and resume.epoch < self.epochs:
            self.announce(
                f"It had stopped early, after {resume.epoch} epochs; a larger "
                "patience lets it go on."
            )
        elif self.planned and self.planned != self.epochs:
            self.announce(
                f"{resume.epoch} of {self.planned} epochs are done, and the "
                f"run is now to have {self.epochs}. "
                + self._new_rate(self.planned, resume)
            )

    def _new_rate(self, planned: int, resume: Resume) -> str:
        """Return a sentence about the learning rate at the next step."""
        if resume.epoch >= self.epochs:
            return "So it ends here."
        if self.recipe.schedule["name"] == "plateau":
            return "The learning rate falls where it stands still, as before."
        step = resume.epoch * self.steps + resume.step
        step //= self.recipe.accumulate
        before, now = (
            rate_at(self.recipe, self._optimizer_steps(epochs), step)
            for epochs in (planned, self.epochs)
        )
        return (
            f"The learning rate follows the schedule of {self.epochs} epochs "
            f"from here: {now:.2g} at the next step, in place of {before:.2g}."
        )

    def _optimizer_steps(self, epochs: int) -> int:
        return max(1, epochs * self.steps // self.recipe.accumulate)

    def _monitor(self) -> str:
        if output_names(self.model) is not None:
            return "val_loss"
        return "val_auc" if self.settings.multi_label else "val_accuracy"

    def _patience(self) -> int | None:
        """Return the user's patience, or the recipe's, scaled by epochs."""
        if self.settings.patience or not self.recipe.patience:
            return self.settings.patience
        stretch = max(1.0, self.epochs / self.recipe.epochs)
        return round(self.recipe.patience * stretch)

    def _identity(self, items, validation) -> dict[str, Any]:
        made = card(self.model)
        kept = ("architecture", "classes", "head_classes")
        settings = {name: made.get(name) for name in kept}
        for name, value in made.get("options", {}).items():
            if name != "clip_spec":
                settings[f"option.{name}"] = value
        if self.teacher is not None:
            settings["teacher"] = fingerprint(self.teacher)
        weights = self.settings.class_weight or {}
        return identity(
            items,
            validation,
            self.recipe,
            clip_spec(self.model),
            **settings,
            epochs=self.epochs,
            batch_size=self.batch_size,
            seed=self.settings.seed,
            multi_label=self.settings.multi_label,
            class_weight={str(k): float(v) for k, v in weights.items()},
        )

    def _fit(self, items, validation, resume, callbacks) -> None:
        """Call `model.fit`, first for the rest of an interrupted epoch."""
        held_out = self.clips.validation(validation, self.batch_size)
        monitor = ThroughputMonitor(self.batch_size, costs(self.model).flops)
        table = boundary_table(self.model, self.recipe, items)
        parts = resume.parts(self.steps, self.epochs)
        for part in rounds(parts, self.recipe.boundaries_every):
            if table is not None:
                self._search(table, resume)
            dataset = self.clips.training(
                items, table, self.batch_size, resume.epoch, resume.step
            )
            progress = Progress(
                self.batch_size,
                self.steps,
                self.epochs,
                resume.step,
                verbose=self.settings.verbose,
            )
            build_ahead(self.model, dataset)
            step_alone(self.model)
            self.model.fit(
                monitor.watch(dataset),
                **part,
                shuffle=False,
                validation_data=held_out,
                callbacks=[monitor, *callbacks, progress],
                verbose=0,
            )
            if self.model.stop_training:
                break

    def _search(self, table: BoundaryTable, resume: Resume) -> None:
        """Find the boundaries of this round, or reload those it began with."""
        path = self.out / "boundaries.json"
        if resume.step or resume.epoch % self.recipe.boundaries_every:
            table.load(path)
            return
        if resume.epoch:
            videos = self.clips.videos(
                [], self.batch_size, table, training=False
            )
            table.search(self.model, videos)
        table.save(path)


def _refuse_no_teacher(recipe: Recipe, teacher: keras.Model | None) -> None:
    if recipe.distill and teacher is None:
        raise SpecError(
            f"The recipe {recipe.name!r} distils, and there is no teacher. "
            "Give train(..., teacher=model), or on the command line --distill."
        )


def with_fused(model: keras.Model) -> keras.Model:
    """Return a model that also gives the fused score of its streams.

    Args:
        model: A model; only one that gives a score per stream needs it.

    Returns:
        The same layers with the output "fused", or the model itself.
    """
    names = output_names(model)
    if names is None or len(names) < 2 or head_names(model):
        return model
    outputs = {**model.output, FUSED: scorer(model).output[FUSED]}
    return keras.Model(model.inputs, outputs, name=model.name)


def _refuse_unfit_for_heads(
    model: keras.Model, recipe: Recipe, settings: RunSettings
) -> None:
    """Refuse settings that are of one head's classes."""
    unfit = {
        "multi_label": settings.multi_label,
        "class_weight": settings.class_weight,
        "boundaries_every": recipe.boundaries_every,
    }
    given = [name for name, value in unfit.items() if value]
    if len(head_names(model)) > 1 and given:
        raise SpecError(
            f"{model.name} has several heads, and {given[0]} is of the "
            "classes of one. Leave it out, or build the model with one head."
        )
