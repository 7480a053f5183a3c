"""The documentation: its code runs, its pages are in step, its links hold."""

import importlib.util
import re
from pathlib import Path

import pytest

import keras_twostream as kts
from keras_twostream import actors

DOCS = Path(__file__).parents[2] / "docs"
GUIDES = sorted(path.name for path in DOCS.glob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder with the videos that the guides speak of."""
    folder = tmp_path_factory.mktemp("docs")
    for label in ("wave_hand", "sit_down"):
        for number in range(2):
            actors.write_clip(
                folder / "my_videos" / label / f"{number}.mp4",
                label,
                index=number,
            )
    wave = folder / "my_videos" / "wave_hand" / "0.mp4"
    (folder / "video.mp4").write_bytes(wave.read_bytes())
    return folder


@pytest.mark.parametrize("page", GUIDES)
def test_the_code_of_a_page_runs(page, place, monkeypatch):
    blocks = BLOCK.findall((DOCS / page).read_text("utf-8"))
    if not blocks:
        pytest.skip("no code on this page")
    monkeypatch.chdir(place)
    names: dict = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)


@pytest.mark.full
def test_the_code_of_the_readme_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCS.parent / "README.md").read_text("utf-8")
    for block in BLOCK.findall(text):
        exec(compile(block, "README.md", "exec"), {})
    assert (tmp_path / "my_model" / "config.json").is_file()


def test_the_pages_of_architectures_are_in_step():
    spec = importlib.util.spec_from_file_location(
        "write_architectures", DOCS / "write_architectures.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, text in module.pages().items():
        written = (DOCS / "architectures" / name).read_text("utf-8")
        assert written == text, "run python docs/write_architectures.py"


@pytest.mark.parametrize("page", GUIDES)
def test_links_between_pages_lead_somewhere(page):
    text = (DOCS / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (DOCS / target).exists(), f"{page} links to {target}"


def test_the_flags_in_the_guides_exist():
    from keras_twostream.cli import group

    words = " ".join(p.read_text("utf-8") for p in DOCS.glob("*.md"))
    used = set(re.findall(r"`?keras-twostream (\w+)", words))
    known = set(group.list_commands(None))
    assert used <= known | {"is"}, used - known
    assert kts.list_models()
