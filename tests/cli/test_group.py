"""The group: lazy commands, options with one meaning, exit statuses."""

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from keras_twostream import _files, cli, errors, training
from keras_twostream.cli import _console, _options


def run(*arguments, **options):
    return CliRunner().invoke(cli.group, arguments, **options)


def command(function, monkeypatch):
    """`keras-twostream list` does what `function` does."""
    wrapped = click.command("list")(_options.debug_option(function))
    monkeypatch.setattr("keras_twostream.cli._list.list_command", wrapped)


def test_listing_models_imports_no_backend():
    script = (
        "import sys; from keras_twostream.cli import group;"
        "group(['list', '--json'], standalone_mode=False);"
        "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'cv2', 'av'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    names = [model["name"] for model in json.loads(done.stdout)["models"]]
    assert "spatiotemporal_resnet" in names


def test_help_names_every_command_that_is_there():
    result = run("--help")
    assert result.exit_code == 0
    for name in ("list", "info", "demo", "predict"):
        assert f"\n  {name} " in result.stdout


def test_every_listed_command_can_be_imported():
    context = click.Context(cli.group)
    for name in cli.group.list_commands(context):
        assert cli.group.get_command(context, name).name == name


def test_a_module_that_is_missing_is_not_listed(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "fly", ("_fly:fly_command", "Fly."))
    assert "fly" not in run("--help").stdout
    result = run("fly")
    assert result.exit_code == 2
    assert "There is no command 'fly'" in result.stderr


def test_an_unknown_command_is_answered_with_close_ones():
    result = run("predikt")
    assert result.exit_code == 2
    assert "Did you mean predict" in result.stderr


def test_our_errors_are_one_message_and_exit_2(monkeypatch):
    def fail():
        raise errors.SpecError("the clip is wrong")

    command(fail, monkeypatch)
    result = run("list")
    assert result.exit_code == 2
    assert result.stderr == "Error: the clip is wrong\n"


def test_our_error_in_a_data_pipeline_is_one_message_and_exit_2(monkeypatch):
    import tensorflow as tf

    def read():
        try:
            raise errors.SpecError("the reader is puzzled")
        except errors.SpecError as error:
            message = "the video is damaged. Its reasons: two"
            raise errors.VideoError(message) from error

    def fail():
        data = tf.data.Dataset.range(2)
        list(data.map(lambda x: tf.numpy_function(read, [], tf.int64)))

    command(fail, monkeypatch)
    result = run("list")
    assert result.exit_code == 2
    assert result.stderr == "Error: the video is damaged. Its reasons: two\n"


def test_other_errors_point_at_debug_and_exit_1(monkeypatch):
    def fail():
        raise ZeroDivisionError("by zero")

    command(fail, monkeypatch)
    result = run("list")
    assert result.exit_code == 1
    assert "ZeroDivisionError: by zero" in result.stderr
    assert "--debug" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("debug", [True, False])
def test_debug_lets_a_backend_speak(monkeypatch, capfd, debug):
    monkeypatch.setenv(_options.TF_LEVEL, _options.TF_SILENT)

    def noisy():
        with _console.quiet():
            os.write(2, b"no device was found")  # as C++ does
        os.write(2, os.environ[_options.TF_LEVEL].encode())

    command(noisy, monkeypatch)
    run("list", *["--debug"] * debug)
    said = "no device was found0" if debug else "3"
    assert capfd.readouterr().err == said


def test_debug_shows_the_traceback(monkeypatch):
    def fail():
        raise errors.SpecError("the clip is wrong")

    command(fail, monkeypatch)
    result = run("list", "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("value", "variable", "expected"),
    [
        ("cpu", "CUDA_VISIBLE_DEVICES", "-1"),
        ("cpu", "JAX_PLATFORMS", "cpu"),
        ("gpu:1", "CUDA_VISIBLE_DEVICES", "1"),
    ],
)
def test_device_is_chosen_by_the_environment(
    value, variable, expected, monkeypatch
):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    seen = {}

    @click.command()
    @_options.device_option
    def look():
        seen.update(_options.os.environ)

    # CliRunner puts the environment back only for variables it is given.
    CliRunner().invoke(
        look,
        ["--device", value],
        env={"CUDA_VISIBLE_DEVICES": None, "JAX_PLATFORMS": None},
    )
    assert seen[variable] == expected


def test_a_device_that_does_not_exist_is_refused():
    result = run("demo", "--device", "tpu")
    assert result.exit_code == 2
    assert "'tpu' is not one of auto, cpu, gpu" in result.stderr


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(training, "has_gpu", lambda: False)

    @click.command()
    @_options.device_option
    def look():
        _options.check_device()

    result = CliRunner().invoke(look, ["--device", "gpu"])
    assert result.exit_code == 2
    assert "no GPU that the Keras backend can see" in result.stderr


# === Terminals and disks ===


@pytest.mark.skipif(sys.platform == "win32", reason="it has no sh")
def test_a_command_needs_no_standard_error():
    words = f"{sys.executable} -m keras_twostream info c3d --json 2>&- <&-"
    done = subprocess.run(["sh", "-c", words], stdout=subprocess.PIPE)
    assert done.returncode == 0
    assert json.loads(done.stdout)["name"] == "c3d"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_narrow_encoding_ends_no_command(encoding):
    script = (
        "import sys, click; from keras_twostream import cli;"
        "from keras_twostream.cli import _console;"
        "show = click.Command('list', callback=lambda: ("
        "_console.out.print('\u25cf'), click.echo('\u8d70')));"
        "cli._Commands.get_command = lambda *a: show;"
        "sys.argv = ['keras-twostream', 'list']; cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
    )
    assert done.returncode == 0, done.stderr
    assert rb"\u25cf" in done.stdout


def test_errors_steer_no_terminal(monkeypatch):
    def fail():
        raise errors.SpecError("the class \x1b[2J\x07 is odd\nLook at it")

    command(fail, monkeypatch)
    result = run("list", color=True)
    assert "the class \\x1b[2J\\x07 is odd\nLook at it" in result.stderr


def test_what_is_printed_steers_no_terminal(capsys):
    _console.out.print("a\x1b]0;title\x07b\u202ec")
    assert capsys.readouterr().out == "a\\x1b]0;title\\x07b\\u202ec\n"


@pytest.mark.parametrize("kind", [click.UsageError, errors.SpecError])
def test_names_in_errors_do_not_steer_the_terminal(kind, monkeypatch):
    def fail():
        raise kind("Cannot read a\x1b[2J\u202e.mp4")

    command(fail, monkeypatch)
    assert "a\\x1b[2J\\u202e.mp4" in run("list").stderr


def test_messages_do_not_steer_the_terminal(capsys):
    _console.say("Left out: a\x1b[2J\r\n\tb", err=True)
    assert capsys.readouterr().err == "Left out: a\\x1b[2J\\r\n\tb\n"


def test_commands_print_through_the_console_alone():
    folder = Path(cli.__file__).parent
    result = {
        path.name
        for path in folder.glob("*.py")
        if "click.echo(" in path.read_text()
    }
    assert result == {"__init__.py", "_console.py"}


def full(*arguments, **options):
    raise OSError(errno.ENOSPC, "No space left on device")


WRITERS = [
    ("train", "--model", "c3d", "--data", "videos"),
    ("evaluate", "c3d", "--data", "videos"),
    ("features", "c3d", "--data", "videos", "--tap", "rgb.fc6"),
    ("weights", "convert", "c3d.imagenet"),
    ("export", "c3d"),
]


@pytest.mark.parametrize("arguments", WRITERS, ids=lambda words: words[0])
def test_a_full_disk_is_known_before_anything_is_loaded(
    arguments, tmp_path, monkeypatch
):
    monkeypatch.setattr(_files, "probe", full)
    monkeypatch.setattr("keras_twostream.hub.load", pytest.fail)
    (tmp_path / "videos").mkdir()
    place = [str(tmp_path / "out")]
    if arguments[0] == "export":
        place = [str(tmp_path / "m.onnx")]
    elif "convert" not in arguments:
        place.insert(0, "--out")
    monkeypatch.chdir(tmp_path)
    result = run(*arguments, *place)
    assert result.exit_code == 2, result.output
    assert "Cannot write into" in result.stderr
    assert "No space left on device" in result.stderr


def test_a_disk_that_fills_up_is_no_unforeseen_error(tmp_path, monkeypatch):
    def fill():
        with _files.writing(tmp_path / "a.json"):
            full()

    command(fill, monkeypatch)
    result = run("list")
    assert result.exit_code == 1
    assert f"Cannot write into {tmp_path}: No space left" in result.stderr
    assert "Make room, and run the command again." in result.stderr
    assert "not an error that was foreseen" not in result.stderr


def test_a_command_whose_reader_left_ends_without_a_word():
    with subprocess.Popen(
        [sys.executable, "-m", "keras_twostream", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as listing:
        listing.stdout.close()
        assert not listing.stderr.read()
    assert listing.returncode == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, click.Abort])
def test_ctrl_c_is_no_traceback_and_exit_130(error, monkeypatch):
    def interrupted():
        raise error

    command(interrupted, monkeypatch)
    result = run("list", "--debug")
    assert result.exit_code == 130
    assert result.stderr == "Stopped.\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(shell):
    script = run("completion", shell).stdout
    assert "keras-twostream" in script
    # The script asks the program, through this variable.
    asking = f"_KERAS_TWOSTREAM_COMPLETE={shell}_complete"
    assert asking in script
    done = subprocess.run(
        [sys.executable, "-m", "keras_twostream"],
        env={
            **os.environ,
            "_KERAS_TWOSTREAM_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": "keras-twostream pred",
            "COMP_CWORD": "pred" if shell == "fish" else "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "predict" in done.stdout, done.stderr


def test_long_work_in_a_log_shows_a_line_now_and_then(monkeypatch):
    log = io.StringIO()
    console = _console._Console(file=log, width=80)
    monkeypatch.setattr(_console, "err", console)
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(_console.time, "monotonic", lambda: next(clock))
    with _console.progress() as bars:
        task = bars.add_task("a.mp4: looking", total=None)
        for done in range(8):
            bars.update(task, completed=done, total=8)
    lines = log.getvalue().splitlines()
    assert 1 < len(lines) < 8
    assert lines[0].startswith("a.mp4: looking, ") and lines[0].endswith(" %")
