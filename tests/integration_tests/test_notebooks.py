"""Every notebook runs from top to bottom, offline, and shows no trace of the machine it ran on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.controls.sweep import bearers, new_cookie, sweep

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BOUND = 100  # seconds a notebook; 20 on an idle machine, most of them for two dozen real answers


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def texts(notebook: Any) -> str:
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    return "".join(one.get("text", "") or str(one.get("data", {})) for one in outputs)


@pytest.fixture(scope="module")
def executed() -> Any:
    """The freeze, executed; nothing that it started is alive afterwards."""
    notebook = read(ROOT / "notebooks" / "01_the_freeze.ipynb")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    cookie = new_cookie()
    client = NotebookClient(
        notebook,
        timeout=BOUND,
        kernel_name="python3",
        resources={"metadata": {"path": str(ROOT / "notebooks")}},
    )
    try:
        client.execute(env={**os.environ, **cookie, "PYTHONPATH": str(ROOT)})
        left = bearers(cookie)
    finally:
        sweep(cookie)
    assert left == []
    return notebook


def test_there_is_a_notebook() -> None:
    assert [path.name for path in NOTEBOOKS] == ["01_the_freeze.ipynb"]


@pytest.mark.smollm2
@pytest.mark.slow
@pytest.mark.timeout(BOUND + 20)  # see BOUND
def test_the_freeze_is_seen_and_cured(executed: Any) -> None:
    said = texts(executed)
    assert "requests answered, then none" in said
    assert "one of its threads is blocked in a write to descriptor 2" in said
    assert "bytes of log drained" in said
    assert said.count("image/png") == 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_names_no_machine(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert cell.metadata == {}
    for word in (*(f"/{one}/" for one in ("home", "root", "tmp")), "site-packages", "Traceback"):
        assert word not in texts(notebook)
