"""A real llama-server behind ``LlamaCpp``, and what it says itself about its work."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from safe_llm.langchain import LlamaCpp
from tests.models import tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND = 10.0  # seconds; what is waited for takes a fraction of one


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that talks for seconds when nobody stops it: one character a token."""
    return tiny_gguf(tmp_path_factory.mktemp("models"), ctx=16384)


@pytest.fixture(scope="module")
def llm(model: Path) -> Iterator[LlamaCpp]:
    """One engine for all tests of a module."""
    with LlamaCpp(
        model_path=str(model),
        max_tokens=5,
        temperature=0.0,
        verbose=False,
        server_args=["--metrics"],
    ) as made:
        made.start()
        yield made


def socket_of(llm: LlamaCpp) -> str:
    """The socket on which the server behind ``llm`` listens, as its command line says."""
    arguments = Path(f"/proc/{llm.engine.status().pid}/cmdline").read_text().split("\0")
    return next(one for one in arguments if one.endswith(".sock"))


def ask(llm: LlamaCpp, path: str) -> httpx.Response:
    """Ask the server behind ``llm`` past everything of ours."""
    transport = httpx.HTTPTransport(uds=socket_of(llm))
    with httpx.Client(transport=transport, base_url="http://engine", timeout=BOUND) as client:
        return client.get(path)


def becomes_idle(llm: LlamaCpp) -> bool:
    """Whether all slots are free within the bound, as the server says."""
    end = time.monotonic() + BOUND
    while any(slot["is_processing"] for slot in ask(llm, "/slots").json()):
        if time.monotonic() > end:
            return False
    return True


def tokens_predicted(llm: LlamaCpp) -> int:
    """How many tokens the server has generated since it was started."""
    assert becomes_idle(llm)
    counters = dict(line.rsplit(" ", 1) for line in ask(llm, "/metrics").text.splitlines())
    return int(counters["llamacpp:tokens_predicted_total"])
