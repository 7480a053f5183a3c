"""A whole training run in a folder, from data to metrics."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_twostream import _files
from keras_twostream.costs import costs
from keras_twostream.data import layouts, video_dataset
from keras_twostream.data.lists.annotations import Annotations, as_pairs
from keras_twostream.data.lists.labels import several
from keras_twostream.errors import SpecError, WeightsError, check_choice
from keras_twostream.inspection import (
    card,
    class_names,
    clip_spec,
    stated_classes,
    update_card,
)
from keras_twostream.scoring.plots import plot_curves
from keras_twostream.scoring.scorer import head_names, refuse_regions, scorer
from keras_twostream.spec import FUSED
from keras_twostream.training._ahead import build_ahead, step_alone
from keras_twostream.training._batches import filled_up, labelled
from keras_twostream.training._boundaries import BoundaryTable, rounds
from keras_twostream.training._checkpoint import (
    Diverged,
    KeepBest,
    RefuseDiverged,
    Resume,
    RunLog,
    planned_epochs,
)
from keras_twostream.training._compile import (
    boundary_scale,
    compile,
    output_names,
)
from keras_twostream.training._distillation import (
    Student,
    fed_clip,
    fingerprint,
)
from keras_twostream.training._identity import identity
from keras_twostream.training._plateau import plateaus
from keras_twostream.training._progress import Progress
from keras_twostream.training._recipes import Recipe
from keras_twostream.training._replaying import replayed
from keras_twostream.training._schedules import rate_at
from keras_twostream.training._several_heads import HeadLabels
from keras_twostream.training._throughput import ThroughputMonitor

# Seconds for each layer of a network until its first step is done: 7.4 s for
# the 397 layers of ST-ResNet-26 (benchmarks/startup.md).
_BUILDING = 0.018
_AGAIN = "and train again: the run goes on from its last checkpoint"


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """Settings of a run, beside its recipe.

    Attributes:
        epochs: Passes over the training list. When None, as many as the run
            in the folder had, or the recipe. A number lengthens or shortens
            that run; its schedule is stretched over the new length.
        batch_size: Clips in a batch; the recipe's when None.
        seed: Seed of everything random.
        patience: Epochs without a better validation before stopping, where
            there is a validation; the recipe's when None.
        keep: "best" or "last", the weights that the model ends with.
        checkpoint_seconds: Seconds between checkpoints within an epoch.
        workers: Number of videos read in parallel.
        cache: "memory" keeps decoded frames.
        jit_compile: See `compile`.
        multi_label: Whether labels are several classes at once.
        class_weight: Dict from class number to the weight of its clips.
        devices: Number of devices that share a batch in equal parts.
        verbose: Whether a line of progress has every number, and not the loss
            and the accuracy alone.
    """

    epochs: int | None = None
    batch_size: int | None = None
    seed: int = 0
    patience: int | None = None
    keep: str = "best"
    checkpoint_seconds: float = 300.0
    workers: int | None = None
    cache: str | None = None
    jit_compile: bool | str = "auto"
    multi_label: bool = False
    class_weight: dict[int, float] | None = None
    devices: int = 1
    verbose: bool = False

    def __post_init__(self) -> None:
        check_choice("keep", self.keep, ("best", "last"))


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
    run = _Run(model, recipe, Path(out), settings, announce, teacher)
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
        self.clip = fed_clip(model, teacher)
        if teacher is None:
            self.model = with_fused(model)
        else:
            self.model = Student(model, teacher, recipe.distill)
        self.several_heads = len(head_names(model)) > 1
        _refuse_unfit_for_heads(self)
        self.epochs = settings.epochs or 0
        self.batch_size = settings.batch_size or recipe.batch_size

    def go(self, items, validation, callbacks) -> dict[str, Any]:
        listed, items = len(items), self._readable(items)
        if not self.settings.batch_size:
            self.batch_size = self.recipe.fitted_batch(len(items))
        self.batch_size = self._filled_by(len(items))
        steps = len(items) // self.batch_size
        planned = planned_epochs(self.out / "checkpoint.npz")
        self.epochs = self.epochs or planned or self.recipe.passes(steps)
        self._announce(listed, len(items), steps)
        compile(
            self.model,
            self.recipe,
            steps=self._optimizer_steps(self.epochs, steps),
            multi_label=self.settings.multi_label,
            jit_compile=self.settings.jit_compile,
        )
        best = KeepBest(
            self.out / "best.npz",
            self._monitor(),
            self._patience(),
        )
        falls = plateaus(self.recipe, self._monitor() if validation else "loss")
        log = RunLog(self.out / "log.csv")
        resume = Resume(
            self.out / "checkpoint.npz",
            self.settings.checkpoint_seconds,
            (best, log, *falls),
            self.settings.seed,
            self._identity(items, validation),
        )
        resume.restore(self.model)
        callbacks = [RefuseDiverged(), *callbacks, *falls, best, log, resume]
        self.model.stop_training = best.exhausted(resume.epoch - 1)
        self._announce_length(planned, steps, resume)
        try:
            self._fit(items, validation, steps, resume, callbacks)
        except Diverged as error:
            self._end_with_best(best, error)
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

    def _end_with_best(self, best: KeepBest, error: Diverged) -> None:
        """End a run that diverged with its best weights, or raise."""
        epoch = best.state["epoch"]
        if epoch is None or self.settings.keep != "best":
            raise error
        self.announce(f"{error} The weights of epoch {epoch + 1} are kept.")

    def _announce(self, listed: int, readable: int, steps: int) -> None:
        """Announce the run, before the wait for the first step."""
        left_out = listed - readable
        self.announce(
            f"{readable} videos in batches of {self.batch_size}: {steps} steps "
            f"an epoch, {self.epochs} epoch{'s' * (self.epochs != 1)}"
            + (f"; {left_out} videos cannot be read" if left_out else "")
            + ". The first step builds the graph: about "
            f"{max(2, round(_BUILDING * len(self.model.layers)))} s on two "
            "idle cores."
        )

    def _announce_length(
        self, planned: int | None, steps: int, resume: Resume
    ) -> None:
        """Announce what another number of epochs changes in a run."""
        if self.model.stop_training and resume.epoch < self.epochs:
            self.announce(
                f"It had stopped early, after {resume.epoch} epochs; a larger "
                "patience lets it go on."
            )
        elif planned and planned != self.epochs:
            self.announce(
                f"{resume.epoch} of {planned} epochs are done, and the run is "
                f"now to have {self.epochs}. "
                + self._new_rate(planned, steps, resume)
            )

    def _new_rate(self, planned: int, steps: int, resume: Resume) -> str:
        """Return a sentence about the learning rate at the next step."""
        if resume.epoch >= self.epochs:
            return "So it ends here."
        if self.recipe.schedule["name"] == "plateau":
            return "The learning rate falls where it stands still, as before."
        step = resume.epoch * steps + resume.step
        step //= self.recipe.accumulate
        before, now = (
            rate_at(self.recipe, self._optimizer_steps(epochs, steps), step)
            for epochs in (planned, self.epochs)
        )
        return (
            f"The learning rate follows the schedule of {self.epochs} epochs "
            f"from here: {now:.2g} at the next step, in place of {before:.2g}."
        )

    def _optimizer_steps(self, epochs: int, steps: int) -> int:
        return max(1, epochs * steps // self.recipe.accumulate)

    def _patience(self) -> int | None:
        """Return the user's patience, or the recipe's, scaled by epochs."""
        if self.settings.patience or not self.recipe.patience:
            return self.settings.patience
        stretch = max(1.0, self.epochs / self.recipe.epochs)
        return round(self.recipe.patience * stretch)

    def _identity(self, items, validation) -> dict[str, Any]:
        weights = self.settings.class_weight or {}
        made = card(self.model)
        options = made.get("options", {})
        taught = {}
        if self.teacher is not None:
            taught["teacher"] = fingerprint(self.teacher)
        return identity(
            items,
            validation,
            self.recipe,
            clip_spec(self.model),
            architecture=made.get("architecture"),
            classes=made.get("classes"),
            head_classes=made.get("head_classes"),
            **{
                f"option.{k}": v for k, v in options.items() if k != "clip_spec"
            },
            epochs=self.epochs,
            batch_size=self.batch_size,
            seed=self.settings.seed,
            multi_label=self.settings.multi_label,
            class_weight={str(k): float(v) for k, v in weights.items()},
            **taught,
        )

    def _fit(self, items, validation, steps, resume, callbacks) -> None:
        """Call `model.fit`, first for the rest of an interrupted epoch."""
        held_out = self._validation(validation) if validation else None
        heads = HeadLabels(items, self.model) if self.several_heads else None
        flops = costs(self.model).flops
        monitor = ThroughputMonitor(self.batch_size, flops)
        table = self._boundaries(items)
        parts = resume.parts(steps, self.epochs)
        for part in rounds(parts, self.recipe.boundaries_every):
            self._search(table, resume)
            dataset = self._training(
                items, resume.epoch, resume.step, table or heads
            )
            progress = Progress(
                self.batch_size,
                steps,
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

    def _readable(self, items) -> list[tuple[str, Any]]:
        options = {"batch_size": 1, "training": True, **self.recipe.input}
        plain = items
        if self.several_heads:
            plain = [(path, 0) for path, _ in items]
        skipped = self._videos(plain, **options).skipped
        return [item for item in items if os.fspath(item[0]) not in skipped]

    def _filled_by(self, count: int) -> int:
        """Return the largest batch that `count` videos fill on all devices."""
        devices = self.settings.devices
        size = min(self.batch_size, count)
        if size < devices:
            raise SpecError(
                f"A batch must hold a clip for each of {devices} devices. "
                f"Received: batch_size={self.batch_size}, and {count} videos "
                "that can be read. Use more videos or fewer devices."
            )
        return size - size % devices

    def _boundaries(self, items) -> BoundaryTable | None:
        if not self.recipe.boundaries_every:
            return None
        if boundary_scale(self.model) is None:
            raise SpecError(
                f"The recipe {self.recipe.name!r} searches for boundaries, "
                f"and {self.model.name} does not give the scores of each. "
                "Build it with every_boundary=True, or set "
                "boundaries_every=0."
            )
        return BoundaryTable(items, clip_spec(self.model).clip_length)

    def _search(self, table: BoundaryTable | None, resume: Resume) -> None:
        """Find the boundaries of this round, or reload those it began with."""
        if table is None:
            return
        path = self.out / "boundaries.json"
        begins = resume.epoch % self.recipe.boundaries_every == 0
        if resume.step or not begins:
            table.load(path)
            return
        if resume.epoch:
            videos = self._videos(
                table.numbered, training=False, num_classes=None
            )
            table.search(self.model, videos)
        table.save(path)

    def _training(
        self,
        items,
        epoch: int,
        step: int,
        table: BoundaryTable | HeadLabels | None,
    ) -> tf.data.Dataset:
        options = dict(self.recipe.input)
        if table is not None:
            options["num_classes"] = None
            if options.get("even_classes"):
                options["even_classes"] = table.kinds
        dataset = self._videos(
            items if table is None else table.numbered,
            training=True,
            repeat=True,
            seed=self.settings.seed,
            start_epoch=epoch,
            start_step=step,
            **options,
        )
        skipped = dataset.skipped
        if table is not None:
            dataset = table.targets(dataset)
        if not self.several_heads:
            dataset = labelled(
                dataset, output_names(self.model), self.settings.class_weight
            )
        share = self.recipe.distill.get("replayed")
        if share:
            first = epoch * (len(items) // self.batch_size) + step
            seed = self.settings.seed
            dataset = replayed(dataset, self.clip, share, seed, first)
        dataset.skipped = skipped
        return dataset

    def _validation(self, items) -> tf.data.Dataset:
        bound = self.recipe.input.get("bound", layouts.BOUND)
        options: dict[str, Any] = {"training": False, "bound": bound}
        if self.several_heads:
            heads = HeadLabels(items, self.model)
            videos = self._videos(heads.numbered, num_classes=None, **options)
            return heads.targets(filled_up(videos, self.batch_size, items))
        videos = self._videos(items, **options)
        dataset = filled_up(videos, self.batch_size, items)
        return labelled(dataset, output_names(self.model))

    def _videos(self, items, **options: Any) -> tf.data.Dataset:
        usual = {
            "batch_size": self.batch_size,
            "workers": self.settings.workers,
            "cache": self.settings.cache,
            "num_classes": len(class_names(self.model)),
        }
        if self.settings.multi_label:
            items = [(path, several(label)) for path, label in items]
        clip = self.clip if options["training"] else clip_spec(self.model)
        return video_dataset(items, clip, **{**usual, **options})

    def _monitor(self) -> str:
        if output_names(self.model) is not None:
            return "val_loss"
        return "val_auc" if self.settings.multi_label else "val_accuracy"


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


def _refuse_unfit_for_heads(run: _Run) -> None:
    """Refuse settings that are of one head's classes."""
    unfit = {
        "multi_label": run.settings.multi_label,
        "class_weight": run.settings.class_weight,
        "boundaries_every": run.recipe.boundaries_every,
    }
    given = [name for name, value in unfit.items() if value]
    if run.several_heads and given:
        raise SpecError(
            f"{run.model.name} has several heads, and {given[0]} is of the "
            "classes of one. Leave it out, or build the model with one head."
        )
