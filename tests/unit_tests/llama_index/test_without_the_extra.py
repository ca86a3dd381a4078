from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_ABSENT = "import sys; sys.modules['llama_index'] = None"  # as if it were not installed


@pytest.mark.parametrize(
    "statement",
    [
        "import safe_llm.llama_index",
        "import safe_llm.llama_index.llms",
        "from safe_llm.llama_index import LlamaCPP",
    ],
)
def test_without_llama_index_the_error_says_how_to_install_it(statement: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", f"{_ABSENT}\n{statement}"],
        check=False,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=15,
    )
    said = "llama-index-core is not installed\nhint: pip install 'safe-llm[llama-index]'"
    assert f"safe_llm.errors.MissingExtra: {said}" in run.stderr


def test_its_classes_are_loaded_when_they_are_asked_for() -> None:
    look = (
        "import safe_llm.llama_index as ours; print('llama_index.core' in sys.modules, dir(ours))"
    )
    run = subprocess.run(
        [sys.executable, "-c", f"import sys\n{look}"],
        check=True,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=15,
    )
    assert run.stdout.startswith("False")
    assert "LlamaCPP" in run.stdout
