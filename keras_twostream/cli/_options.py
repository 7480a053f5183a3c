"""Options with the same meaning in every command."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from keras_twostream.cli import _console
from keras_twostream.spec import FLOW_ALGORITHMS, SAMPLINGS

Command = Callable[..., Any]  # a function that click makes a command of

TF_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
TF_SILENT = "3"  # errors too: TensorFlow counts absent GPUs among them
ENGINES = ("auto", "keras", "onnxruntime")
CROPS = (
    "centre",
    "3-crop",
    "4-crop",
    "10-crop",
    "18-crop",
    "whole",
    "whole_mirrored",
)


# The videos that a command reads, for `_files.expand`.
files_argument = click.argument(
    "files", nargs=-1, required=True, metavar="FILE..."
)


def file_option(
    flag: str, name: str, text: str
) -> Callable[[Command], Command]:
    """Return a decorator that adds a file to write; "~" is the user's home."""
    return click.option(
        flag,
        name,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        callback=lambda _, __, path: path and Path(os.path.expanduser(path)),
        help=text,
    )


no_video_option = click.option(
    "--no-video", is_flag=True, help="Draw nothing, only answer."
)
default_model_option = click.option(
    "--model",
    "name",
    help="A weight, hf://user/repo or local:folder; by default that of "
    "`predict`.",
)
head_option = click.option(
    "--head",
    metavar="NAME",
    help="The data set whose classes are asked for, of a model with a head "
    "for each of several; `info` names them.",
)
yes_option = click.option(
    "--yes",
    is_flag=True,
    help="Download the default weights, if need be, without asking.",
)
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("."),
    metavar="DIR",
    callback=lambda _, __, path: Path(os.path.expanduser(path)),
    help="Folder for the files; the current one by default.",
)
json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON document and nothing else.",
)
flow_option = click.option(
    "--flow",
    "algorithm",
    type=click.Choice(FLOW_ALGORITHMS),
    help="Optical flow; by default what the weights were trained with.",
)
engine_option = click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="Runtime of the network; auto is ONNX Runtime on a CPU, if it is "
    "quicker, for networks exported before and jobs of 200 clips or more.",
)
precision_option = click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Numbers that layers compute with; bfloat16 is quicker on a GPU and "
    "on processors that know it, and rounds scores.",
)
root_option = click.option(
    "--root", help="Folder of the videos that a list names."
)
bound_option = click.option(
    "--bound",
    type=click.FloatRange(0, min_open=True),
    default=20.0,
    show_default=True,
    help="Pixels that another tool's flow on disk was clipped at.",
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="The same seed gives the same run.",
)


def where_option(*others: str) -> Callable[[Command], Command]:
    """Return a decorator that adds `--on NAME`: where a command's work is done.

    Args:
        *others: Further names of the flag.
    """
    return click.option(
        "--on",
        *others,
        "where",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        callback=_with_ray,
        help="Run on this machine, or on the Ray cluster that it belongs to.",
    )


def _with_ray(
    context: click.Context, parameter: click.Parameter, value: str
) -> str:
    """Refuse a cluster without Ray before anything is loaded or written."""
    if value == "ray":
        from keras_twostream import _cluster

        _cluster.library()
    return value


def there(
    context: click.Context, parameter: click.Parameter, value: str
) -> str:
    """Refuse a path that leads nowhere before anything slow is done."""
    if "://" not in value and not os.path.exists(os.path.expanduser(value)):
        raise click.BadParameter(
            f"There is no folder or file {value}. Check the path."
        )
    return value


def list_options(function: Command) -> Command:
    """Add `--root DIR` and `--format NAME`, for a list of videos."""
    function = click.option(
        "--format", "list_format", help="Format of the list."
    )(function)
    return root_option(function)


class ClipCount(click.ParamType):
    """A number of clips, or "all", which gives None and covers the video."""

    name = "N|all"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int | None:
        """Return the number; see `click.ParamType.convert`."""
        if value is None or value == "all":
            return None
        if str(value).isdigit() and int(value) > 0:
            return int(value)
        self.fail(f"{value!r} is not a number of clips, nor 'all'.", param, ctx)


def views_options(function: Command) -> Command:
    """Add `--clips`, `--step`, `--crops`, `--protocol`: the tested views."""
    for option in (
        click.option(
            "--step",
            type=click.IntRange(1),
            metavar="FRAMES",
            help="Frames from one dense clip to the next; a clip's length by "
            "default.",
        ),
        click.option(
            "--protocol",
            type=click.Choice(SAMPLINGS),
            help="How clips are placed; the model's own way by default.",
        ),
        click.option(
            "--crops",
            type=click.Choice(CROPS),
            default="centre",
            show_default=True,
            help="Crops of each frame.",
        ),
        click.option(
            "--clips",
            "num_clips",
            type=ClipCount(),
            default=10,
            show_default=True,
            help="Clips of each video; all covers it, with dense clips.",
        ),
    ):
        function = option(function)
    return function


def cover_dense(flags: dict[str, Any]) -> None:
    """Place clips without a gap if all of them, or a step, is asked for."""
    covering = flags["num_clips"] is None or flags["step"] is not None
    if covering and flags["protocol"] is None:
        flags["protocol"] = "dense"


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool):
    ctx.meta["debug"] = value
    if value and os.environ.get(TF_LEVEL) == TF_SILENT:
        os.environ[TF_LEVEL] = "0"


def _choose_device(ctx: click.Context, parameter: click.Parameter, value: str):
    """Hide unwanted devices from every backend."""
    if not re.fullmatch(r"auto|cpu|gpu(:\d+)?", value):
        raise click.BadParameter(
            f"{value!r} is not one of auto, cpu, gpu, gpu:0, gpu:1, ...",
            param=parameter,
        )
    ctx.meta["device"] = value
    if value == "cpu":
        os.environ.update(CUDA_VISIBLE_DEVICES="-1", JAX_PLATFORMS="cpu")
    if value.startswith("gpu:"):
        os.environ["CUDA_VISIBLE_DEVICES"] = value.partition(":")[2]


# Eager: chosen before a backend is imported.
device_option = click.option(
    "--device",
    default="auto",
    metavar="auto|cpu|gpu|gpu:N",
    callback=_choose_device,
    expose_value=False,
    is_eager=True,
    help="Device that runs the network.",
)
debug_option = click.option(
    "--debug",
    is_flag=True,
    callback=_remember_debug,
    expose_value=False,
    is_eager=True,
    help="Show where an error arose, and the backend's own messages.",
)


def refuse_flags_of_clips(taken: frozenset[str], task: str) -> None:
    """Refuse flags that were given and that no work on detectors reads.

    Args:
        taken: Parameters that it reads or explains.
        task: The flag that asks for it.

    Raises:
        click.UsageError: If there is such a flag.
    """
    context = click.get_current_context()
    default = (ParameterSource.DEFAULT, ParameterSource.ENVIRONMENT)
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) not in (*default, None)
        if given and name not in taken:
            raise click.UsageError(
                f"{parameter.opts[-1]} is of networks that see clips, and "
                f"{task} does not take it."
            )


def check_device() -> None:
    """Refuse a requested GPU that is missing; this imports the backend.

    Raises:
        click.UsageError: If `--device gpu` finds no GPU.
    """
    # A process of a cluster has no command line.
    context = click.get_current_context(silent=True)
    meta = {} if context is None else context.meta
    if not meta.get("device", "auto").startswith("gpu"):
        return
    with _console.quiet():
        from keras_twostream.training import has_gpu

        gpu = has_gpu()
    if not gpu:
        raise click.UsageError(
            "There is no GPU that the Keras backend can see. Check the "
            "driver and the backend's GPU build, or use --device cpu."
        )
