"""`keras-twostream features`: activations of clips, for other programs."""

from typing import Any

import click

from keras_twostream.cli import _console, _networks
from keras_twostream.cli._evaluate import show
from keras_twostream.cli._files import check_writable, name_anywhere
from keras_twostream.cli._options import (
    bound_option,
    check_device,
    cover_dense,
    debug_option,
    device_option,
    json_option,
    list_options,
    out_option,
    there,
    views_options,
    where_option,
)


@click.command("features")
@click.argument("model")
@click.option(
    "--data",
    required=True,
    callback=there,
    help="A folder, a list or a video; its classes are for --svm alone.",
)
@click.option(
    "--tap",
    "taps",
    multiple=True,
    help="An activation such as rgb.pool5; repeat for several. By default "
    "what the classifier of each stream sees.",
)
@out_option
@views_options
@click.option(
    "--svm",
    metavar="TEST",
    help="Train a linear SVM on the features of --data, and measure it on "
    "this folder or list.",
)
@click.option(
    "--batch-size", type=click.IntRange(1), default=16, show_default=True
)
@click.option(
    "--file-format",
    type=click.Choice(["safetensors", "npy"]),
    default="safetensors",
    show_default=True,
)
@where_option("--engine")
@click.option(
    "--workers", type=click.IntRange(1), help="Videos at once on a cluster."
)
@list_options
@bound_option
@json_option
@device_option
@debug_option
def features_command(as_json: bool, **flags: Any) -> None:
    """Write named activations of every video's clips.

    One file per video; files that are there already, of a video that has not
    changed, are not made again. A folder holds features of one model and one
    set of taps, clips and crops.

    Example: keras-twostream features spatiotemporal_resnet
    --data videos --tap rgb.pool5 --tap flow.pool5 --out features

    C3D's own test (Tran et al. 2015, section 4): features c3d --data train
    --svm test --tap rgb.fc6 --clips all --step 8 --out features
    """
    _networks.check_options(name_anywhere(flags["model"]), ())
    check_writable(flags["out"])
    check_device()
    with _console.quiet():
        from keras_twostream.cli import _features_run

    cover_dense(flags)
    report = _features_run.run(flags)
    if as_json:
        _console.print_json(report)
    elif "accuracy" in report:
        show(report, as_json=False)
    if report["failed"]:
        click.get_current_context().exit(1)
