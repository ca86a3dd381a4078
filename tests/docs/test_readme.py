"""The README's program is run as it stands there, and prints what stands below it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.controls.sweep import new_cookie, sweep
from tests.models import smollm2_path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BOUND = 60  # seconds: it loads LangChain and a model, and answers four requests
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def masked(text: str) -> str:
    return re.sub(r"\d[\d,.]*", "#", text)


def test_the_program_has_at_most_fifteen_lines() -> None:
    (program,) = blocks("python")
    assert len(program.splitlines()) <= 15


@pytest.mark.smollm2
@pytest.mark.timeout(BOUND + 20)  # see BOUND
def test_the_program_prints_what_stands_below_it(tmp_path: Path) -> None:
    (program,) = blocks("python")
    (tmp_path / MODEL).symlink_to(smollm2_path())
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
    assert masked(run.stdout) == masked(blocks("text")[1])


def test_the_commands_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = re.findall(r"^ {4}make (\w+)", README, re.MULTILINE)
    assert named == ["demo", "test"]
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
