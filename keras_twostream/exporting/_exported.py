"""The `export` function: write a model, run the file, compare the scores."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_twostream import _files, hub, inspection
from keras_twostream.errors import SpecError, check_choice, check_count
from keras_twostream.exporting import _artefacts, _checks, _network
from keras_twostream.exporting._artefacts import FORMATS, PRECISIONS
from keras_twostream.exporting._checks import Source
from keras_twostream.scoring import predicting
from keras_twostream.scoring.heads import one_head


@dataclasses.dataclass(frozen=True)
class Exported:
    """An exported file, and its comparison with the model.

    Attributes:
        path: The file, or the folder of a SavedModel.
        format: "saved_model", "litert" or "onnx".
        precision: "float32", "float16" or "int8".
        bytes: Size on disk.
        difference: Largest difference of a logit from the model's, as a
            share of the largest logit.
        milliseconds: Time that one clip takes in the format's runtime here.
        compared_on: Description of the clip that was run.
        inputs: Shapes by name; None for a free size.
        outputs: Shapes by name.
        agreement: Share of calibration clips that keep their class, for int8.
    """

    path: Path
    format: str
    precision: str
    bytes: int
    difference: float
    milliseconds: float
    compared_on: str
    inputs: dict[str, tuple[int | None, ...]]
    outputs: dict[str, tuple[int | None, ...]]
    agreement: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON-compatible values."""
        return {**dataclasses.asdict(self), "path": str(self.path)}


def export(
    model: keras.Model | str,
    path: str | os.PathLike,
    *,
    head: str | None = None,
    format: str | None = None,
    flow: bool = False,
    batch: int | None = None,
    precision: str = "float32",
    calibrate: Source | Sequence[Source] | None = None,
    clip: Source | None = None,
) -> Exported:
    """Write a model for another runtime, and compare it there.

    The file includes the preprocessing, and gives "logits" and "probabilities",
    (B, C). It is run on a clip by its own runtime before it gets its final
    name.

    Args:
        model: A model of this library whose head is trained, or a name for
            `load`.
        path: The file: `.tflite` for LiteRT, `.onnx` for ONNX; a name without
            an ending is the folder of a SavedModel.
        head: The head whose scores the file gives, of a model with one for
            each of several data sets.
        format: "saved_model", "litert" or "onnx"; taken from the path when
            None.
        flow: Whether the file takes raw frames, "frames" (B, span, H, W, 3),
            and computes optical flow, as `with_flow` does. Otherwise it
            takes "rgb" and "flow" as `clips` gives them.
        batch: Clips in a batch; any number when None.
        precision: "float32"; "float16", weights in half the bytes; or "int8",
            for LiteRT alone.
        calibrate: Videos, or a folder of them, that int8 takes its ranges
            from.
        clip: The video, or frames (T, H, W, 3), to compare on; a synthetic
            actor drawn with seed 0 when None.

    Returns:
        The exported file, and its comparison with the model.

    Raises:
        SpecError: If an argument is not as above, the format cannot hold the
            model, or the file's scores differ from the model's. Float32 must
            agree to 1e-4 of the largest logit, float16 to 1e-2, and int8 must
            give the same class on 0.95 of the calibration clips.
        UnknownNameError: If the model has no such head.
        UntrainedHeadError: If the model's classifier is random.
        MissingLibraryError: If ONNX's libraries are not installed.

    Example:
        >>> keras_twostream.export(model, "model.tflite", flow=True)
    """
    path = _files.expanded(path)
    format = _format_of(path, format)
    _check_options(format, precision, batch, calibrate)
    _check_backend()
    _check_target(path, format)
    _artefacts.check_libraries(format)
    model = hub.load(model) if isinstance(model, str) else model
    predicting.refuse_untrained(model)
    job = _Job(one_head(model, head), format, precision, flow, batch)
    with _files.workshop(path) as folder:
        part = folder / f"model{FORMATS[format]}"
        exported = job.run(part, path, calibrate, clip)
        _move(part, path)
    return exported


class _Job:
    """The work on one artefact, from the model to the comparison."""

    def __init__(
        self,
        model: keras.Model,
        format: str,
        precision: str,
        flow: bool,
        batch: int | None,
    ) -> None:
        self.format, self.precision = format, precision
        self.flow, self.batch = flow, batch
        self.network = _network.with_named_ends(model, flow)
        spec = inspection.clip_spec(model)
        self.spec = _network.frames_spec(spec) if flow else spec
        self.shapes = _network.input_shapes(
            self.network, self.spec.crop, batch, format != "saved_model"
        )

    def run(
        self,
        part: Path,
        path: Path,
        calibrate: Source | Sequence[Source] | None,
        clip: Source | None,
    ) -> Exported:
        """Write `part`, run it, and return the record of the final `path`."""
        clips, words = _checks.trial_clips(clip, self.spec)
        clips = _checks.as_inputs(clips, self.flow)
        ranges: list[_artefacts.Clips] = []
        tests: list[_artefacts.Clips] = []
        if calibrate is not None:
            ranges, tests = _checks.calibration(calibrate, self.spec, self.flow)
        examples = [_checks.batched(c, self.batch or 1) for c in ranges]
        _artefacts.write(
            self.network,
            self.shapes,
            part,
            self.format,
            self.precision,
            examples,
        )
        difference, milliseconds, agreement = self._measure(part, clips, tests)
        return Exported(
            path=path,
            format=self.format,
            precision=self.precision,
            bytes=_size(part),
            difference=difference,
            milliseconds=milliseconds,
            compared_on=words,
            inputs=self.shapes,
            outputs={
                name: (self.batch, *tensor.shape[1:])
                for name, tensor in self.network.output.items()
            },
            agreement=agreement,
        )

    def _measure(
        self,
        part: Path,
        clips: _artefacts.Clips,
        tests: Sequence[_artefacts.Clips],
    ) -> tuple[float, float, float | None]:
        """Return difference, milliseconds and agreement, or raise an error."""
        sizes = (1, 2) if self.batch is None else (self.batch,)
        batches = [_checks.batched(clips, size) for size in sizes]
        try:
            run = _artefacts.runner(part, self.format)
            difference = max(
                _checks.difference(run, self.network, b) for b in batches
            )
            same = None
            if tests:
                same = _checks.agreement(
                    run, self.network, tests, self.batch or 1
                )
            milliseconds = _checks.milliseconds(run, batches[0])
        except Exception as error:  # each runtime has errors of its own
            raise SpecError(
                f"The runtime of {self.format} does not run the file, so it "
                f"is not kept: {_artefacts.first_line(error)}. {self._advice()}"
            ) from error
        self._judge(difference, same)
        return difference, milliseconds, same

    def _advice(self) -> str:
        if self.batch is None:
            return "Try a fixed batch, batch=1, or another format."
        return "Try another format."

    def _judge(self, difference: float, agreement: float | None) -> None:
        limit = _checks.LIMITS[self.precision]
        if not difference <= limit:  # also refuses NaN
            raise SpecError(
                f"The logits of the {self.format} file differ by "
                f"{difference:.1e} of the largest one, and {self.precision} "
                f"is allowed {limit:.0e}, so it is not kept. {self._advice()}"
            )
        if agreement is not None and agreement < _checks.LEAST_AGREEMENT:
            raise SpecError(
                f"In int8 {agreement:.0%} of the calibration clips keep their "
                f"class, and {_checks.LEAST_AGREEMENT:.0%} must, so the file "
                "is not kept. Calibrate on more videos, or take float16."
            )


# === Arguments ===


def _format_of(path: Path, format: str | None) -> str:
    """Return the format, which must agree with the ending of the path."""
    by_suffix = {suffix: name for name, suffix in FORMATS.items()}
    if format is not None:
        check_choice("format", format, FORMATS)
    suffix = path.suffix.lower()
    if format is None:
        format = by_suffix.get(suffix)
    # A folder may have a dot in its name.
    wanted = FORMATS.get(format or "", None)
    if format is None or (wanted and suffix != wanted):
        raise SpecError(
            "A LiteRT file ends in .tflite, an ONNX file in .onnx, and the "
            f"folder of a SavedModel in nothing. Received: {path}"
        )
    return format


def _check_options(
    format: str, precision: str, batch: int | None, calibrate: Any
) -> None:
    check_choice("precision", precision, PRECISIONS)
    if batch is not None:
        check_count("batch", batch)
    if precision == "int8" and format != "litert":
        raise SpecError(
            "int8 is a precision of LiteRT alone. Write a .tflite file, or "
            f"take float16. Received: format={format!r}"
        )
    if (precision == "int8") != (calibrate is not None):
        raise SpecError(
            "int8 needs `calibrate`, videos like those that the model will "
            "see, and no other precision takes it. Received: "
            f"precision={precision!r}, calibrate={calibrate!r}"
        )


def _check_backend() -> None:
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise SpecError(
            "Models are exported on the TensorFlow backend: save this one, "
            "set KERAS_BACKEND=tensorflow and load it there. Received: the "
            f"{backend} backend"
        )


# === Disk ===


def _check_target(path: Path, format: str) -> None:
    """Refuse to replace a folder that is not a SavedModel."""
    replaceable = path.is_file() or not path.exists()
    if format == "saved_model":
        replaceable = (
            not path.exists()
            or (path / "saved_model.pb").exists()
            or (path.is_dir() and not any(path.iterdir()))
        )
    if not replaceable:
        raise SpecError(
            f"{path} is there already and is no {format} to be replaced. "
            "Remove it, or choose another name."
        )


def _move(part: Path, path: Path) -> None:
    if path.is_dir():
        # A folder can replace only an empty folder.
        os.replace(path, part.with_name("old"))
    _files.rename(part, path)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
