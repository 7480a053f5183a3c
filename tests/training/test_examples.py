"""What the folder examples/ shows runs, on a dozen tiny videos."""

import runpy
import sys
from pathlib import Path

import pytest

from keras_twostream import hub, inspection

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(monkeypatch):
    def script(name, *arguments):
        words = [name, *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    return script


@pytest.mark.parametrize(
    "name, frames",
    [("finetune_own_videos.py", 3), ("two_stage_st_resnet.py", 11)],
)
def test_example_saves_a_model(run, video_folder, tmp_path, name, frames):
    run(name, video_folder, tmp_path / "model", 1)
    model = hub.load(f"local:{tmp_path / 'model'}")
    assert inspection.class_names(model) == ["slides", "stands"]
    assert inspection.clip_spec(model).clip_length == frames


def test_one_network_learns_two_data_sets(run, video_folder, tmp_path, capsys):
    other = tmp_path / "other"
    other.symlink_to(video_folder)
    run("multi_task.py", video_folder, other, 1)
    assert capsys.readouterr().out.count("top1") == 2


def test_finetuning_is_short():
    text = (EXAMPLES / "finetune_own_videos.py").read_text()
    assert len(text.splitlines()) < 40
