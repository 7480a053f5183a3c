"""Work in processes, asked for by a script as a user writes it."""

import subprocess
import sys
import threading
import time

import pytest

from keras_twostream._processes import FreshProcesses, _no_script

pytestmark = pytest.mark.agnostic

SCRIPT = """
from keras_twostream import ClipSpec, actors, data

print("begun")
actors.generate("people", 9, workers=2, progress=False)
spec = ClipSpec(short_side=32, crop=(32, 32), frame_rate=None)
contract = data.cache.Contract.of(spec)
summary = data.extract("people/train", "cache", contract, workers=2)
print(len(summary.done), "done", len(summary.failed), "failed")
"""


def test_a_script_without_a_guard_may_start_processes(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["begun", "9 done 0 failed"]


def test_the_script_is_back_once_a_process_runs():
    script = sys.modules["__main__"]
    process = FreshProcesses().Process(target=print)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert sys.modules["__main__"] is script


def test_the_script_is_back_when_two_threads_start_processes():
    script = sys.modules["__main__"]

    def start(wait):
        time.sleep(wait)
        with _no_script():
            time.sleep(0.1)

    threads = [threading.Thread(target=start, args=(x,)) for x in (0, 0.05)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.modules["__main__"] is script
