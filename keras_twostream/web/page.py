"""The page itself, by Gradio."""

import contextlib
import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from keras_twostream.errors import (
    MissingLibraryError,
    SpecError,
    TwoStreamError,
)
from keras_twostream.spec import FUSED
from keras_twostream.web.desk import Answer, Desk, Limits, Reasons

LOOPBACK = "127.0.0.1"
WAITING = 16  # visitors in the queue; the next one is asked to come back
HOURS = (3600, 3600)  # seconds between two cleanings, and files' age by then

_HEADINGS = {FUSED: "Both together", "rgb": "Frames", "flow": "Motion"}
_COLUMNS = ["action", "from (s)", "to (s)", "score"]
_ABOUT = """\
# What happens in this video?
Drop a video or record one. Frames and motion are read by two streams of one
network, and fused.
"""

_log = logging.getLogger(__name__)


def build(desk: Desk) -> Any:
    """Return the page, as a `gradio.Blocks` that is not running yet.

    Args:
        desk: The models, limits and folder behind it.

    Raises:
        MissingLibraryError: If Gradio is not installed.
    """
    gr = _gradio()
    with gr.Blocks(
        title="keras_twostream",
        analytics_enabled=False,
        delete_cache=HOURS,
    ) as page:
        gr.Markdown(_ABOUT)
        with gr.Row():
            with gr.Column():
                video = gr.Video(
                    label=_limits(desk.limits), sources=["upload", "webcam"]
                )
                model = gr.Dropdown(
                    list(desk.models), value=desk.models[0], label="Model"
                )
                button = gr.Button("Name the actions", variant="primary")
            with gr.Column():
                title = gr.Markdown(elem_id="title")
                # Its label would lie on the heading of the picture.
                shown = gr.Video(show_label=False, interactive=False)
        with gr.Row():
            labels = [
                gr.Label(label=heading, num_top_classes=5)
                for heading in _HEADINGS.values()
            ]
        table = gr.Dataframe(
            headers=_COLUMNS,
            datatype=["str", "number", "number", "number"],
            label="When",
            interactive=False,
        )
        sheet = gr.Image(label="Contact sheet", interactive=False)
        why = gr.Button("Show where each stream looks")
        reasons = gr.Markdown(elem_id="reasons")
        maps = gr.Image(label="Where each stream looks", visible=False)
        overlay = gr.Video(show_label=False, interactive=False, visible=False)
        button.click(
            _answering(gr, lambda *given: _outputs(desk.answer(*given), gr)),
            inputs=[video, model],
            outputs=[title, shown, *labels, table, sheet],
            api_visibility="private",
        )
        why.click(
            _answering(gr, lambda *given: _shown(desk.reasons(*given), gr)),
            inputs=[video, model],
            outputs=[reasons, maps, overlay],
            api_visibility="private",
        )
    return page.queue(max_size=WAITING, default_concurrency_limit=1)


@contextlib.contextmanager
def serving(
    models: Sequence[str],
    *,
    head: str | None = None,
    host: str = LOOPBACK,
    port: int | None = None,
    limits: Limits | None = None,
) -> Iterator[str]:
    """Serve the page while the context lasts.

    Uploads and answers are kept in a folder of the page's own, which ends with
    it; files older than an hour are deleted earlier. Nothing else of the
    machine's files can be read through it.

    Args:
        models: Names that `keras_twostream.load` takes; the visitor chooses.
        head: The head to ask of each model, where they have several.
        host: Address to listen at. The default is seen by this machine only.
        port: Port; the first free one from 7860 when None.
        limits: The largest video.

    Yields:
        The page's address.

    Raises:
        MissingLibraryError: If Gradio is not installed.
        SpecError: If there is no model, `head` names none of several, the port
            is taken, or the host is none of this machine's.
        UnknownNameError: If nothing has one of the names, or a model has no
            such head.
        WeightsError: If there is no such folder or repository.

    Example:

    ```python
    with keras_twostream.web.serving(["local:my_model"]) as address:
        input(f"{address} (Enter ends it)")
    ```
    """
    _check_address(host, port)
    with tempfile.TemporaryDirectory(
        prefix="keras_twostream_web_", ignore_cleanup_errors=True
    ) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # uploads, and what is served
        desk = Desk(models, Path(folder) / "answers", limits, head)
        page = build(desk)
        desk.model(desk.models[0])
        try:
            _, address, _ = page.launch(
                server_name=host,
                server_port=port,
                share=False,
                prevent_thread_lock=True,
                max_file_size=int(desk.limits.megabytes * 1e6),
                footer_links=[],
                quiet=True,
            )
        except OSError as error:
            raise SpecError(
                f"Cannot serve at {host}:{port}: {error}"
            ) from error
        try:
            yield address
        finally:
            page.close()


def _check_address(host: str, port: int | None) -> None:
    """Refuse an address before models are loaded, and with no ports tried.

    Raises:
        SpecError: If nothing can listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port or 0))
    except OSError as error:
        raise SpecError(
            f"Cannot serve at {host}{f':{port}' if port else ''}: "
            f"{error.strerror}. Take another port, or an address of this "
            "machine."
        ) from error


def _gradio() -> Any:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio
    except ImportError as error:
        raise MissingLibraryError(
            "The web page needs Gradio. Install it: "
            'pip install "keras-twostream[web]"'
        ) from error
    return gradio


def _limits(limits: Limits) -> str:
    return f"Video, at most {limits.seconds:g} s and {limits.megabytes:g} MB"


def _answering(gr: Any, work: Callable[..., tuple]) -> Callable[..., tuple]:
    """Return the function of a button, whose errors are messages.

    Args:
        gr: Gradio.
        work: Function of a video, a model's name and a progress, which returns
            what the button's outputs show.
    """

    bar = gr.Progress()

    # Gradio gives its bar to a parameter whose default is one.
    def answer(video: str | None, model: str, progress: Any = bar) -> tuple:
        def advance(done: float, total: float) -> None:
            progress(min(1.0, done / max(total, 1e-9)), desc="Looking")

        progress(0, desc="Opening")
        try:
            return work(video, model, advance)
        except TwoStreamError as error:
            words = _public(str(error), video)
            raise gr.Error(words, print_exception=False) from None
        except Exception:
            _log.exception("An answer failed.")
            raise gr.Error(
                "This video could not be worked on; the reason is in the "
                "server's console.",
                print_exception=False,
            ) from None

    return answer


def _public(message: str, video: str | None) -> str:
    """Return a message without the folder that the upload is kept in."""
    return message.replace(video, Path(video).name) if video else message


def _outputs(answer: Answer, gr: Any) -> tuple:
    labels = [
        gr.Label(answer.scores.get(stream), visible=stream in answer.scores)
        for stream in _HEADINGS
    ]
    sheet = gr.Image(
        str(answer.sheet) if answer.sheet else None,
        visible=answer.sheet is not None,
    )
    rows = [[row[0], *(round(x, 2) for x in row[1:])] for row in answer.rows]
    return f"## {answer.title}", str(answer.video), *labels, rows, sheet


def _shown(reasons: Reasons, gr: Any) -> tuple:
    return (
        f"### {reasons.title}",
        gr.Image(str(reasons.sheet), visible=True),
        gr.Video(str(reasons.video), visible=True),
    )
