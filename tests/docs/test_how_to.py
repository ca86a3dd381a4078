"""Each program on a page of docs/how-to is run as it stands there, and prints what stands below."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.controls.sweep import new_cookie, sweep
from tests.models import tiny_reranker

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
BOUND = 60  # seconds: it loads a framework and the pocket model, and answers a few requests
SHOWN = re.compile(
    r"^```python\n(?P<program>.*?)^```\n\n```text\n(?P<output>.*?)^```$", re.MULTILINE | re.DOTALL
)
PROGRAMS = [
    pytest.param(one["program"], one["output"], id=f"{page.stem}-{number}")
    for page in PAGES
    for number, one in enumerate(SHOWN.finditer(page.read_text("utf-8")))
]


def masked(text: str) -> str:
    """Times are of the machine; whole numbers are what the page says."""
    return re.sub(r"\d+\.\d+ s", "# s", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_program_of_a_page_is_run(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.count("```python\n") == len(SHOWN.findall(text)) > 0


@pytest.mark.timeout(BOUND + 20)  # see BOUND
@pytest.mark.parametrize(("program", "output"), PROGRAMS)
def test_a_program_prints_what_stands_below_it(program: str, output: str, tmp_path: Path) -> None:
    tiny_reranker(tmp_path).rename(tmp_path / "reranker.gguf")
    cookie = new_cookie()
    try:
        run = subprocess.run(
            [sys.executable, "-c", program],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, **cookie, "PYTHONPATH": str(ROOT)},
            text=True,
            timeout=BOUND,
        )
    finally:
        sweep(cookie)
    assert (run.returncode, run.stderr) == (0, "")
    assert masked(run.stdout) == masked(output)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_new_import_lines_work_and_name_what_the_old_ones_named(page: Path) -> None:
    text = page.read_text("utf-8")
    old = re.findall(r"^-from ([\w.]+) import (\w+)$", text, re.MULTILINE)
    new = re.findall(r"^\+from ([\w.]+) import (\w+)$", text, re.MULTILINE)
    names = {name for _, name in new}
    assert {name for _, name in old} <= names
    for module, name in new:
        namespace: dict[str, object] = {}
        exec(f"from {module} import {name}", namespace)
        assert isinstance(namespace[name], type)
