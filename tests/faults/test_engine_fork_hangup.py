"""Row 33 on llama-server: what user code forks must not keep a cancelled call's slot busy.

Of llama-server only: its client is gone when the connection is, and a fork holds it open. A worker
of llama-cpp-python is told of a cancellation in words.
"""

from __future__ import annotations

import os
import signal
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from safe_llm.engines.lease import lease
from safe_llm.engines.settings import EngineSettings
from safe_llm.engines.spec import LlamaServerSpec
from safe_llm.limits import Limits
from tests.models import smollm2_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safe_llm.engines.lease import Lease

_BOUND = 10.0  # seconds; it takes a few milliseconds
_LONG = {"prompt": "Count: one, two,", "n_predict": -1, "ignore_eos": True}


@pytest.fixture
def engine() -> Iterator[Lease]:
    """A real model: one that is slow enough to be interrupted."""
    spec = LlamaServerSpec(model_path=str(smollm2_path()), parameters=(("n_ctx", 4096),))
    with lease(spec, EngineSettings()) as taken:
        taken.start(Limits())
        yield taken


@pytest.fixture
def forked_in_the_middle(engine: Lease) -> Iterator[None]:
    """A process that inherits the connection of a running stream, which is then left."""
    stream = engine.stream(_LONG, Limits())
    next(stream)
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        signal.pause()
        os._exit(0)
    stream.close()
    yield
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # 3.12 warns of the very fault
@pytest.mark.usefixtures("forked_in_the_middle")
def test_leaving_a_stream_frees_the_slot_although_a_fork_holds_the_connection(
    engine: Lease,
) -> None:
    until = monotonic() + _BOUND
    log = ""
    while "cancel task" not in log and monotonic() < until:
        log = "\n".join(engine.status().last_lines)
    assert "cancel task" in log, f"the server never learnt that its client had left:\n{log}"
