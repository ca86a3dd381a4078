"""The main job where it used to end: an engine that logs all that it can, and hundreds of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.engine_kinds import Kind
    from tests.integration_tests.langchain.conftest import Make

_REQUESTS = 500  # with an unread pipe a llama-server answers five at most, and often none
_PIPE_BYTES = 64 * 1024
_LOUDEST = {
    "llama-server": {"server_args": ["-lv", "5"], "model_kwargs": {"n_threads_batch": 1}},
    "llama-cpp-python": {},  # it always is
}


@pytest.mark.timeout(180)
def test_500_requests_at_debug_verbosity_are_all_answered(kind: Kind, make: Make) -> None:
    with make(max_tokens=8, temperature=0.0, **_LOUDEST[kind.name]) as llm:
        lengths = {
            len(llm.invoke(f"request {number}", ignore_eos=True)) for number in range(_REQUESTS)
        }
        status = llm.engine.status()
    assert lengths == {8}
    assert (status.restarts, status.calls_in_flight) == (0, 0)
    assert status.stderr_bytes > kind.pipes_filled_by_500_requests * _PIPE_BYTES
