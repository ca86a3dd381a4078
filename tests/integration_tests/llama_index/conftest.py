"""A real engine of each kind behind ``LlamaCPP``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import safe_llm
from safe_llm.llama_index import LlamaCPP
from tests.engine_fixtures import kind
from tests.models import tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.engine_kinds import Kind

    Make = Callable[..., LlamaCPP]

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
    """Make a ``LlamaCPP`` on this kind of engine."""

    def made(**fields: Any) -> LlamaCPP:
        usual = {"model_path": str(model), "n_threads": 1, "verbose": False, "temperature": 0}
        return LlamaCPP(**{"engine": kind.name, **usual, **fields})

    return made


@pytest.fixture(scope="module")
def settings(kind: Kind) -> Mapping[str, Any]:
    """What makes an object share the engine of ``llm``."""
    return {"context_window": N_CTX, **_FURTHER[kind.name]}


@pytest.fixture(scope="module")
def llm(make: Make, settings: Mapping[str, Any]) -> Iterator[LlamaCPP]:
    """One engine for all tests of a module; what it says means nothing and never ends by itself."""
    with make(max_new_tokens=5, **settings) as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def pocket(make: Make) -> Iterator[LlamaCPP]:
    """A model that calls tools and fills schemas."""
    with make(model_path=str(safe_llm.pocket_model()), context_window=2048) as made:
        made.start()
        yield made
