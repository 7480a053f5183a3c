"""The documentation: its code runs, its pages are in step, its links hold."""

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest

from keras_twostream import actors, list_models
from keras_twostream.cli import _networks, group

DOCS = Path(__file__).parents[2] / "docs"
GUIDES = sorted(path.name for path in DOCS.glob("*.md"))
PAGES = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`keras-twostream ([^`]+ [^`]+)`")


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


def written_commands(text):
    """Yield the words of each command line, without the program's name."""
    for block in SHELL.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(" > | && ", line):
                words = shlex.split(part, comments=True)
                if words and words[0].endswith("keras-twostream"):
                    yield words[1:]
    yield from map(shlex.split, INLINE.findall(text))


def read_by_click(words):
    """Return a command and its parameters, without running callbacks."""
    command = group
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words.pop(0))
    context = click.Context(command)
    values, rest, _ = command.make_parser(context).parse_args(words)
    assert not rest, f"{command.name} does not take {rest}"
    return command, values


@pytest.mark.parametrize(
    "page", sorted(PAGES), ids=lambda page: str(page.relative_to(DOCS.parent))
)
def test_the_commands_of_a_page_are_complete(page):
    for words in written_commands(page.read_text("utf-8")):
        command, values = read_by_click(list(words))
        for parameter in command.params:
            value = values.get(parameter.name)
            missing = not value and parameter.required
            assert not missing, f"{words} lacks {parameter.opts}"
            if value and isinstance(parameter.type, click.Choice):
                assert value in parameter.type.choices, words


def test_the_taps_in_the_guides_exist():
    tried = 0
    for page in PAGES:
        text = page.read_text("utf-8")
        for name, _, rest in re.findall(r"features ([\w.]+)( |`)([^`]*)", text):
            if name.partition(".")[0] in list_models():
                taps = re.findall(r"--tap ([\w.]+)", rest)
                assert set(taps) <= set(_networks.facts(name)["taps"]), rest
                tried += len(taps)
    assert tried >= 3
