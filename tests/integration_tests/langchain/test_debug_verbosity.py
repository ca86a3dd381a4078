"""The main job where it used to end: an engine that logs for debugging, and hundreds of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from safe_llm.langchain import LlamaCpp

if TYPE_CHECKING:
    from pathlib import Path

_REQUESTS = 500  # the same server with an unread pipe answers five at most, and often none
_PIPE_BYTES = 64 * 1024


@pytest.mark.timeout(180)
def test_500_requests_at_debug_verbosity_are_all_answered(model: Path) -> None:
    with LlamaCpp(
        model_path=str(model),
        max_tokens=8,
        temperature=0.0,
        verbose=False,
        model_kwargs={"n_threads_batch": 1},
        n_threads=1,
        server_args=["-lv", "5"],
    ) as llm:
        lengths = {
            len(llm.invoke(f"request {number}", ignore_eos=True)) for number in range(_REQUESTS)
        }
        status = llm.engine.status()
    assert lengths == {8}
    assert (status.restarts, status.calls_in_flight) == (0, 0)
    assert status.stderr_bytes > 100 * _PIPE_BYTES
