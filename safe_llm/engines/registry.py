"""Who shares which engine: equal specifications get leases on one, the last lease stops it.

The registry belongs to one process; a forked child finds an empty one.
"""

from __future__ import annotations

import atexit
import os
import threading
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from safe_llm.engines.backend import is_busy, is_running
from safe_llm.engines.llama_cpp import LlamaCppPython
from safe_llm.engines.llama_server import LlamaServer
from safe_llm.engines.spec import LlamaServerSpec
from safe_llm.errors import MisuseError
from safe_llm.events import EngineChosen
from safe_llm.observers.dispatcher import dispatcher
from safe_llm.process.hub import hub

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from safe_llm.engines.backend import Backend
    from safe_llm.engines.settings import EngineSettings
    from safe_llm.engines.spec import EngineSpec

T = TypeVar("T")


class Shared:
    """An engine and who holds a lease on it."""

    def __init__(self, engine: Backend) -> None:
        self.engine = engine
        self.holders: set[object] = set()


class Registry:
    """All engines of one process, by specification. The lock is held for dictionary work only."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._shared: dict[EngineSpec, Shared] = {}
        self._lock = threading.RLock()  # a signal handler may make a model inside of another one

    def take(self, spec: EngineSpec, settings: EngineSettings, holder: object) -> Shared:
        """Return the engine for a specification, leased to one holder more."""
        with self._lock:
            shared = self._shared.get(spec)
            is_new = shared is None
            if shared is None:
                shared = Shared(self._make(spec, settings))
                self._shared[spec] = shared
            shared.holders.add(holder)
        if is_new and settings.chosen_because:
            chosen = EngineChosen(source=spec.name, because=settings.chosen_because)
            dispatcher().post(chosen, settings.observers)
        return shared

    def _make(self, spec: EngineSpec, settings: EngineSettings) -> Backend:
        make_room = partial(self._make_room, spec, settings.max_engines)
        if isinstance(spec, LlamaServerSpec):
            return LlamaServer(spec, settings, make_room)
        return LlamaCppPython(spec, settings, make_room)

    def give_back(self, shared: Shared, holder: object) -> Backend | None:
        """End a holder's lease, once; return the engine if it was the last one."""
        with self._lock:
            if holder not in shared.holders:
                return None
            shared.holders.remove(holder)
            if shared.holders or self._shared.get(shared.engine.spec) is not shared:
                return None
            del self._shared[shared.engine.spec]
            return shared.engine

    def engines(self) -> list[Backend]:
        """Return all engines that are on lease."""
        with self._lock:
            return [shared.engine for shared in self._shared.values()]

    async def serve(self, engine: Backend, work: Callable[[], Awaitable[T]]) -> T:
        """Do work on an engine, for as long as anybody holds it. Runs on the portal."""
        if engine not in self.engines():  # or a call that a close() has overtaken would start it
            raise closed_error(engine.spec)
        engine.used_at = engine.portal.clock.now()
        return await work()

    async def _make_room(self, spec: EngineSpec, limit: int | None) -> None:
        """Stop the least recently used engines, but none with a call in flight.

        The limit is exceeded rather than a call refused.
        """
        while limit is not None:
            others = [one for one in self.engines() if is_running(one) and one.spec != spec]
            idle = [one for one in others if not is_busy(one)]
            if len(others) < limit or not idle:
                return
            longest_unused = min(idle, key=lambda one: one.used_at)
            await longest_unused.session.stop("evicted: max_engines")


def closed_error(spec: EngineSpec) -> MisuseError:
    """What a call on a lease that was given back gets."""
    return MisuseError(
        reason=f"{spec.name} was closed: this object cannot be used any more",
        hint="make a new one; engines are shared, so it costs nothing while others live",
    )


def shutdown() -> None:
    """Stop all engines and all children of this process, in parallel, each by its policy.

    What is used afterwards starts again.
    """
    if _registry is not None and _registry.owner == os.getpid():
        jobs = [
            engine.portal.submit(partial(engine.session.stop, "shutdown()"), engine.spec.name)
            for engine in _registry.engines()
        ]
        for job in jobs:
            job.result()
    hub().shutdown()


_registry: Registry | None = None
_making = threading.RLock()


def registry() -> Registry:
    """Return the registry of this process; a forked child gets an empty one."""
    global _registry  # noqa: PLW0603  one per process is its nature
    with _making:
        if _registry is None or _registry.owner != os.getpid():
            _registry = Registry()
            hub()  # whose exit handler has to be registered before ours, so as to run after it
            atexit.register(_stop_at_exit, _registry)
        return _registry


def _stop_at_exit(ours: Registry) -> None:
    if ours.owner == os.getpid():
        shutdown()


def _forget_in_fork() -> None:
    global _registry, _making  # noqa: PLW0603  see above
    _registry = None
    _making = threading.RLock()  # the thread that held it was not copied


os.register_at_fork(after_in_child=_forget_in_fork)
