"""`keras-twostream web`: a page to drop videos on."""

import contextlib
import threading
import webbrowser

import click

from keras_twostream.cli import _console
from keras_twostream.cli._files import model_name
from keras_twostream.cli._options import (
    debug_option,
    device_option,
    head_option,
    yes_option,
)
from keras_twostream.pretrained import _default_weights


@click.command("web")
@click.option(
    "--model",
    "names",
    multiple=True,
    help="A weight, hf://user/repo, local:folder or a run's folder; repeat it "
    "to give the visitor a choice. By default what `predict` takes.",
)
@head_option
@yes_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at. Others than the default let other machines in.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="Port.")
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=120,
    show_default=True,
    help="Longest video.",
)
@click.option(
    "--max-megabytes",
    type=click.FloatRange(min=0, min_open=True),
    default=100,
    show_default=True,
    help="Largest file.",
)
@click.option("--open/--no-open", "opens", help="Open it in a browser.")
@device_option
@debug_option
def web_command(
    names: tuple[str, ...],
    head: str | None,
    yes: bool,
    host: str,
    port: int | None,
    max_seconds: float,
    max_megabytes: float,
    opens: bool,
) -> None:
    """Serve a page that names the actions of dropped or recorded videos.

    Nothing but the models named here, and what a visitor hands in, can be
    reached through it. It ends with Ctrl-C.
    """
    names = names or (_default_weights.agreed_weights(yes=yes).name,)
    with _console.quiet():
        from keras_twostream import web

    with web.serving(
        [model_name(name) for name in names],
        head=head,
        host=host,
        port=port,
        limits=web.Limits(max_megabytes, max_seconds),
    ) as address:
        _console.err.print(f"{address}  (Ctrl-C ends it)")
        if opens:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
