"""The campaign notices what it looks for, and a short one loses nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
CASES = """
import ctypes, json, os, pathlib, pickle, sys
sys.path.insert(0, sys.argv[1])
from campaign_parts import cases
from keras_twostream.errors import SpecError

folder = pathlib.Path(sys.argv[2], "case", "inside")
folder.mkdir(parents=True)
cases.WALL_SECONDS = 0.5

def refuse():
    raise SpecError("no")

def loop():
    while True:
        pass

def take_memory():
    return len(bytes(2 << 30))

def write(path):
    open(path, "w").close()

works = {
    "returned": lambda: 1,
    "refused": refuse,
    "raw": lambda: 1 / 0,
    "raw memory": take_memory,
    "crash": lambda: ctypes.string_at(0),
    "hang": loop,
    "executed": lambda: os.system("true"),
    "executed pickle": lambda: pickle.loads(pickle.dumps(os.getcwd)),
    "returned inside": lambda: write("inside.txt"),
    "wrote outside": lambda: write("../outside.txt"),
}
found = {name: cases.run_case(work, folder) for name, work in works.items()}
print(json.dumps({name: case.verdict for name, case in found.items()}))
"""


def python(*arguments):
    """Run Python from the checkout; its output, and its exit status."""
    places = [str(BENCHMARKS.parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
        capture_output=True,
        text=True,
    )
    return done.stdout, done.returncode, done.stderr


def campaign(*arguments):
    """Run a part; each case that was lost is in the assertion's message."""
    _, status, errors = python(BENCHMARKS / "campaign.py", *arguments)
    assert status == 0, errors


@pytest.mark.skipif(sys.platform != "linux", reason="it forks and limits")
def test_each_verdict_is_given_for_its_cause(tmp_path):
    output, status, errors = python("-c", CASES, BENCHMARKS, tmp_path)
    assert status == 0, errors
    for name, verdict in json.loads(output).items():
        assert name.startswith(verdict)


@pytest.mark.skipif(sys.platform != "linux", reason="it forks and limits")
def test_no_case_of_a_small_campaign_is_lost(tmp_path):
    chosen = ["list: csv", "list: json", "cache", "boxes", "set", "web"]
    campaign("mutations", tmp_path, "--tries", 2, "--only", *chosen)
    lines = (tmp_path / "mutations.jsonl").read_text().splitlines()
    assert len(lines) >= 30


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="it forks and limits")
@pytest.mark.parametrize(
    "arguments",
    [
        ("mutations", "--tries", 12, "--seed", 1),
        ("mutations", "--tries", 4, "--seed", 1, "--heavy"),
        ("kills", "--tries", 4, "--seed", 1),
        ("kills", "--tries", 4, "--seed", 1, "--heavy"),
    ],
    ids=lambda words: " ".join(map(str, words)),
)
def test_a_short_campaign_loses_nothing(arguments, tmp_path):
    part, *rest = arguments
    campaign(part, tmp_path, *rest)


@pytest.mark.full
@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="it mounts disks"
)
def test_full_disks_lose_nothing(tmp_path):
    campaign("disks", tmp_path, "--tries", 2, "--only", "save", "extract")
