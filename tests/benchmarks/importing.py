"""What an import costs over a bare interpreter, and what it drags along."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial

from tests.benchmarks.alternation import alternate, middle
from tests.benchmarks.figures import Figure, at_most

ROUNDS = 15
BOUND = 60.0  # seconds for an interpreter to start
EXPENSIVE = ("langchain_core", "llama_index", "mcp", "llama_cpp", "httpx", "anyio", "asyncio")

_ADAPTER = "from safe_llm.langchain import LlamaCpp"
_ADAPTED = "from langchain_core.language_models.llms import BaseLLM"


def measure() -> list[Figure]:
    """Return both imports, and how many expensive modules the first one loads."""
    bare, ours = alternate(ROUNDS, partial(_run, "pass"), partial(_run, "import safe_llm"))
    core, adapter = alternate(ROUNDS // 3, partial(_run, _ADAPTED), partial(_run, _ADAPTER))
    loaded = _loaded_by("import safe_llm")
    return [
        Figure(
            what="import safe_llm",
            unit="s",
            ours=middle(ours),
            reference=middle(bare),
            beside="bare interpreter",
            target=at_most(0.05, "excess"),
        ),
        Figure(
            what="import safe_llm, expensive modules",
            unit="",
            ours=len(loaded),
            target=at_most(0, "ours"),
            note=f"{', '.join(loaded) or 'none'} of {', '.join(EXPENSIVE)}",
        ),
        Figure(
            what="import LlamaCpp",
            unit="s",
            ours=middle(adapter),
            reference=middle(core),
            beside="langchain_core's BaseLLM",
        ),
    ]


def _run(statement: str) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", statement], check=True, timeout=BOUND, stdin=subprocess.DEVNULL
    )
    return time.perf_counter() - began


def _loaded_by(statement: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        check=True,
        timeout=BOUND,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    return sorted(set(EXPENSIVE).intersection(done.stdout.split()))
