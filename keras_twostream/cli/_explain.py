"""`keras-twostream explain`: where each stream looks, what it contributes."""

from pathlib import Path
from typing import Any

import click

from keras_twostream._printing import percent, readable
from keras_twostream._stopwatch import Stopwatch
from keras_twostream.cli import _console, _files, _model
from keras_twostream.cli._options import (
    debug_option,
    default_model_option,
    device_option,
    flow_option,
    head_option,
    json_option,
    out_option,
    yes_option,
)
from keras_twostream.errors import VideoError
from keras_twostream.pretrained import _default_weights

# Copied from keras_twostream.explaining, which takes long to import.
METHODS = ("grad_cam", "occlusion")


@click.command("explain")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="VIDEO...",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
)
@default_model_option
@head_option
@yes_option
@click.option("--label", help="The action; the likeliest one by default.")
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default=METHODS[0],
    show_default=True,
    help="Occlusion is slower, and needs no gradient.",
)
@click.option("--no-video", is_flag=True, help="Draw no video, only a sheet.")
@out_option
@json_option
@flow_option
@device_option
@debug_option
def explain_command(
    files: tuple[Path, ...],
    name: str | None,
    head: str | None,
    yes: bool,
    label: str | None,
    method: str,
    no_video: bool,
    out: Path,
    as_json: bool,
    algorithm: str | None,
) -> None:
    """Show where each stream looks in VIDEO, and what it contributes.

    Writes a video and a sheet with the maps over frame and motion, and a JSON
    file with the shares of the streams.
    """
    _files.check_writable(out, "give another --out")
    endings = [".why.png", ".why.json", *[".why.mp4"] * (not no_video)]
    _files.refuse_replacing(out, list(files), endings)
    name = name or _default_weights.agreed_weights(yes=yes).name
    loaded = _model.load(name, algorithm, Stopwatch(), head)
    loaded.introduce()
    documents: list[dict[str, Any]] = []
    failed: dict[str | Path, str] = {}
    for video, stem in zip(files, _files.stems(list(files)), strict=True):
        try:
            why = _one(loaded, video, label, method)
            paths = _written(why, out / stem, no_video)
        except VideoError as error:  # the others continue
            failed[video] = str(error)
            _console.complain(str(error))
            continue
        documents.append({**why.to_json(), **paths})
        if not as_json:
            _show(why, paths)
    if as_json:
        _console.print_json(
            {
                "model": loaded.name,
                "files": documents,
                "failed": _files.failures(failed),
            }
        )
    if failed:
        click.get_current_context().exit(1)


def _one(
    loaded: _model.Loaded, video: Path, label: str | None, method: str
) -> Any:
    """Explain one video, with a bar on a terminal."""
    from keras_twostream.explaining import explain

    with _console.progress() as bars:
        task = bars.add_task(f"{video.name}: looking", total=None)
        return explain(
            video,
            loaded.model,
            label=label,
            method=method,
            flow=loaded.spec.flow_algorithm,
            progress=lambda done, total: bars.update(
                task, completed=done, total=total
            ),
        )


def _written(why: Any, base: Path, no_video: bool) -> dict[str, str]:
    """Write the pictures and the JSON file; return their paths."""
    from keras_twostream import _files as files

    base.parent.mkdir(parents=True, exist_ok=True)
    paths = {"sheet": why.save_sheet(f"{base}.why.png")}
    if not no_video:
        paths["video"] = why.save_video(f"{base}.why.mp4")
    shown = {kind: str(path) for kind, path in paths.items()}
    files.write_json(f"{base}.why.json", why.to_json())
    return {**shown, "json": f"{base}.why.json"}


def _show(why: Any, paths: dict[str, str]) -> None:
    say = _console.out.print
    say()
    share = percent(why.probability)
    say(f"{why.source}: {readable(why.label)}  {share}", markup=False)
    for stream, share in why.contributions.items():
        say(f"  {stream:<6}{share:+.2f} of the score", markup=False)
    say(
        f"  score {why.logit:+.2f}, without any stream "
        f"{why.neutral_logit:+.2f}",
        markup=False,
    )
    for kind, path in paths.items():
        say(f"{kind}: {path}", markup=False, soft_wrap=True)
