"""Training of a detector: regions, network, features, SVMs.

Each stage leaves its result in the run's folder, so that a stopped run
continues where it was.

    run.json           what the run's numbers depend on
    regions/           frames, flow, proposals and true boxes of each video
    checkpoint.npz     the network in training; log.csv, its losses
    network.npz        the trained network
    svm.npz            norms of the features, and the SVMs
"""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_twostream import _files, _schema, inspection, registry, training
from keras_twostream._arrays import read_arrays, whole
from keras_twostream.detection.batches import FOREGROUND, RegionBatches
from keras_twostream.detection.cutting import Cutter, run_on_regions
from keras_twostream.detection.hinge import COST, HardNegativeSVM
from keras_twostream.detection.store import (
    AnnotatedVideo,
    RegionStore,
    VideoRegions,
    labels_of,
)
from keras_twostream.errors import (
    SpecError,
    WeightsError,
    check_count,
    check_number,
)
from keras_twostream.layers import Rescale
from keras_twostream.training._boundaries import rounds
from keras_twostream.training._distillation import fingerprint
from keras_twostream.training._identity import identity, refuse_other
from keras_twostream.training._progress import Progress, counted
from keras_twostream.training._run import locked

TARGET_NORM = 20.0  # norm of one stream's features
NEGATIVE = 0.3  # a region with less overlap is a negative of the class
_VIDEOS, _REGIONS = 200, 200  # limits when norms are measured
_EPOCH = 50  # steps between two lines of the log
_LARGEST = 1 << 22  # bytes of run.json
_BEGIN_ANEW = "Delete it, and that stage begins anew."


@dataclasses.dataclass(frozen=True)
class DetectorSettings:
    """Settings of a detector's training, in addition to its recipe.

    Attributes:
        frames: Number of evenly spaced frames per training video; all when
            None.
        steps: Training steps of the network; the recipe's when None.
        batch_size: Number of regions in a batch; the recipe's when None.
        cost: C of the SVMs.
        seed: Seed of everything random.
        checkpoint_seconds: Seconds between two checkpoints of the network.

    Raises:
        SpecError: If a setting is not as above.
    """

    frames: int | None = 8
    steps: int | None = None
    batch_size: int | None = None
    cost: float = COST
    seed: int = 0
    checkpoint_seconds: float = 300.0

    def __post_init__(self) -> None:
        for name in ("frames", "steps", "batch_size"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        check_number("cost", self.cost)
        check_count("seed", self.seed, least=0)
        check_number("checkpoint_seconds", self.checkpoint_seconds, ends=True)


def train_detector(
    videos: Sequence[AnnotatedVideo],
    out: str | os.PathLike,
    *,
    classes: Sequence[str] | None = None,
    recipe: "str | training.Recipe" = "action_tubes",
    settings: DetectorSettings | None = None,
    report: Callable[[str], None] = lambda line: None,
    network: keras.Model | None = None,
    **options: Any,
) -> keras.Model:
    """Train a detector of action tubes, or resume the folder's run.

    Args:
        videos: Videos with true tracks, as `read_boxes` returns them.
        out: The run's folder.
        classes: Names of the actions; the tracks' labels, sorted, when None.
        recipe: Training recipe; its tables `options` and `spec` define the
            network.
        settings: See `DetectorSettings`.
        report: Function called with a line of text after each stage, and
            every few seconds within it.
        network: A trained model of `action_tubes` whose streams are kept as
            they are: only the SVMs are trained, such as for new actions, or
            for one of its two streams.
        **options: More options of `models.action_tubes`: `streams`, `width`,
            `regions`, `clip_spec`, ...

    Returns:
        The detector: a model of `action_tubes` with `head="svm"`.

    Raises:
        VideoError: If no video can be read.
        SpecError: If there is no track, a track's label is none of the
            classes, or every or no region of the videos shows a class.
        WeightsError: If the folder belongs to another run, or another process
            trains into it.

    Example:

    ```python
    videos = detection.read_boxes("boxes.json")
    detector = detection.train_detector(videos, "run")
    keras_twostream.detect("street.mp4", detector)
    ```
    """
    run = _Run(
        list(videos),
        _files.expanded(out),
        list(classes or _labels(videos)),
        training.load_recipe(recipe),
        settings or DetectorSettings(),
        options,
        report,
    )
    with locked(run.out):
        return run.go(network)


def _labels(videos: Sequence[AnnotatedVideo]) -> list[str]:
    labels = labels_of(videos)
    if not labels:
        raise SpecError(
            f"The {len(videos)} videos have no track, so there is no action "
            "to learn. Give videos with boxes, as `read_boxes` returns them."
        )
    return labels


def _tracks_of(video: AnnotatedVideo) -> str:
    """Return a digest of a video's tracks."""
    facts = [
        [(x.label, x.frames.tolist(), x.boxes.tolist()) for x in tracks]
        for tracks in (video.tracks, video.given)
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


@dataclasses.dataclass
class _Run:
    videos: list[AnnotatedVideo]
    out: Path
    classes: list[str]
    recipe: training.Recipe
    settings: DetectorSettings
    options: dict[str, Any]
    report: Callable[[str], None]

    def go(self, network: keras.Model | None) -> keras.Model:
        detector = self._build("svm")
        store = RegionStore(
            self.out / "regions",
            self.videos,
            self.classes,
            inspection.clip_spec(detector),
            inspection.region_spec(detector),
            self.settings.frames,
        )
        facts = self._identity(detector, network)
        self._refuse_other(facts)
        progress = counted("regions of video", self.report)
        for path, reason in store.fill(progress).items():
            self.report(f"Left out: {path}: {reason}")
        if not (self.out / "run.json").exists():  # it claims the folder
            _files.write_json(self.out / "run.json", facts)
        self.report(f"Regions of {len(store)} videos are in {self.out}.")
        if network is None:
            network = self._build("softmax")
            self._train(network, store, facts)
        _copy(network, detector)
        self._fit_svms(detector, store)
        inspection.update_card(
            detector, classes=list(self.classes), head_trained=True
        )
        return detector

    # === What was begun ===

    def _identity(
        self, detector: keras.Model, network: keras.Model | None
    ) -> dict[str, Any]:
        """Return the facts that the folder's stages must agree with."""
        settings = dataclasses.asdict(self.settings)
        del settings["checkpoint_seconds"]
        options = inspection.card(detector)["options"]
        return identity(
            [(video.path, _tracks_of(video)) for video in self.videos],
            (),
            self.recipe,
            inspection.clip_spec(detector),
            classes=self.classes,
            **{
                f"option.{name}": value
                for name, value in options.items()
                if name != "clip_spec"
            },
            **settings,
            network=network and fingerprint(network),
        )

    def _refuse_other(self, facts: dict[str, Any]) -> None:
        """Refuse to go on with another run than was begun."""
        place = self.out / "run.json"
        if not place.exists():
            return
        text = _schema.read_text(place, _LARGEST, hint=_BEGIN_ANEW)
        with whole(place, WeightsError, _BEGIN_ANEW):
            saved = dict(_schema.parse_json(text, place))
        refuse_other(saved, facts, f"{self.out}")

    # === The network ===

    def _build(self, head: str) -> keras.Model:
        softmax = head == "softmax"
        options = {**self.recipe.options, **self.options, "head": head}
        options["clip_spec"] = {
            **self.recipe.spec,
            **(self.options.get("clip_spec") or {}),
        }
        options["regions"] = {
            **(self.recipe.options.get("regions") or {}),
            **(self.options.get("regions") or {}),
        }
        count = len(self.classes) + softmax
        keras.utils.set_random_seed(self.settings.seed)
        builder = registry.model_entry("action_tubes").builder
        outputs = "streams" if softmax else "fused"
        return builder(count, **{**options, "outputs": outputs})

    def _train(
        self, network: keras.Model, store: RegionStore, facts: dict[str, Any]
    ) -> None:
        """Train the softmax over regions, each stream by itself."""
        place = self.out / "network.npz"
        if place.exists():
            _restore(network, place)
            return
        steps = self.settings.steps or self.recipe.steps or 2000
        epochs = max(1, steps // _EPOCH)
        length = steps // epochs
        training.compile(network, self.recipe, steps=epochs * length)
        log = training.RunLog(self.out / "log.csv")
        resume = training.Resume(
            self.out / "checkpoint.npz",
            self.settings.checkpoint_seconds,
            (log,),
            self.settings.seed,
            facts,
        )
        resume.restore(network)
        batches = self._batches(network, store, length)
        progress = Progress(
            self._batch_size,
            length,
            epochs,
            resume.step,
            self.report,
            unit="regions",
        )
        for part in rounds(resume.parts(length, epochs), 1):
            batches.start = resume.epoch * length + resume.step
            network.fit(
                batches,
                **part,
                shuffle=False,
                callbacks=[log, resume, progress],
                verbose=0,
            )
        _keep(network, place)
        self.report(f"The network is trained, {epochs * length} steps.")

    def _batches(self, network, store, length: int) -> RegionBatches:
        return RegionBatches(
            store,
            Cutter(network),
            list(network.output) if isinstance(network.output, dict) else None,
            self._batch_size,
            length,
            mirror=self.recipe.input.get("mirror", True),
            foreground=self.recipe.input.get("foreground", FOREGROUND),
            seed=self.settings.seed,
        )

    @property
    def _batch_size(self) -> int:
        return self.settings.batch_size or self.recipe.batch_size

    # === The classifiers ===

    def _fit_svms(self, detector: keras.Model, store: RegionStore) -> None:
        """Measure the features' norms, then train one SVM per action."""
        features = RegionFeatures(detector)
        head = detector.layers[-1]
        place = self.out / "svm.npz"
        if not place.exists():
            norms = features.mean_norms(store)
            features.scale(norms)
            weights, biases = _svms(
                features,
                store,
                self.settings,
                counted("SVMs, pass over video", self.report),
            )
            _files.write_arrays(
                place, {"weights": weights, "biases": biases, **norms}
            )
            self.report(f"The SVMs of {len(self.classes)} actions are trained.")
        arrays = read_arrays(place, WeightsError, _BEGIN_ANEW)
        with whole(place, WeightsError, _BEGIN_ANEW):
            features.scale({x: arrays[x] for x in features.streams})
            head.kernel.assign(arrays["weights"])
            head.bias.assign(arrays["biases"])


class RegionFeatures:
    """The features of regions, scaled for the SVMs.

    Args:
        detector: A model of action_tubes with `head="svm"`.
    """

    def __init__(self, detector: keras.Model) -> None:
        self._detector, self._cutter = detector, Cutter(detector)
        self.streams = self._cutter.spec.streams
        last = detector.layers[-1]
        self._joined = keras.Model(detector.inputs, last.input)

    def scale(self, norms: dict[str, Any]) -> None:
        """Scale features from the given mean norms to a norm of 20."""
        for stream in self.streams:
            layer = self._detector.get_layer(f"{stream}_scale")
            layer.factor.assign([TARGET_NORM / float(norms[stream])])

    def of(self, regions: VideoRegions, which: np.ndarray) -> np.ndarray:
        """Return (R, D) features of the regions of these numbers."""
        return run_on_regions(
            self._joined,
            self._cutter,
            regions.frames,
            regions.fields,
            regions.places[which],
            regions.boxes[which],
        )

    def mean_norms(self, store: RegionStore) -> dict[str, np.ndarray]:
        """Return the mean norm of each stream's features before scaling.

        It is measured on the first frame with regions of at most 200 videos,
        with at most 200 regions of each frame.
        """
        self.scale(dict.fromkeys(self.streams, TARGET_NORM))
        norms: list[np.ndarray] = []
        for video in range(min(len(store), _VIDEOS)):
            regions = store[video]
            first = np.flatnonzero(regions.places == regions.places[:1])
            values = self.of(regions, first[:_REGIONS])
            parts = np.split(values, len(self.streams), axis=1)
            norms.append(np.stack([np.linalg.norm(x, axis=1) for x in parts]))
        means = np.concatenate(norms, axis=1).mean(axis=1)
        if not (means > 0).all():
            raise WeightsError(
                "The features of the training regions are all 0: the network "
                "did not train. Look at log.csv, and lower learning_rate."
            )
        return {x: means[i] for i, x in enumerate(self.streams)}


def _svms(
    features: RegionFeatures,
    store: RegionStore,
    settings: DetectorSettings,
    progress: Callable[[int, int], None],
) -> tuple[np.ndarray, np.ndarray]:
    """Return (D, C) weights and (C,) biases of the trained SVMs.

    One pass over the videos collects positives, another one negatives."""
    count = len(store)
    svms = [
        HardNegativeSVM(rows, settings.cost)
        for rows in _positives(
            features, store, lambda done: progress(done, 2 * count)
        )
    ]
    order = np.random.default_rng(settings.seed).permutation(count)
    for done, video in enumerate(order.tolist(), count + 1):
        regions = store[video]
        for frame in range(len(regions.frames)):
            here = np.flatnonzero(regions.places == frame)
            values, shared = features.of(regions, here), regions.shared[here]
            for label, svm in enumerate(svms):
                svm.add(values[shared[:, label] < NEGATIVE])
        progress(done, 2 * count)
    for svm in svms:
        svm.fit()
    _refuse_untaught(svms, store.classes)
    weights = np.stack([svm.weights for svm in svms], axis=1)
    return weights, np.array([svm.bias for svm in svms])


def _refuse_untaught(
    svms: Sequence[HardNegativeSVM], classes: Sequence[str]
) -> None:
    """Refuse classes that every region shows: nothing sets them apart."""
    names = [x for x, svm in zip(classes, svms, strict=True) if not svm.trained]
    if names:
        raise SpecError(
            f"Every region of the training videos shows {', '.join(names)}, so "
            "there is nothing to tell it from. Give boxes of other things, too "
            "(`given`), or more classes."
        )


def _positives(
    features: RegionFeatures,
    store: RegionStore,
    progress: Callable[[int], None],
) -> list[np.ndarray]:
    """Return (N, D) features of the true boxes of each class."""
    rows: list[list[np.ndarray]] = [[] for _ in store.classes]
    for video in range(len(store)):
        true = np.flatnonzero(store[video].labels >= 0)
        values = features.of(store[video], true)
        for row, label in zip(values, store[video].labels[true], strict=True):
            rows[label].append(row)
        progress(video + 1)
    missing = [x for x, row in zip(store.classes, rows, strict=True) if not row]
    if missing:
        raise SpecError(
            "No true box of these actions is in the frames that were kept: "
            f"{', '.join(missing)}. Keep more frames of each video "
            "(`frames`), or leave the classes out."
        )
    return [np.stack(row) for row in rows]


# === Weights ===


def _copy(network: keras.Model, detector: keras.Model) -> None:
    """Copy the network's weights, except for its classifier.

    Raises:
        WeightsError: If the network lacks a layer of the detector's streams.
    """
    own = {layer.name: layer.get_weights() for layer in network.layers}
    for layer in detector.layers[:-1]:
        if not layer.weights or isinstance(layer, Rescale):
            continue
        values = own.get(layer.name, [])
        if [value.shape for value in values] != [
            tuple(weight.shape) for weight in layer.weights
        ]:
            raise WeightsError(
                f"{network.name} has no layer {layer.name} of this shape, so "
                "the detector cannot take its streams. Give the options that "
                "it was built with."
            )
        layer.set_weights(values)


def _keep(network: keras.Model, place: Path) -> None:
    values = {
        f"{number}": keras.ops.convert_to_numpy(weight)
        for number, weight in enumerate(network.weights)
    }
    _files.write_arrays(place, values)


def _restore(network: keras.Model, place: Path) -> None:
    arrays = read_arrays(place, WeightsError, _BEGIN_ANEW)
    with whole(place, WeightsError, _BEGIN_ANEW):
        values = [arrays[f"{number}"] for number in range(len(arrays))]
    shapes = [value.shape for value in values]
    if shapes != [tuple(weight.shape) for weight in network.weights]:
        raise WeightsError(
            f"{place} holds another network than the one asked for. Choose "
            "another folder, or the options of that run."
        )
    network.set_weights(values)
