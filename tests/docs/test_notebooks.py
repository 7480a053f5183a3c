"""The notebooks of examples/: whole, ready for Colab, and they run."""

import ast
import os
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def book(request):
    """A notebook, and its path."""
    return nbformat.read(request.param, as_version=4), request.param


def code(book):
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


def test_there_are_three_notebooks():
    names = {path.stem for path in NOTEBOOKS}
    assert names == {"first_steps", "your_own_data", "explain_and_export"}


def test_a_notebook_is_whole_and_small(book):
    content, path = book
    nbformat.validate(content)
    assert content.metadata.kernelspec.name == "python3"
    assert path.stat().st_size < 400_000
    for source in code(content):
        ast.parse(re.sub(r"^(\s*)[%!].*", r"\1pass", source, flags=re.M))


def test_a_notebook_is_ready_for_colab(book):
    content, path = book
    assert f"examples/notebooks/{path.name}" in content.cells[0].source
    install = code(content)[0]
    assert "%pip install" in install and "keras_twostream" in install


def test_no_error_was_committed(book):
    content, _ = book
    for cell in content.cells:
        kinds = {output.output_type for output in cell.get("outputs", ())}
        assert "error" not in kinds


@pytest.mark.full
def test_a_notebook_runs_offline(book, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    content, path = book
    if "export" in path.stem:
        pytest.importorskip("ai_edge_litert")
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    client = nbclient.NotebookClient(
        content,
        timeout=900,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    assert client.nb.cells[-1] is content.cells[-1]
