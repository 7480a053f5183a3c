"""`keras-twostream detect`: people and their actions, in place and time."""

from pathlib import Path
from typing import Any

import click

from keras_twostream._stopwatch import Stopwatch
from keras_twostream.cli import _console, _files, _model
from keras_twostream.cli._options import (
    debug_option,
    device_option,
    files_argument,
    json_option,
    no_video_option,
    out_option,
)
from keras_twostream.errors import TwoStreamError

SHIPPED = "action_tubes.actors"


@click.command("detect")
@files_argument
@click.option(
    "--model",
    "name",
    default=SHIPPED,
    show_default=True,
    help="A detector: a weight, the folder of `train --task tubes`, "
    "hf://user/repo or local:folder.",
)
@click.option(
    "--boxes",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Tracks of one FILE, for a detector trained on boxes: CVAT, COCO or "
    "MOTChallenge.",
)
@click.option(
    "--threshold",
    type=float,
    default=0.0,
    show_default=True,
    help="Least mean score of a tube, in margins of the classifier.",
)
@click.option(
    "--every-action",
    is_flag=True,
    help="Show every action of a person, not only the likeliest one.",
)
@no_video_option
@out_option
@json_option
@device_option
@debug_option
def detect_command(
    files: tuple[str, ...],
    name: str,
    boxes: Path | None,
    threshold: float,
    every_action: bool,
    no_video: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Find who does what in your videos, where and when.

    Writes, for each FILE, a JSON document with the tubes and a video with
    boxes around people.
    """
    _files.check_writable(out)
    videos, failed = _files.expand(files)
    if not as_json:  # its document says what the model is
        _files.refuse_none(videos, failed)
    endings = [".tubes.json", *[".tubes.mp4"] * (not no_video)]
    read: list[str | Path] = [*files, *([boxes] if boxes else [])]
    _files.refuse_replacing(out, videos, endings, read)
    if boxes is not None and len(videos) != 1:
        raise click.UsageError(
            f"--boxes are those of one video, and {len(videos)} were given."
        )
    watch = Stopwatch()
    loaded = _model.load(name, None, watch)
    loaded.introduce()
    options = {
        "boxes": boxes,
        "threshold": threshold,
        "exclusive": not every_action,
    }
    done = []
    for video, stem in zip(videos, _files.stems(videos), strict=True):
        base = out / stem
        try:
            done.append(run(loaded, video, base, not no_video, options))
        except TwoStreamError as error:
            failed[video] = str(error)
        else:
            if not as_json:
                show(done[-1])
    for reason in failed.values():
        _console.complain(reason)
    if as_json:
        _console.print_json(_document(loaded, done, failed))
    if failed:
        click.get_current_context().exit(1)


def run(
    loaded: _model.Loaded,
    video: Path,
    base: Path,
    draws: bool,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Find the tubes of one file, write and draw them.

    Returns:
        The contents of the JSON file, with the paths of all output files.
    """
    from keras_twostream import _files as whole_files
    from keras_twostream import data, detection
    from keras_twostream.detection.drawing import draw_tubes

    total = data.count_frames(video)
    with _console.progress() as bar:
        task = bar.add_task(video.name, total=total)
        tubes = detection.detect(
            video,
            loaded.model,
            progress=lambda frames: bar.update(task, completed=frames),
            **options,
        )
    report = {
        "source": _files.shown(video),
        "model": loaded.name,
        "frames": total,
        "tubes": [tube.to_json() for tube in tubes],
    }
    written = base.with_name(f"{base.name}.tubes.json")
    whole_files.write_json(written, report)
    report["json"] = str(written)
    if draws:
        place = base.with_name(f"{base.name}.tubes.mp4")
        drawn = draw_tubes(video, tubes, place, loaded.classes)
        report["video"] = str(drawn)
    return report


def show(report: dict[str, Any]) -> None:
    """Print the tubes of one file, and the files written."""
    _console.out.print(Path(report["source"]).name, style="bold", markup=False)
    if not report["tubes"]:
        _console.out.print("  nobody was found doing any of them", style="dim")
    for tube in report["tubes"]:
        words = tube["label"].replace("_", " ")
        when = f"{tube['start']:6.2f} s to {tube['end']:6.2f} s"
        left, top, right, low = tube["boxes"][0]
        where = f"({left:.0f}, {top:.0f}) to ({right:.0f}, {low:.0f}) at first"
        line = f"  {words:20} {tube['confidence']:5.2f}  {when}  {where}"
        _console.out.print(line, markup=False)
    for kind in ("json", "video"):
        if kind in report:
            line = f"  {kind:6}{report[kind]}"
            _console.out.print(line, style="dim", markup=False)


def _document(
    loaded: _model.Loaded,
    done: list[dict[str, Any]],
    failed: dict[str | Path, str],
) -> dict[str, Any]:
    return {
        "model": loaded.name,
        "classes": list(loaded.classes),
        "synthetic": loaded.synthetic,
        "files": done,
        "failed": _files.failures(failed),
    }
