"""`keras-twostream train`: a model trained on a folder of videos."""

import re
import sys
from typing import Any

import click

from keras_twostream.cli import _console, _train_resume
from keras_twostream.cli._options import (
    check_device,
    debug_option,
    device_option,
    json_option,
    list_options,
    out_option,
    seed_option,
    there,
)
from keras_twostream.cli._settings import (
    clip_option,
    config_option,
    pairs_option,
    parse_text,
)

DEFAULT_MODEL = "spatiotemporal_resnet.actors"


def _pattern_with_group(_, __, value: str) -> str:
    """Check a regular expression whose first group names the recording."""
    try:
        groups = re.compile(value).groups
    except re.error as error:
        raise click.BadParameter(
            f"{value!r} is not a regular expression: {error}."
        ) from error
    if not groups:
        raise click.BadParameter(
            f"{value!r} has no group: put the part of the name that is the "
            "recording's into parentheses."
        )
    return value


@click.command("train")
@config_option("train")
@click.option(
    "--task",
    type=click.Choice(["clips", "tubes"]),
    default="clips",
    show_default=True,
    help="Name actions in clips, or find in tubes who does them.",
)
@click.option(
    "--data",
    required=True,
    callback=there,
    help="A folder with one folder of videos per class, a list, or a packed "
    "cache; for tubes a list of boxes, or the folder of J-HMDB or UCF-Sports.",
)
@click.option(
    "--model",
    default=None,
    show_default=f"{DEFAULT_MODEL}, or the teacher",
    help="A model, a weight to start from, or a run's or model's folder.",
)
@click.option(
    "--weights",
    metavar="none|TAG",
    help="Weights to start from; the model's default otherwise.",
)
@click.option("--recipe", help="A recipe's name or TOML file.")
@click.option(
    "--stage",
    type=click.IntRange(1),
    metavar="N",
    help="Only this stage of the recipe; all in order otherwise.",
)
@out_option
@click.option(
    "--val",
    metavar="PATH|test",
    help="Validate on this folder or list, or on the list's test part.",
)
@click.option(
    "--val-share",
    default=0.15,
    show_default=True,
    type=click.FloatRange(0, 0.9),
    help="Share of each class held out, without --val.",
)
@click.option(
    "--recordings",
    default=r"^(.+)_c\d+$",
    show_default=True,
    metavar="REGEX",
    callback=_pattern_with_group,
    help="Clips whose names agree in its first group are held out together.",
)
@click.option(
    "--split",
    type=int,
    help="Number of an official split, of UCF-101, HMDB-51 and the like.",
)
@click.option("--subset", help="Part of the list; train with --split.")
@list_options
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help="Passes over the videos; the recipe's otherwise. Another number makes "
    "a run in --out longer or shorter.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    help="Clips in a batch; the recipe's otherwise.",
)
@click.option("--streams", metavar="rgb,flow", help="Streams to train.")
@click.option(
    "--heads",
    metavar="COLUMN,COLUMN",
    help="Columns of labels in a CSV, each with a head of its own; a video "
    "counts for those that it has a label for.",
)
@pairs_option(
    "--option",
    "option",
    "An option of the model, such as depth=26.",
)
@clip_option(
    "spec",
    "A field of the clip, such as short_side=128 or crop=112,112.",
)
@pairs_option(
    "--set",
    "changes",
    "A field of the recipe, such as learning_rate=0.01.",
)
@pairs_option(
    "--input",
    "inputs",
    "An option of the input, such as mirror=false.",
)
@pairs_option(
    "--init",
    "init",
    "Start a stream from another run's model, or flow=rgb:RUN.",
    metavar="STREAM=RUN",
    parse=parse_text,
)
@click.option(
    "--distill",
    metavar="TEACHER",
    help="A trained two-stream model, or a run's folder, from which one stream "
    "(rgb) learns motion, so that it needs no flow when it is used.",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    help="Stop after this many epochs without a better validation.",
)
@click.option(
    "--keep",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Weights of the saved model.",
)
@click.option(
    "--cache",
    metavar="memory|DIR",
    help="Keep frames in memory, or frames and flow in a packed cache.",
)
@click.option("--workers", type=click.IntRange(1), help="Videos read at once.")
@click.option(
    "--devices",
    type=click.IntRange(1),
    help="Share each batch among this many devices of the machine.",
)
@click.option(
    "--tensorboard",
    is_flag=True,
    help="Write curves, pictures of what the network sees, and of what it "
    "confuses.",
)
@click.option("--balance", is_flag=True, help="Weigh rare classes more.")
@click.option(
    "--jit",
    type=click.Choice(["auto", "true", "false", "measure"]),
    default="auto",
    show_default=True,
    help="Whether XLA compiles the training step.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="Numbers that layers compute with; auto is bfloat16 on a GPU.",
)
@click.option(
    "--checkpoint-seconds",
    type=click.FloatRange(0),
    default=300.0,
    show_default=True,
    help="Seconds between two checkpoints within an epoch.",
)
@click.option(
    "--license",
    "license_",
    default="unspecified",
    help="Licence of the trained weights, for the model card.",
)
@click.option(
    "--data-terms",
    default="unspecified",
    help="Terms of the training videos, for the model card.",
)
@click.option(
    "--verbose",
    is_flag=True,
    help="Print every number of an epoch, also of each stream.",
)
@json_option
@seed_option
@device_option
@debug_option
def train_command(as_json: bool, **flags: Any) -> None:
    """Train a model, or resume the run in the folder --out.

    Example: keras-twostream train --data my_videos --out run
    """
    command = ["keras-twostream", *sys.argv[1:]]
    flags["model"] = flags["model"] or flags["distill"] or DEFAULT_MODEL
    if flags["task"] == "clips":
        _train_resume.refuse(flags)
    report = _run(flags, command)
    if as_json:
        _console.print_json(report)


def _run(flags: dict[str, Any], command: list[str]) -> dict[str, Any]:
    # It brings OpenCV, which `--help` does not wait for.
    from keras_twostream.cli import _train_checks as checks

    if flags.pop("task") == "tubes":
        recipe = checks.plan_of_tubes(flags)
        check_device()
        with _console.quiet():
            from keras_twostream.cli import _tubes_run
        return _tubes_run.train(flags, recipe)
    plan = checks.plan(flags)
    check_device()
    with _console.quiet():
        from keras_twostream.cli import _train_run
    return _train_run.run(flags, command, plan)
