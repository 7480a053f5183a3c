"""The command line, `keras-twostream COMMAND`.

A command's module is imported when the command runs, so that
`keras-twostream list` is not as slow as the heaviest of them.
"""

import importlib
import importlib.util
import io
import os
import re
import signal
import sys
import traceback
import warnings
from typing import NoReturn

import click

from keras_twostream import __version__, _acceleration
from keras_twostream._printing import printable
from keras_twostream.cli import _advice, _console, _lean, _options, _silence
from keras_twostream.errors import TwoStreamError, did_you_mean

SIGNALLED = 128  # and the number of the signal, as in shells
BACKENDS = ("tensorflow", "jax", "torch")

# Name -> place and description of the command. Commands whose module is missing
# are not listed.
COMMANDS = {
    "list": ("_list:list_command", "Name the models and their weights."),
    "info": ("_info:info_command", "Describe a model or a weight."),
    "demo": ("_demo:demo_command", "Draw an actor, name its action, show why."),
    "predict": ("_predict:predict_command", "Name the actions in your videos."),
    "detect": ("_detect:detect_command", "Find who does what, and where."),
    "extract": ("_extract:extract_command", "Compute flow once, and keep it."),
    "doctor": ("_doctor:doctor_command", "Examine a folder of videos or flow."),
    "bench-data": ("_bench:bench_command", "Measure how fast clips are read."),
    "train": ("_train:train_command", "Train a model on your videos."),
    "evaluate": ("_evaluate:evaluate_command", "Measure a model on videos."),
    "fuse": ("_evaluate:fuse_command", "Fuse scores that are on disk."),
    "features": ("_features:features_command", "Write activations of clips."),
    "live": ("_live:live_command", "Name the action before a camera."),
    "explain": ("_explain:explain_command", "Show why a model answers so."),
    "export": ("_export:export_command", "Write a model for LiteRT or ONNX."),
    "web": ("_web:web_command", "Serve a page to drop videos on."),
    "completion": (
        "_completion:completion_command",
        "Print a shell's completion script.",
    ),
    "weights": ("_weights:weights_command", "Pull, push and verify weights."),
}


_received: list[int] = []  # signals to end


class _Commands(click.Group):
    """Group that imports commands when used, and prints errors as messages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if _is_there(name)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        if name not in self.list_commands(ctx):
            hint = did_you_mean(name, self.list_commands(ctx))
            raise click.UsageError(f"There is no command {name!r}.{hint}", ctx)
        module, attribute = _address(name)
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx, formatter) -> None:
        rows = [(name, COMMANDS[name][1]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, BrokenPipeError):
            raise  # click ends quietly if nobody reads on, as behind `head`
        except (KeyboardInterrupt, click.Abort):
            _stop(ctx)
        except click.ClickException as error:
            # click calls it final, and prints it as it is.
            text = printable(self._advice(ctx, error.message), keep="\n\t")
            error.__dict__["message"] = text
            raise
        except Exception as error:
            if _received:  # in an import, of which it is an error
                _stop(ctx)
            if ctx.meta.get("debug"):
                traceback.print_exc()
            else:
                click.echo(self._advice(ctx, _message(error)), err=True)
            ours = isinstance(error, TwoStreamError) or _ours_within(error)
            ctx.exit(2 if ours else 1)

    def _advice(self, ctx: click.Context, text: str) -> str:
        """Return an error of the command that was invoked, in its flags."""
        name = ctx.invoked_subcommand
        if name is None or name not in self.list_commands(ctx):
            return text
        return _advice.in_flags(text, self.get_command(ctx, name))


def _stop(ctx: click.Context) -> NoReturn:
    """End a command that was stopped, with its last line."""
    _console.say(_console.last_line(), err=True)
    ctx.exit(SIGNALLED + (_received or [signal.SIGINT])[-1])


def _address(name: str) -> tuple[str, str]:
    module, _, attribute = COMMANDS[name][0].partition(":")
    return f"{__name__}.{module}", attribute


def _is_there(name: str) -> bool:
    return importlib.util.find_spec(_address(name)[0]) is not None


def _message(error: Exception) -> str:
    text = printable(error, keep="\n\t")
    if isinstance(error, TwoStreamError):
        return f"Error: {text}"
    if message := _ours_within(error):
        return f"Error: {printable(message)}"
    from keras_twostream._files import not_written  # brings NumPy

    if refusal := not_written(error):
        return f"Error: {printable(refusal)}"
    return (
        f"Error: {type(error).__name__}: {text}\n"
        "This is not an error that was foreseen. Run the command again with "
        "--debug to see where it arose."
    )


def _ours_within(error: Exception) -> str:
    """Return the message of an error of ours that TensorFlow has wrapped.

    Of one that a function of its data pipeline raised it keeps the traceback
    alone, as text, after those of errors that it came from.
    """
    last = str(error).rpartition("\nTraceback (most recent call last):")[2]
    match = _OURS.search(last)
    return match[1] if match else ""


_OURS = re.compile(
    r"^keras_twostream\.errors\.\w+: (.+?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL
)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning for a user, without the line of source."""
    text = _advice.in_flags(printable(message, keep=chr(10)))
    click.echo(f"Warning: {text}", err=True)


def _widen_encodings() -> None:
    """Write characters that a stream's encoding lacks as escapes.

    A console in cp1252 or ASCII would otherwise end the command.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _open_streams() -> None:
    """Open what a service may have closed: standard input, output, error.

    The next file that is opened would be in its place, and what C++ reports
    would be written into that.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, number)
            if nowhere != number:
                os.close(nowhere)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, closefd=False))


def _check_backend() -> None:
    """End the program if Keras would not know its backend."""
    name = os.environ.get("KERAS_BACKEND", BACKENDS[0])
    if name not in BACKENDS:
        click.echo(
            f"Error: KERAS_BACKEND must be one of {', '.join(BACKENDS)}. "
            f"Received: KERAS_BACKEND={name}",
            err=True,
        )
        sys.exit(2)


def _heed_signals() -> None:
    """Let SIGTERM end a command as Ctrl-C does: what is done is kept."""

    def end(number: int, _: object) -> None:
        _received.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # of a job behind "&"
            signal.signal(number, end)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="keras-twostream")
def group() -> None:
    """Two-stream video action recognition in Keras 3."""


def main() -> None:
    """Run the command line.

    The exit status is 0, 1, 2, 130 on Ctrl-C, or 143 on SIGTERM.
    """
    _heed_signals()
    # TensorFlow reports on its build to standard error otherwise.
    os.environ.setdefault(_options.TF_LEVEL, _options.TF_SILENT)
    _open_streams()
    _silence.install()
    _lean.install()
    _acceleration.prefer_fast()
    warnings.showwarning = _show_warning
    _widen_encodings()
    _check_backend()
    sys.exit(group(prog_name="keras-twostream"))
