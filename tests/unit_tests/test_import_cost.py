from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

EXPENSIVE = {
    "anyio",
    "asyncio",
    "httpx",
    "langchain_core",
    "llama_cpp",
    "llama_index",
    "mcp",
    "pydantic",
    "trio",
    "xllamacpp",
}


def modules_after(statement: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after ``statement``."""
    run = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        check=True,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=15,
    )
    return set(run.stdout.split())


def test_importing_safe_llm_loads_no_framework_no_http_client_and_no_event_loop() -> None:
    assert modules_after("import safe_llm") & EXPENSIVE == set()


def test_importing_safe_llm_loads_no_other_module_of_ours() -> None:
    loaded = modules_after("import safe_llm")
    assert {name for name in loaded if name.startswith("safe_llm")} == {"safe_llm"}


@pytest.mark.parametrize(
    "module",
    [
        "safe_llm.errors",
        "safe_llm.events",
        "safe_llm.limits",
        "safe_llm.protocol.lines",
        "safe_llm.protocol.sse",
    ],
)
def test_the_vocabulary_and_the_wire_formats_load_nothing_expensive(module: str) -> None:
    loaded = modules_after(f"import {module}")
    assert module in loaded
    assert loaded & EXPENSIVE == set()


def test_asking_for_the_version_and_for_the_names_loads_nothing_more() -> None:
    loaded = modules_after("import safe_llm; safe_llm.__version__; dir(safe_llm)")
    assert {name for name in loaded if name.startswith("safe_llm")} == {"safe_llm"}
