"""The runtime that scores clips: Keras, or ONNX Runtime.

ONNX Runtime fuses what Keras runs layer by layer, yet it is slower with many a
large network. A network is exported once for each batch shape, compared with
Keras on the job's own first batch, and kept in the cache folder under a hash of
its architecture, weights and shape; a mark beside it says if Keras was quicker.
"""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_twostream import _acceleration, _answers, _files, onnx_files
from keras_twostream._arrays import bytes_of
from keras_twostream.errors import SpecError, check_choice
from keras_twostream.onnx_files import Clips
from keras_twostream.pretrained._verify import cache_folder
from keras_twostream.scoring.scorer import add_scores

ENGINES = ("auto", "keras", "onnxruntime")
LONG = 200  # clips of a job for which an export is worth its time
_SUFFIX = "_scores"
LARGEST_DIFFERENCE = 1e-4  # of the largest score


class Engine:
    """The runtime of one job.

    "auto" takes ONNX Runtime on a CPU where its libraries are installed, if
    an export of this network is in the cache already, or the job has 200
    clips or more, for which it makes one. It takes Keras wherever the export
    fails, differs or is slower, and for a network that computes in half
    precision, as an export computes in float32.

    Args:
        asked: "auto", "keras" or "onnxruntime".
        network: A model from `scorer`.
        clips: Number of clips that the job will score, about.

    Attributes:
        used: "keras" or "onnxruntime", after the first batch.

    Raises:
        SpecError: If `asked` is none of the three, or ONNX Runtime and the
            backend cannot export, or the network computes in half precision.
        MissingLibraryError: If ONNX Runtime is asked for and not installed.
    """

    def __init__(self, asked: str, network: keras.Model, clips: int) -> None:
        check_engine(asked)
        self._asked, self._network = asked, network
        self._exports = asked == "onnxruntime" or clips >= LONG
        half = precision_of(network) != "float32"
        if half and asked == "onnxruntime":
            raise SpecError(
                f"ONNX Runtime scores in float32, and {network.name} computes "
                "in half precision. Choose engine='keras' (`--engine keras`), "
                "or float32 with `training.set_precision` (`--precision`)."
            )
        self._open = asked == "onnxruntime" or (_may_be_onnx() and not half)
        self._runners: dict[Any, onnx_files.Runner | None] = {}
        self.used = "keras"

    def __call__(self, clips: Clips) -> Clips | None:
        """Return the scores of a batch by output; None for Keras to do it.

        Raises:
            SpecError: If ONNX Runtime is asked for, and the network cannot
                be exported or its scores differ.
        """
        if self._asked == "keras" or not self._open:
            return None
        clips = {k: np.asarray(v, "float32") for k, v in clips.items()}
        shapes = {name: clip.shape for name, clip in clips.items()}
        key = tuple(sorted(shapes.items()))
        if key not in self._runners:
            self._runners[key] = self._runner(clips, shapes)
        run = self._runners[key]
        if run is None:
            return None
        self.used = "onnxruntime"
        return run(clips)

    def scores(self, clips: Clips) -> Clips:
        """Return the scores of a batch by output, from either runtime."""
        return self(clips) or _answers.answer(self._network, clips)

    def adding(
        self, add: Callable[..., Any], method: str
    ) -> Callable[..., Any]:
        """Return a step like `add` that scores by this engine if it can."""

        def step(sums: Any, clips: Clips, video: Any, mask: Any) -> Any:
            scores = self(clips)
            if scores is None:
                return add(sums, clips, video, mask)
            return add_scores(sums, scores, video, mask, method)

        return step

    def _runner(self, clips: Clips, shapes: Any) -> onnx_files.Runner | None:
        if not self._exports and not _folder().is_dir():
            return None
        path = export_path(self._network, shapes)
        try:
            if self._exports and not path.exists():
                _export(self._network, clips, shapes, path)
            if not path.exists() or self._passes_over(path):
                return None
            if path not in _opened:
                _opened[path] = _runner_of(path)
        except Exception as error:  # converters raise any type of error
            if self._asked == "auto":
                return None
            if isinstance(error, SpecError):
                raise
            raise SpecError(
                f"{self._network.name} cannot be run by ONNX Runtime: {error}. "
                "Choose engine='keras'."
            ) from error
        return _opened[path]

    def _passes_over(self, path: Path) -> bool:
        return self._asked == "auto" and _mark_of_slower(path).exists()


_opened: dict[Path, Callable[[Clips], Clips]] = {}


def check_engine(asked: str) -> None:
    """Refuse an engine that is unknown or cannot run here.

    Raises:
        SpecError: If `asked` is not in `ENGINES`, or the backend cannot
            export.
        MissingLibraryError: If ONNX Runtime is asked for and not installed.
    """
    check_choice("engine", asked, ENGINES)
    if asked != "onnxruntime":
        return
    onnx_files.check_installed("The engine onnxruntime")
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise SpecError(
            "The engine onnxruntime exports on the TensorFlow backend: set "
            "KERAS_BACKEND=tensorflow, or choose engine='keras'. Received: "
            f"the {backend} backend"
        )


def has_exports(asked: str) -> bool:
    """Return whether a job may be scored by an export, there or to be made."""
    if asked != "auto":
        return asked == "onnxruntime"
    return any(_folder().glob("*.onnx")) and _may_be_onnx()


def export_path(network: keras.Model, shapes: Any) -> Path:
    """Return the place of a network's export in the cache folder."""
    digest = hashlib.sha256()
    facts = [network.get_config(), sorted(shapes.items()), onnx_files.VERSION]
    digest.update(json.dumps(facts, default=str, sort_keys=True).encode())
    for weight in network.get_weights():
        digest.update(bytes_of(weight))
    return _folder() / f"{digest.hexdigest()[:32]}.onnx"


def _folder() -> Path:
    return cache_folder() / "engines"


def _may_be_onnx() -> bool:
    """Return whether "auto" may take ONNX Runtime on this machine."""
    return (
        keras.backend.backend() == "tensorflow"
        and not onnx_files.missing()
        and not _acceleration.has_gpu()
    )


def precision_of(network: keras.Model) -> str:
    """Return the half precision that layers compute in, or "float32"."""
    layers = network._flatten_layers(include_self=False)
    halves = (x.compute_dtype for x in layers if "16" in x.compute_dtype)
    return next(halves, "float32")


def _export(
    network: keras.Model, clips: Clips, shapes: Any, path: Path
) -> None:
    """Write the export; it takes its name once its scores are right."""
    named = with_scores_apart(network)
    with _files.workshop(path) as folder:
        part = folder / path.name
        onnx_files.write(named, shapes, part)
        ours, seconds = _timed(_runner_of(part), clips)
        expected, seconds_of_keras = _timed(network.predict_on_batch, clips)
        for name, scores in expected.items():
            _compare(name, ours[name], scores)
        if seconds > seconds_of_keras:
            _mark_of_slower(path).touch()
        _files.rename(part, path)


def _mark_of_slower(path: Path) -> Path:
    return path.with_suffix(".slower")


def _timed(run: Callable[[Clips], Clips], clips: Clips) -> tuple[Clips, float]:
    """Return scores and the seconds of the quickest of three calls.

    Where the first one takes ten seconds, it is the only one.
    """
    quickest = np.inf
    for _ in range(3):
        start = time.perf_counter()
        scores = run(clips)
        quickest = min(quickest, time.perf_counter() - start)
        if quickest > 10:
            break
    return scores, quickest


def with_scores_apart(network: keras.Model) -> keras.Model:
    """Return a scorer whose outputs are not named like its inputs.

    In a file an input and an output cannot both be "rgb".
    """
    inputs = {tensor.name: tensor for tensor in network.inputs}
    outputs = {f"{k}{_SUFFIX}": x for k, x in network.output.items()}
    return keras.Model(inputs, outputs, name=network.name)


def _runner_of(path: Path) -> onnx_files.Runner:
    """Return a function that runs an export, under a scorer's own names."""
    run = onnx_files.open_file(path)
    return lambda clips: {
        name.removesuffix(_SUFFIX): scores
        for name, scores in run(clips).items()
    }


def _compare(name: str, ours: np.ndarray, expected: np.ndarray) -> None:
    difference = np.abs(ours - expected).max() / np.abs(expected).max()
    if not difference <= LARGEST_DIFFERENCE:  # also refuses NaN
        raise SpecError(
            f"ONNX Runtime's scores of {name} differ from Keras's by "
            f"{difference:.1e} of the largest one, and "
            f"{LARGEST_DIFFERENCE:.0e} is allowed. Choose engine='keras'."
        )
