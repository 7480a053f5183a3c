"""`keras-twostream bench-data`: the speed and the cost of reading clips."""

from pathlib import Path
from typing import Any

import click

from keras_twostream.cli import _console
from keras_twostream.cli._options import (
    check_device,
    debug_option,
    device_option,
    json_option,
    list_options,
)
from keras_twostream.cli._settings import clip_option


@click.command("bench-data")
@click.argument("data", metavar="DATA", type=click.Path(path_type=Path))
@click.option(
    "--cache", metavar="memory|DIR", help="Cache of the videos, as in train."
)
@click.option("--model", help="Cut the clips that this model takes.")
@clip_option(
    "fields",
    "A field of the clip.",
)
@click.option(
    "--batch-size", type=click.IntRange(1), default=16, show_default=True
)
@click.option(
    "--batches",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Batches to time.",
)
@click.option(
    "--step",
    "step_seconds",
    type=click.FloatRange(min=0),
    help="Seconds that a training step takes, to say how long it would wait.",
)
@click.option("--augment", help="Crops of training: multi_scale, random, ...")
@click.option("--workers", type=click.IntRange(1), help="Videos read at once.")
@list_options
@json_option
@device_option
@debug_option
def bench_command(data: Path, as_json: bool, **flags: Any) -> None:
    """Measure how fast clips are read, and where the time goes.

    DATA is what train takes: videos, a packed cache, or a list.
    """
    from keras_twostream.cli._extract import clip_spec_of

    spec = clip_spec_of(flags["model"], flags["fields"])
    check_device()
    with _console.quiet():
        from keras_twostream.data import read_annotations
        from keras_twostream.data.feeding import measurement
    annotations = read_annotations(
        data, flags["list_format"], root=flags["root"]
    )
    result = measurement.measure(
        annotations,
        spec,
        batch_size=flags["batch_size"],
        batches=flags["batches"],
        step_seconds=flags["step_seconds"],
        cache=flags["cache"],
        augment=flags["augment"],
        workers=flags["workers"],
    )
    if as_json:
        _console.print_json(result)
        return
    _show(result)


def _show(result: dict[str, Any]) -> None:
    say = _console.out.print
    say(
        f"{result['clips_per_second']:.1f} clips/s, "
        f"{result['seconds_per_batch'] * 1000:.0f} ms for each batch of "
        f"{result['batch_size']}, on {result['workers']} workers; first "
        f"batch after {result['first_batch_seconds']:.1f} s. Each clip takes "
        f"{result['processor_seconds_per_clip'] * 1000:.1f} ms of processor."
    )
    say("One clip on one worker:")
    for part, seconds in result["parts"].items():
        share = seconds / sum(result["parts"].values())
        say(f"  {part:<8} {seconds * 1000:8.1f} ms  {share:4.0%}")
    if result["waiting"] is not None:
        say(f"A training step waits {result['waiting']:.0%} of its time.")
