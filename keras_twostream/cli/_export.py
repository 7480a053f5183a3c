"""`keras-twostream export`: a model file for other runtimes."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from keras_twostream.cli import _console
from keras_twostream.cli._files import check_writable, model_name
from keras_twostream.cli._options import (
    check_device,
    debug_option,
    device_option,
    head_option,
    json_option,
)

# Copied from keras_twostream.exporting, which takes long to import.
FORMATS = ("saved_model", "litert", "onnx")
PRECISIONS = ("float32", "float16", "int8")


@click.command("export")
@click.argument("model")
@click.argument("file", type=click.Path(path_type=Path))
@head_option
@click.option(
    "--format",
    "format",
    type=click.Choice(FORMATS),
    help="Format of FILE; by default that of its ending.",
)
@click.option(
    "--flow-inside",
    "flow",
    is_flag=True,
    help="Take raw frames, and compute the flow inside.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    help="Clips in a batch; any number by default.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="float32",
    show_default=True,
    help="Precision of the weights; int8 is for everything, in LiteRT.",
)
@click.option(
    "--calibrate",
    multiple=True,
    metavar="VIDEO|DIR",
    type=click.Path(exists=True),
    help="Videos that int8 takes its ranges from; may be given several times.",
)
@click.option(
    "--clip",
    type=click.Path(exists=True),
    metavar="VIDEO",
    help="Video to compare the scores on; a drawn actor by default.",
)
@json_option
@device_option
@debug_option
def export_command(
    model: str, file: Path, as_json: bool, **options: Any
) -> None:
    """Write a model for SavedModel, LiteRT or ONNX, and compare it there.

    MODEL is a weight, hf://user/repo or local:folder. FILE ends in .tflite or
    .onnx; a name without an ending is the folder of a SavedModel. The file is
    run by its own runtime, and kept if it gives the scores of the model.
    """
    name = model_name(model)
    check_writable(file.parent, by="")
    calibrate = options.pop("calibrate")
    options["calibrate"] = _videos(calibrate) if calibrate else None
    with _console.quiet():
        from keras_twostream import exporting
    check_device()
    with _converting():
        exported = exporting.export(name, file, **options)
    if as_json:
        _console.print_json(exported.to_json())
        return
    _show(exported)


@contextlib.contextmanager
def _converting() -> Iterator[None]:
    """Silence converters, and show the library's own warnings at the end."""
    with warnings.catch_warnings(record=True) as caught:
        try:
            with _console.quiet():
                yield
        finally:
            for warning in caught:
                if "keras_twostream" in Path(warning.filename).parts:
                    text = f"Warning: {warning.message}"
                    _console.err.print(text, markup=False, soft_wrap=True)


def _videos(names: tuple[str, ...]) -> list[str]:
    """Return the named videos, and those in the named folders."""
    from keras_twostream.data.lists.files import videos_in

    videos: list[str] = []
    for name in names:
        folder = Path(name)
        inside = videos_in(folder) if folder.is_dir() else [folder]
        videos += [str(path) for path in inside]
    return videos


def _show(exported: Any) -> None:
    say = _console.out.print
    say(
        f"{exported.path}: {exported.format}, {exported.precision}, "
        f"{exported.bytes / 1e6:.1f} MB, "
        f"{exported.milliseconds:.0f} ms a clip here",
        markup=False,
        soft_wrap=True,
    )
    for word, shapes in (("in", exported.inputs), ("out", exported.outputs)):
        for name, shape in shapes.items():
            sizes = " x ".join("any" if n is None else str(n) for n in shape)
            say(f"  {word:<4}{name:<14}{sizes}")
    say(
        f"Compared on {exported.compared_on}: logits differ by at most "
        f"{exported.difference:.1e} of the largest one."
    )
    if exported.agreement is not None:
        say(
            f"{exported.agreement:.0%} of the calibration clips keep their "
            "class."
        )
