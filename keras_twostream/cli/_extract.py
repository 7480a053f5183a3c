"""`keras-twostream extract`: frames and flow, computed once and kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from keras_twostream.cli import _console, _networks
from keras_twostream.cli._files import model_name
from keras_twostream.cli._options import (
    check_device,
    debug_option,
    device_option,
    flow_option,
    json_option,
    list_options,
    where_option,
)
from keras_twostream.cli._settings import clip_option
from keras_twostream.spec import STREAMS, ClipSpec


@click.command("extract")
@click.argument("source", metavar="SRC")
@click.argument("out", metavar="OUT")
@click.option("--model", help="Extract what this model or weight takes.")
@clip_option(
    "fields",
    "A field of the clip: short_side=112, frame_rate=25, flow_bound=20.",
)
@flow_option
@click.option(
    "--streams",
    type=click.Choice(["both", *STREAMS]),
    help="Streams to keep; by default the model's, or both.",
)
@click.option(
    "--bits",
    type=click.Choice(["8", "16"]),
    help="Bits of a value of flow; 16 below 200 px of short side, else 8.",
)
@click.option(
    "--encoding",
    type=click.Choice(["jpeg", "png", "raw"]),
    default="jpeg",
    show_default=True,
    help="png loses nothing, raw is fastest to read and largest.",
)
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    default=95,
    show_default=True,
    help="Quality of JPEG.",
)
@where_option("--engine")
@click.option("--workers", type=click.IntRange(1), help="Videos at once.")
@click.option(
    "--resume/--anew",
    default=True,
    show_default=True,
    help="Go on where a run ended, or extract every video again.",
)
@list_options
@json_option
@device_option
@debug_option
def extract_command(source: str, out: str, as_json: bool, **flags: Any) -> None:
    """Compute frames and flow once, and keep them.

    SRC is a folder of videos, a list of them, or one video. Each becomes one
    file in the folder OUT, which `train --cache OUT` reads. Both may be URLs
    that fsspec knows. Run the same command again to go on after any
    interruption.
    """
    from keras_twostream.data.cache import Contract
    from keras_twostream.data.extraction import extract

    bits = None if flags["bits"] is None else int(flags["bits"])
    contract = Contract.of(
        _spec(flags), bits, flags["encoding"], flags["quality"]
    )
    check_device()
    _console.if_stopped(_console.GOES_ON)
    with _bar() as progress:
        summary = extract(
            source,
            out,
            contract,
            engine=flags["where"],
            workers=flags["workers"],
            root=flags["root"],
            format=flags["list_format"],
            resume=flags["resume"],
            progress=progress,
        )
    _show(summary, as_json)
    if summary.failed or summary.stopped:
        click.get_current_context().exit(2 if summary.stopped else 1)


def clip_spec_of(model: str | None, changes: dict[str, Any]) -> ClipSpec:
    """Return the clip of a model, or the default one, with changed fields.

    Args:
        model: A name, weight or folder; built with random weights where it
            is an architecture's name.
        changes: Fields of the `ClipSpec`.
    """
    spec = ClipSpec() if model is None else _spec_of(model)
    return spec.replace(**changes)


def _spec(flags: dict[str, Any]) -> ClipSpec:
    changes = {}
    if flags["algorithm"] is not None:
        changes["flow_algorithm"] = flags["algorithm"]
    if flags["streams"] is not None:
        streams = flags["streams"]
        changes["streams"] = STREAMS if streams == "both" else (streams,)
    return clip_spec_of(flags["model"], changes | flags["fields"])


def _spec_of(name: str) -> ClipSpec:
    _networks.check_options(model_name(name), ())
    with _console.quiet():
        from keras_twostream import hub, inspection
        from keras_twostream.cli._train_setup import load_anything
        from keras_twostream.registry import list_models
    if name in list_models():
        return inspection.clip_spec(hub.load(name, weights=None))
    return inspection.clip_spec(load_anything(name))


@contextmanager
def _bar() -> Iterator[Any]:
    with _console.progress() as bars:
        task = bars.add_task("starting", total=None)

        def progress(done: int, expected: float, seconds: float) -> None:
            rate = done / seconds if seconds else 0.0
            bars.update(
                task,
                description=f"{rate:.0f} frames/s",
                completed=done,
                total=max(expected, done) or None,
            )

        yield progress


def _show(summary, as_json: bool) -> None:
    for reason in summary.failed.values():
        _console.complain(reason)
    if summary.stopped:
        _console.complain(summary.stopped)
    if as_json:
        _console.print_json(_document(summary))
        return
    rate = summary.frames / summary.seconds if summary.seconds else 0.0
    _console.out.print(
        f"{len(summary.done)} videos extracted: {summary.frames} frames, "
        f"{summary.flows} flow fields, {rate:.0f} frames/s. "
        f"{summary.present} were there already, {len(summary.failed)} failed.",
        soft_wrap=True,
    )
    _console.out.print(summary.out, markup=False, soft_wrap=True)


def _document(summary) -> dict[str, Any]:
    return {
        "out": summary.out,
        "contract": summary.contract.to_json(),
        "extracted": [entry.source for entry in summary.done],
        "present": summary.present,
        "frames": summary.frames,
        "flows": summary.flows,
        "bytes": sum(entry.bytes for entry in summary.done),
        "seconds": round(summary.seconds, 3),
        "failed": [
            {"source": video, "reason": reason}
            for video, reason in summary.failed.items()
        ],
        "stopped": summary.stopped,
    }
