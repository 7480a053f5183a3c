"""Commands that are stopped or refused: last lines, and what they leave."""

import json
import os
import signal
import subprocess
import sys
import time

import fresh_python
import pytest
from numbered_videos import numbered_frames, write_video

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="it has no SIGTERM"
)

# What a terminal's command finds; a shell's background job ignores Ctrl-C.
HEEDING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
WAITING = """
import sys, time, click
from keras_twostream import cli
from keras_twostream.cli import _console
def wait():
    _console.if_stopped("The same command goes on.")
    print("waiting", flush=True)
    try:
        time.sleep(60)
    except KeyboardInterrupt as error:
        {what_a_library_does}
show = click.Command("list", callback=wait)
cli._Commands.get_command = lambda *_: show
sys.argv = ["keras-twostream", "list"]
cli.main()
"""


@pytest.mark.parametrize(
    "what_a_library_does", ["raise", "raise ImportError('broken') from error"]
)
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_both_signals_end_a_command_with_a_last_line(
    number, status, what_a_library_does
):
    script = HEEDING + WAITING.format(what_a_library_does=what_a_library_does)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == status
    assert said == "Stopped. The same command goes on.\n"


def test_ctrl_c_that_is_ignored_stays_so():
    script = WAITING.format(what_a_library_does="raise").replace("60", "1")
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{ignoring}\n{script}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_ctrl_c_during_the_first_import_is_one_line():
    script = (
        "import sys, keras_twostream.__main__ as entry\n"
        "class Interrupted:\n"
        "    def find_spec(self, *_):\n"
        "        raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "entry.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (130, "Stopped.\n")


def test_sigterm_ends_an_extraction_with_its_processes(tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "out"
    videos.mkdir()
    for number in range(6):
        write_video(videos / f"{number}.mkv", numbered_frames(40))
    command = [sys.executable, "-m", "keras_twostream", "extract", videos, out]
    command += ["--workers", "2", "--flow", "farneback", "--json"]
    command += ["--spec", "short_side=160"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None and not list(out.glob("*.safetensors")):
            time.sleep(0.02)
        process.terminate()
        # Ends when the last worker has closed it.
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert said.splitlines()[-1].startswith("Stopped. The same command goes on")
    done = len(list(out.glob("*.safetensors")))
    assert 0 < done < 6 and not list(out.glob("*.part"))
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0
    assert f'"present": {done}' in again.stdout


# === Refusals ===

SPEC, MODEL = ["--spec", "short_sid=3"], ["--model", "no_net"]
REFUSED = [
    (["train", *SPEC], "no field 'short_sid'"),
    (["train", "--spec", "short_side=0"], "`short_side` must be a whole"),
    (["train", "--spec", "cut_to=3"], "`cut_to` must be"),
    (["train", "--set", "lerning_rate=3"], "Did you mean learning_rate"),
    (["train", "--set", "learning_rate=-3"], "must be greater than 0"),
    (["train", "--input", "miror=true"], "Did you mean mirror"),
    (["train", "--option", "dropot=1"], "Did you mean dropout"),
    (["train", *MODEL], "no model of that name"),
    (["train", "--streams", "rgbb"], "must name one or both"),
    (["train", "--init", "flo=c3d"], "must name one or both"),
    (["train", "--init", "flow=rgb:no_net"], "no model of that name"),
    (["train", "--distill", "no_net"], "no model of that name"),
    (["train", "--recipe", "none_such"], "no recipe"),
    (["train", "--stage", "3"], "last stage is 1"),
    (["train"], "pass `--format`, one of"),
    (["train", "--task", "tubes", *SPEC], "no field 'short_sid'"),
    (["train", "--task", "tubes", "--set", "stps=3"], "Did you mean steps"),
    (["train", "--task", "tubes", "--option", "widt=3"], "Did you mean width"),
    (["evaluate", "c3d", "--option", "clip_lenth=3"], "Did you mean clip_len"),
    (["evaluate", "local:net", "--option", "dropot=1"], "Did you mean dropout"),
    (["evaluate", "no_net"], "no model of that name"),
    (["features", "no_net"], "no model of that name"),
    (["extract", "list.txt", "out/new", *SPEC], "no field 'short_sid'"),
    (["extract", "list.txt", "out/new", *MODEL], "no model of that name"),
    (["extract", "list.txt", "out/new"], "pass `--format`, one of"),
    (["bench-data", "list.txt", *SPEC], "no field 'short_sid'"),
    (["export", "no_net", "out/new/a.onnx"], "no model of that name"),
    (["predict", "a.mkv", *MODEL], "no model of that name"),
    (["detect", "a.mkv", *MODEL], "no model of that name"),
    (["explain", "a.mkv", *MODEL], "no model of that name"),
]
CONFIG = {
    "format": 1, "library": "keras_twostream", "library_version": "0",
    "architecture": "c3d", "options": {}, "head_trained": True,
    "clip_spec": {}, "filename": "model.safetensors", "sha256": "0" * 64,
    "size": 1, "license": "mit", "data_terms": "none", "origin": "trained",
}  # fmt: skip
WITH_DATA = ("train", "evaluate", "features")
WITH_OUT = (*WITH_DATA, "predict", "detect", "explain")


def test_wrong_names_and_values_wait_for_no_backend_and_leave_nothing(tmp_path):
    write_video(tmp_path / "a.mkv", numbered_frames(5))
    (tmp_path / "list.txt").write_text("x 1\n")
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "config.json").write_text(json.dumps(CONFIG))
    before = sorted(tmp_path.rglob("*"))
    commands = [
        [*words]
        + ["--data", "list.txt"] * (words[0] in WITH_DATA)
        + ["--out", "out/new"] * (words[0] in WITH_OUT)
        for words, _ in REFUSED
    ]
    code = (
        "import json, os, sys; from click.testing import CliRunner\n"
        "from keras_twostream import cli\n"
        "os.chdir(sys.argv[1])\n"
        "for words in json.loads(sys.argv[2]):\n"
        "    result = CliRunner().invoke(cli.group, words)\n"
        "    assert result.exit_code == 2, (words, result.output)\n"
        "    assert 'keras' not in sys.modules, words\n"
        "    print(json.dumps(' '.join(result.output.split())))"
    )
    done = fresh_python.run(code, tmp_path, json.dumps(commands))
    for (words, message), said in zip(
        REFUSED, map(json.loads, done.stdout.splitlines()), strict=True
    ):
        assert message in said, words
    assert sorted(tmp_path.rglob("*")) == before


def test_flow_that_cannot_be_computed_leaves_no_cache(tmp_path):
    write_video(tmp_path / "a.mkv", numbered_frames(5))
    command = ["extract", tmp_path / "a.mkv", tmp_path / "out"]
    command += ["--spec", 'flow_parameters={"presett": "fast"}']
    done = subprocess.run(
        [sys.executable, "-m", "keras_twostream", *map(str, command)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "has no parameter 'presett'" in done.stderr
    assert os.listdir(tmp_path) == ["a.mkv"]
