"""The content of the wheel: nothing is missing, nothing too much."""

import shutil
from pathlib import Path

import pytest

from keras_twostream.pretrained import _catalogue

CHECKOUT = Path(__file__).parents[2]
ROW = """\
name = "c3d.{tag}"
license = "mit"
data_terms = "for research only"
origin = "trained"
repo_id = "me/{tag}"
"""


@pytest.fixture
def checkout(tmp_path):
    """A checkout in small: our pyproject, one weight of each kind."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, tmp_path)
    (tmp_path / "keras_twostream").mkdir()
    (tmp_path / "keras_twostream" / "__init__.py").touch()
    for tag in ("free", "ucf101_six"):
        row = tmp_path / "weights" / f"c3d.{tag}"
        row.mkdir(parents=True)
        (row / "weight.toml").write_text(ROW.format(tag=tag))
    return tmp_path


def test_research_weights_stay_out_of_what_is_published(checkout):
    from hatchling.builders.sdist import SdistBuilder
    from hatchling.builders.wheel import WheelBuilder

    wheel, sdist = (
        {
            file.distribution_path.replace("\\", "/")
            for file in builder(str(checkout)).recurse_included_files()
        }
        for builder in (WheelBuilder, SdistBuilder)
    )
    assert "keras_twostream/__init__.py" in wheel
    assert "keras_twostream/_weights/c3d.free/weight.toml" in wheel
    assert any(name.endswith("c3d.free/weight.toml") for name in sdist)
    assert not [name for name in (*wheel, *sdist) if "ucf101_six" in name]


def test_both_kinds_are_found_in_a_checkout(checkout, monkeypatch):
    monkeypatch.setattr(_catalogue, "_PACKAGE", checkout / "keras_twostream")
    assert set(_catalogue._built_in.__wrapped__()) == {
        "c3d.free",
        "c3d.ucf101_six",
    }


def test_a_wheel_reads_its_own_copy(checkout, monkeypatch):
    (checkout / "pyproject.toml").unlink()
    package = checkout / "keras_twostream"
    shutil.move(checkout / "weights", package / "_weights")
    shutil.rmtree(package / "_weights" / "c3d.ucf101_six")
    monkeypatch.setattr(_catalogue, "_PACKAGE", package)
    assert set(_catalogue._built_in.__wrapped__()) == {"c3d.free"}
