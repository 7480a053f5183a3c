"""`keras-twostream demo`: the whole main job on a generated video."""

import secrets
from pathlib import Path
from typing import Any

import click
import numpy as np

from keras_twostream._stopwatch import Stopwatch
from keras_twostream.cli import _console, _files, _model
from keras_twostream.cli._options import (
    debug_option,
    device_option,
    flow_option,
    json_option,
    out_option,
    seed_option,
)

TOP = 3


@click.command("demo")
@click.option(
    "--task",
    type=click.Choice(["clips", "tubes"]),
    default="clips",
    show_default=True,
    help="One actor and an action, or several and who does what.",
)
@out_option
@seed_option
@flow_option
@json_option
@device_option
@debug_option
def demo_command(
    task: str, out: Path, seed: int | None, algorithm: str | None, as_json: bool
) -> None:
    """Draw an actor, name its action, show why.

    Renders a video of a person that the shipped weights have never seen, and
    does the whole job on that file: decode, optical flow, network. Writes an
    annotated video and a contact sheet, and says where the time went.
    """
    if task == "tubes" and algorithm is not None:
        raise click.UsageError(
            "--flow is of --task clips: the detector has flow of its own."
        )
    _files.check_writable(out)
    seed = secrets.randbelow(100_000) if seed is None else seed
    if task == "tubes":
        _demo_of_tubes(out, seed, as_json)
        return
    watch = Stopwatch()
    with watch("render"):
        video, truth = _render(out, seed)
    loaded = _model.load(_model.SHIPPED, algorithm, watch)
    loaded.introduce()

    from keras_twostream.cli import _job

    result = _job.run(loaded, video, out / video.stem, truth)
    if as_json:
        _console.print_json(_document(result, seed, watch))
    else:
        _job.show(result, TOP, watch.seconds)
        again = f"The same again: keras-twostream demo --seed {seed}"
        _console.out.print(again, style="dim")
    if result.failure is not None:
        raise result.failure


def _demo_of_tubes(out: Path, seed: int, as_json: bool) -> None:
    """Draw three actors who were never seen before, and find what they do."""
    from keras_twostream import actors
    from keras_twostream.cli import _detect

    rng = np.random.default_rng(seed)
    names = rng.choice(actors.COMPANY_CLASSES, 3, replace=False).tolist()
    video = actors.write_company(
        out / f"actors_{seed}.mp4", names, seed=seed, split="test"
    )
    loaded = _model.load(_detect.SHIPPED, None, Stopwatch())
    loaded.introduce()
    base = out / video.stem
    report = _detect.run(loaded, video, base, True, {"exclusive": True})
    if as_json:
        _console.print_json({**report, "truth": names, "seed": seed})
        return
    _detect.show(report)
    true = ", ".join(name.replace("_", " ") for name in names)
    _console.out.print(f"From left to right in truth: {true}", markup=False)
    again = f"The same again: keras-twostream demo --task tubes --seed {seed}"
    _console.out.print(again, style="dim")


def _render(out: Path, seed: int) -> tuple[Path, str]:
    """Render a clip of the held-out split; return its file and true action."""
    from keras_twostream import actors

    rng = np.random.default_rng(seed)
    action = actors.CLASSES[int(rng.integers(len(actors.CLASSES)))]
    path = out / f"actor_{seed}.mp4"
    actors.write_clip(path, action, seed=seed, split="test")
    return path, action


def _document(result: Any, seed: int, watch: Stopwatch) -> dict[str, Any]:
    seconds = {**watch.seconds, **result.seconds}
    return {
        **result.prediction.to_json(TOP),
        **result.pictures,
        "truth": result.truth,
        "seed": seed,
        "seconds": {part: round(value, 3) for part, value in seconds.items()},
    }
