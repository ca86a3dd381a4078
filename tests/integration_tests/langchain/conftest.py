"""A real engine of each kind behind ``LlamaCpp``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from safe_llm.langchain import LlamaCpp
from tests.engine_fixtures import kind
from tests.models import tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.engine_kinds import Kind

    Make = Callable[..., LlamaCpp]

__all__ = ["kind"]

N_CTX = 16_384  # tokens of one character: seconds of talk, when nobody stops it

_FURTHER: Mapping[str, Mapping[str, Any]] = {
    "llama-server": {"server_args": ["--metrics"]},
    "llama-cpp-python": {"n_parallel": 2, "logits_all": True},
}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("models"), ctx=N_CTX)


@pytest.fixture(scope="module")
def make(kind: Kind, model: Path) -> Make:
    """Make a ``LlamaCpp`` on this kind of engine."""

    def made(**fields: Any) -> LlamaCpp:
        usual = {"model_path": str(model), "n_threads": 1, "verbose": False}
        return LlamaCpp(**{"engine": kind.name, **usual, **fields})

    return made


@pytest.fixture(scope="module")
def llm(kind: Kind, make: Make) -> Iterator[LlamaCpp]:
    """One engine for all tests of a module."""
    with make(n_ctx=N_CTX, max_tokens=5, temperature=0.0, **_FURTHER[kind.name]) as made:
        made.start()
        yield made
