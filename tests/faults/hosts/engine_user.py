"""Uses an engine on a model, in the way that is named, and reports what it sees."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import pickle
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safe_llm import CallTimeout, Limits
from safe_llm.engines.lease import Lease, lease
from safe_llm.engines.registry import shutdown
from safe_llm.engines.settings import EngineSettings
from safe_llm.limits import NO_LIMITS
from safe_llm.observers.logs import LogObserver
from tests.engine_kinds import KINDS, becomes_idle
from tests.faults.hosts import introduce, report
from tests.llama_engine import ENDLESS, HELLO, PATIENT, comes_true, pid_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from safe_llm.engines.spec import EngineSpec
    from safe_llm.events import Event


def _started(spec: EngineSpec) -> Lease:
    engine = lease(spec, EngineSettings(limits=PATIENT))
    engine.start(PATIENT)
    report(pid_of(engine))
    return engine


def _tell_when_busy(engine: Lease) -> None:
    assert comes_true(lambda: engine.status().calls_in_flight == 1)
    report("in a call")


def interrupted(spec: EngineSpec) -> None:
    """Ctrl-C in a blocking call, then another call."""
    with _started(spec) as engine:
        threading.Thread(target=_tell_when_busy, args=(engine,), daemon=True).start()
        try:
            engine.complete(ENDLESS, PATIENT)
        except KeyboardInterrupt:
            report("interrupted")
        report([becomes_idle(engine), pid_of(engine)])
        report(engine.complete(HELLO, PATIENT).finish_reason)


def interrupted_loop(spec: EngineSpec) -> None:
    """Ctrl-C while a loop of ours waits for a call."""
    with _started(spec) as engine:
        threading.Thread(target=_tell_when_busy, args=(engine,), daemon=True).start()
        try:
            asyncio.run(engine.complete_async(ENDLESS, PATIENT))
        except KeyboardInterrupt:
            report("interrupted")
        report([becomes_idle(engine), pid_of(engine)])
        report(engine.complete(HELLO, PATIENT).finish_reason)


def paused(spec: EngineSpec) -> None:
    """Is stopped in a call for longer than its limits."""
    layers = Limits(
        call=3.0, total=3.0, first_token=2.5, gap=2.5, progress=2.5, job=3.0,
        alive_interval=0.3, alive_timeout=0.5, alive_misses=1,
    )  # fmt: skip
    with lease(spec, EngineSettings(limits=layers)) as engine:
        engine.start(PATIENT)
        pid = pid_of(engine)
        try:
            stream = engine.stream({"prompt": "hello", "n_predict": 500}, layers)
            next(stream)
            report("in a call")
            *_, last = stream
            report(last.finish_reason)
        except CallTimeout as error:
            report(str(error))
        report(pid_of(engine) == pid)


def waits(spec: EngineSpec) -> None:
    """Waits for its own end, with a call in flight."""
    engine = _started(spec)
    stream = engine.stream(ENDLESS, NO_LIMITS)
    next(stream)
    report("in a call")
    sys.stdin.readline()


def leaves(spec: EngineSpec) -> None:
    """Ends without closing anything, with calls in flight in a thread and in a dead loop."""
    engine = _started(spec)
    threading.Thread(
        target=lambda: engine.complete(ENDLESS, NO_LIMITS), name="a call in flight", daemon=True
    ).start()

    async def leave() -> None:
        waiting = asyncio.create_task(engine.complete_async(ENDLESS, NO_LIMITS))
        await asyncio.sleep(0.05)
        assert not waiting.done()

    asyncio.run(leave())


def leaves_by_exception(spec: EngineSpec) -> None:
    """Ends by an error that nobody catches, while a stream is half read."""
    engine = _started(spec)
    next(engine.stream(ENDLESS, NO_LIMITS))
    raise RuntimeError("on purpose")


def shut_down(spec: EngineSpec) -> None:
    """Shuts everything down, and goes on using what it has."""
    engine = _started(spec)
    shutdown()
    report(engine.status().state)
    report(engine.complete(HELLO, PATIENT).finish_reason)
    report(pid_of(engine))


def logs_into_a_full_pipe(spec: EngineSpec) -> None:
    """Its own stderr is a full pipe that nobody reads, and everything is logged there."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x")
    os.set_blocking(writer, True)
    os.dup2(writer, 2)
    logging.basicConfig(level=logging.DEBUG)

    def log_carelessly(event: Event) -> None:
        logging.getLogger("careless").warning("%s", event)

    settings = EngineSettings(limits=PATIENT, observers=(log_carelessly, LogObserver()))
    with lease(spec, settings) as engine:
        engine.start(PATIENT)
        report([engine.complete(HELLO, PATIENT).finish_reason for _ in range(20)])
    report("closed")
    os.read(reader, 1)  # or the interpreter would wait for its own stderr at the end
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def forked(spec: EngineSpec) -> None:
    """Uses one object on both sides of a fork; the fork starts an engine of its own."""
    engine = _started(spec)
    pid = os.fork()
    if pid == 0:
        _use_elsewhere(engine)
        sys.exit(0)
    report(["the fork ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])])
    report(["here", pid_of(engine), engine.complete(HELLO, PATIENT).finish_reason])
    engine.close()


def _use_elsewhere(engine: Lease) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        engine.complete(HELLO, PATIENT)
        engine.complete(HELLO, PATIENT)
    texts = [str(one.message) for one in said]
    report(["the fork", pid_of(engine), len(texts), all("base_url" in one for one in texts)])
    engine.close()


def pickled(spec: EngineSpec) -> None:
    """Sends the specification to a process of its own, by each start method."""
    with _started(spec) as engine:
        for method in ("spawn", "forkserver", "fork"):
            context: Any = multiprocessing.get_context(method)
            worker = context.Process(target=_work, args=(pickle.dumps(spec),))
            worker.start()
            worker.join(30)
            report([method, worker.exitcode])
        report(["here", pid_of(engine), engine.complete(HELLO, PATIENT).finish_reason])


def _work(data: bytes) -> None:
    with lease(pickle.loads(data), EngineSettings(limits=PATIENT)) as engine:
        engine.complete(HELLO, PATIENT)
        report(["a worker", pid_of(engine)])


WAYS: dict[str, Callable[[EngineSpec], None]] = {
    one.__name__: one
    for one in (
        interrupted,
        interrupted_loop,
        paused,
        waits,
        leaves,
        leaves_by_exception,
        shut_down,
        logs_into_a_full_pipe,
        forked,
        pickled,
    )
}


if __name__ == "__main__":
    introduce()
    _, way, engine_kind, model_path = sys.argv
    WAYS[way](KINDS[engine_kind].spec(Path(model_path)))
