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
BOUND = 200  # seconds a notebook; 20 to 50, most of them for dozens of real answers


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def texts(notebook: Any) -> str:
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    return "".join(one.get("text", "") or str(one.get("data", {})) for one in outputs)


SHOWN = {
    "01_the_freeze.ipynb": (
        "requests answered, then none",
        "one of its threads is blocked in a write to descriptor 2",
        "bytes of log drained",
    ),
    "02_measure_your_engines.ipynb": (
        "llama-server 4: frozen after",
        "llama-server debug: frozen while loading",
        "llama-cpp-python on: frozen while loading",
        "blocked in a write to descriptor 2, a full pipe that nobody reads",
        "mcp DEBUG: ",
    ),
    "03_swap_langchain.ipynb": (
        "Japan: Tokyo",
        "tool: Sunny in Oslo.",
        "Person(name='Anna', age=31)",
        "get_weather",
        "left after 20 pieces",
        "0 calls in flight",
        "and with it the work",
        "ModelDied, retryable: True",
        "died during the call: ended by SIGKILL",
        "ready, restarts: 1",
    ),
    "04_llama_index.ipynb": (
        "(3900, 'idle')",
        "Rome",
        "L1 call: allowed were 0.5 s",
        "Sunny in Oslo.",
        "a Person, 31 years old",
        "found: Anna lives in Oslo.",
        "LlamaCppEmbedding: ready, its log was read: True",
    ),
}
"""What the cells of each print, besides pictures."""

PICTURES = dict(zip(SHOWN, (2, 2, 1, 1), strict=True))


def executed(path: Path) -> Any:
    """The notebook, executed; nothing that it started is alive afterwards."""
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    cookie = new_cookie()
    client = NotebookClient(
        notebook,
        timeout=BOUND,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute(env={**os.environ, **cookie, "PYTHONPATH": str(ROOT)})
        left = bearers(cookie)
    finally:
        sweep(cookie)
    assert left == []
    return notebook


def test_of_each_notebook_it_is_known_what_it_shows() -> None:
    assert [path.name for path in NOTEBOOKS] == list(SHOWN)


@pytest.mark.smollm2
@pytest.mark.slow
@pytest.mark.timeout(BOUND + 20)  # see BOUND
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_and_shows_what_its_text_says(path: Path) -> None:
    said = texts(executed(path))
    for words in SHOWN[path.name]:
        assert words in said
    assert said.count("image/png") == PICTURES[path.name]


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
