"""The scripts of examples/ run, on a dozen tiny videos."""

import contextlib
import importlib.metadata
import io
import json
import os
import runpy
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

import keras_twostream as kts
from keras_twostream import hub, inspection, registry
from keras_twostream.cli import group
from keras_twostream.models.backbones import resnet

pytestmark = pytest.mark.usefixtures("untraced")

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = [
    "--weights", "none", "--epochs", "1", "--batch-size", "4", "--workers",
    "1", "--spec", "short_side=32", "--spec", "crop=[32,32]",
]  # fmt: skip


@pytest.fixture
def run(monkeypatch):
    def script(name, *arguments):
        words = [name, *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    return script


@pytest.fixture
def commands(monkeypatch):
    """The commands that examples start; they run here, in this process."""
    seen = []

    def call(command, check, stdout=None):
        assert command[1:3] == ["-m", "keras_twostream"] and check
        seen.append(command[3])
        output = io.StringIO() if stdout else sys.stdout
        with contextlib.redirect_stdout(output):
            assert not group(command[3:], standalone_mode=False)
        return stdout and SimpleNamespace(stdout=output.getvalue())

    monkeypatch.setattr(subprocess, "run", call)
    monkeypatch.setitem(resnet.BLOCKS, 50, (1, 1, 1, 1))
    return seen


@pytest.fixture
def four_videos(video_folder, tmp_path):
    """Two videos of each class."""
    for path in video_folder.glob("*/[01].mp4"):
        target = tmp_path / "videos" / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    return tmp_path / "videos"


@pytest.mark.parametrize(
    "name, frames",
    [
        ("finetune_own_videos.py", 3),
        pytest.param("two_stage_st_resnet.py", 11, marks=pytest.mark.full),
    ],
)
def test_example_saves_a_model(run, four_videos, tmp_path, name, frames):
    run(name, four_videos, tmp_path / "model", 1)
    model = hub.load(f"local:{tmp_path / 'model'}")
    assert inspection.class_names(model) == ["slides", "stands"]
    assert inspection.clip_spec(model).clip_length == frames


@pytest.mark.full
def test_one_network_learns_two_data_sets(
    run, video_folder, tmp_path, capsys, monkeypatch
):
    trained, measured = set(), set()
    batches, scores = kts.data.video_dataset, kts.training.evaluate_videos

    def dataset(found, *arguments, **options):
        trained.update(found.paths)
        return batches(found, *arguments, **options)

    def evaluate(model, items, **options):
        measured.update(path for path, _ in items)
        return scores(model, items, **options)

    monkeypatch.setattr(kts.data, "video_dataset", dataset)
    monkeypatch.setattr(kts.training, "evaluate_videos", evaluate)
    other = tmp_path / "other"
    other.symlink_to(video_folder)
    run("multi_task.py", video_folder, other, 1)
    # Each stream and their fusion, on each of two data sets.
    assert capsys.readouterr().out.count("top1") == 6
    assert len(trained | measured) == 24 and not trained & measured


def test_finetuning_is_short():
    text = (EXAMPLES / "finetune_own_videos.py").read_text()
    assert len(text.splitlines()) < 40


@pytest.mark.full
def test_the_example_of_segments_trains(
    run, commands, four_videos, tmp_path, capsys
):
    run("segment_network.py", four_videos, tmp_path / "runs", *SMALL)
    assert commands == ["train", "evaluate"] * 2 + ["fuse"]
    fused = capsys.readouterr().out.splitlines()[-1]
    assert fused.startswith("fused ")
    metrics = tmp_path / "runs" / "flow" / "test" / "metrics.json"
    protocol = json.loads(metrics.read_text())["protocol"]
    # One video of each class; the other one of each is trained on.
    assert protocol == {"clips": 25, "crops": "10-crop", "videos": 2}


@pytest.mark.full
def test_ucf101_split1(run, commands, video_folder, tmp_path):
    lists = _as_ucf101(video_folder, tmp_path)
    arguments = [tmp_path / "UCF-101", lists, tmp_path / "runs", "--quick"]
    run("ucf101_split1.py", *arguments, *SMALL, "--option", "width=4")
    assert commands == ["train"] * 3 + ["evaluate"]
    metrics = tmp_path / "runs" / "fused" / "evaluation" / "metrics.json"
    report = json.loads(metrics.read_text())
    assert report["protocol"]["videos"] == 4
    assert not report["skipped"]
    _check_ucf101_rates(tmp_path / "runs")
    # A second call finds its stages done.
    run("ucf101_split1.py", *arguments, *SMALL, "--option", "width=4")
    assert commands.count("train") == 3


def _check_ucf101_rates(runs):
    """The authors' rates and epochs, in passes over the list."""
    for name, rate, epochs, at, dropout in (
        ("rgb", 0.01, 60, [20, 40], 0.0),
        ("flow", 0.01, 400, [100, 200, 300], 0.8),
        ("fused", 0.001, 80, [30, 60], 0.0),
    ):
        config = tomllib.loads((runs / name / "config.toml").read_text())
        recipe = config["recipe"]
        assert (recipe["learning_rate"], recipe["epochs"]) == (rate, epochs)
        assert recipe["schedule"]["at"] == at
        assert config["model"]["options"]["dropout"] == dropout


def _as_ucf101(folder, root):
    """Eight videos to train on and four to test, by UCF-101's names."""
    lists = root / "lists"
    lists.mkdir()
    rows = {"train": [], "test": []}
    for number, name in enumerate(("slides", "stands"), 1):
        (root / "UCF-101" / name).mkdir(parents=True)
        for clip, path in enumerate(sorted((folder / name).iterdir())):
            entry = f"{name}/v_{name}_g{clip:02}_c01.avi"
            (root / "UCF-101" / entry).symlink_to(path)
            part = "train" if clip < 4 else "test"
            rows[part].append(f"{entry} {number}")
    for part, lines in rows.items():
        (lists / f"{part}list01.txt").write_text("\n".join(lines) + "\n")
    (lists / "classInd.txt").write_text("1 slides\n2 stands\n")
    return lists


def test_plugin_adds_a_model_and_its_weight(monkeypatch, tmp_path):
    folder = EXAMPLES / "plugin"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = tmp_path / "keras_twostream_shaker-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Name: {project['name']}\nVersion: {project['version']}\n"
    )
    (info / "entry_points.txt").write_text(
        "\n".join(
            f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in rows.items())
            for group, rows in project["entry-points"].items()
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    try:
        model = kts.load("shaker", weights=None, num_classes=3)
        assert model.output_shape == (None, 3)
        assert "shaker.demo" in [row.name for row in kts.list_weights("shaker")]
    finally:
        registry._registered.pop("shaker", None)
        for name in [x for x in sys.modules if "twostream_shaker" in x]:
            del sys.modules[name]


# The example, with a network that compiles in a second.
WORKER = """
import runpy
import keras_twostream as kts
import plain_net
from keras_twostream import hub
kts.load = lambda name, classes: hub.load(
    "plain_net", weights=None, classes=classes)
runpy.run_path({path!r}, run_name="__main__")
"""


@pytest.mark.full
def test_two_workers_train_one_model(video_folder, tmp_path):
    pytest.importorskip("jax")
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    pair = [_worker(video_folder, tmp_path, i, port) for i in range(2)]
    for worker in pair:
        _, errors = worker.communicate(timeout=300)
        assert worker.returncode == 0, errors[-2000:]
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert "slides" in json.dumps(config)


def _worker(folder, out, index, port):
    code = WORKER.format(path=str(EXAMPLES / "many_workers.py"))
    addresses = f"localhost:{port},localhost:{port + 1}"
    words = [folder, out / "model", index, addresses, 1]
    here = str(Path(__file__).parent)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        env={
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "KERAS_BACKEND": "jax",
            "PYTHONPATH": os.pathsep.join(
                [here, os.environ.get("PYTHONPATH", "")]
            ),
        },
        stderr=subprocess.PIPE,
        text=True,
    )
