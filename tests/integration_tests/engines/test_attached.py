"""A llama-server that somebody else owns: the same deadlines and cancellation, no process.

Nobody else can own a worker of llama-cpp-python: it lives by the pipes of its parent.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from safe_llm.engines.lease import Lease, lease
from safe_llm.engines.settings import EngineSettings
from safe_llm.engines.spec import LlamaServerSpec
from safe_llm.errors import CallTimeout, MisuseError, RemoteError
from tests.children import python_child
from tests.engine_kinds import becomes_idle
from tests.llama_engine import (
    ENDLESS,
    HELLO,
    PATIENT,
    leased,
    paused,
    pid_of,
    socket_of,
    tiny_spec,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def owned(model: Path) -> Iterator[Lease]:
    with leased(tiny_spec(model)) as engine:
        engine.start(PATIENT)
        yield engine


@pytest.fixture
def attached(owned: Lease) -> Iterator[Lease]:
    spec = LlamaServerSpec(model_path="", base_url=f"unix:{socket_of(owned)}")
    with lease(spec, EngineSettings()) as engine:
        yield engine


def test_it_is_used_like_one_of_ours_and_survives_our_leaving(
    owned: Lease, attached: Lease
) -> None:
    attached.start(PATIENT)
    assert attached.complete(HELLO, PATIENT).finish_reason == "length"
    assert [one.text for one in attached.stream(HELLO, PATIENT)]
    assert len(attached.tokenize("hello", PATIENT)) == 5
    assert (attached.status().state, attached.status().pid) == ("ready", None)
    attached.close()
    assert owned.complete(HELLO, PATIENT).finish_reason == "length"


def test_leaving_a_call_frees_the_slot(owned: Lease, attached: Lease) -> None:
    stream = attached.stream(ENDLESS, PATIENT)
    next(stream)
    stream.close()
    assert becomes_idle(owned)


def test_a_limit_ends_the_call_and_frees_the_slot(owned: Lease, attached: Lease) -> None:
    with pytest.raises(CallTimeout, match="L1 total") as caught:
        attached.complete(ENDLESS, PATIENT.with_changes(total=0.2))
    assert caught.value.hint == "the server is not ours: nothing but the call was ended"
    assert becomes_idle(owned)


def test_one_that_does_not_answer_costs_the_call_and_no_more(owned: Lease, attached: Lease) -> None:
    with paused(pid_of(owned)):
        with pytest.raises(CallTimeout):
            attached.start(PATIENT.with_changes(call=0.2))
        with pytest.raises(CallTimeout, match="L1 first_token"):
            attached.complete(HELLO, PATIENT.with_changes(first_token=0.2))
    assert attached.complete(HELLO, PATIENT).finish_reason == "length"


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:9", "unix:/no/such.sock", "ftp://host", "not a url"]
)
@pytest.mark.parametrize(
    "call", [lambda one: one.start(PATIENT), lambda one: one.complete(HELLO, PATIENT)]
)
def test_where_nobody_listens_it_is_said_where(
    base_url: str, call: Callable[[Lease], object]
) -> None:
    spec = LlamaServerSpec(model_path="", base_url=base_url)
    with lease(spec, EngineSettings()) as engine, pytest.raises(RemoteError) as caught:
        call(engine)
    assert base_url in caught.value.hint


@pytest.mark.parametrize("base_url", ["http://[::1", "http://host:port"])
def test_an_address_that_is_none_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(MisuseError, match="there can be no server at"):
        lease(LlamaServerSpec(model_path="", base_url=base_url), EngineSettings())


def test_something_else_that_answers_there_is_told(model: Path) -> None:
    with subprocess.Popen(python_child("other_listener", 0), stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        spec = LlamaServerSpec(model_path="", base_url=f"http://127.0.0.1:{port}")
        try:
            early = pytest.raises(RemoteError, match="the answer ended too early")
            with lease(spec, EngineSettings()) as engine, early:
                engine.complete(HELLO, PATIENT)
        finally:
            other.kill()
