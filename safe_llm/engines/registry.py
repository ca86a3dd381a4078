"""Who shares which engine: equal specifications get leases on one, the last lease stops it.

The registry belongs to one process. In a forked child or an unpickled object a lease finds that
it is somewhere else, says so once, and takes an engine of that process.
"""

from __future__ import annotations

import atexit
import os
import threading
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from safe_llm.engines.llama_server import EngineSettings, LlamaServer
from safe_llm.errors import MisuseError
from safe_llm.process.hub import hub
from safe_llm.process.waking import refuse_on_service_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from safe_llm.engines.base import (
        Completion,
        CompletionChunk,
        CompletionStream,
        EngineStatus,
    )
    from safe_llm.engines.spec import LlamaServerSpec
    from safe_llm.limits import Limits
    from safe_llm.supervise.job import Job

P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["EngineSettings", "Lease", "lease", "shutdown"]


class _Shared:
    """An engine and who holds a lease on it."""

    def __init__(self, engine: LlamaServer) -> None:
        self.engine = engine
        self.holders: set[object] = set()


class Registry:
    """All engines of one process, by specification. The lock is held for dictionary work only."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._shared: dict[LlamaServerSpec, _Shared] = {}
        self._lock = threading.RLock()  # a signal handler may make a model inside of another one

    def take(self, spec: LlamaServerSpec, settings: EngineSettings, holder: object) -> _Shared:
        """Return the engine for a specification, leased to one holder more."""
        with self._lock:
            shared = self._shared.get(spec)
            if shared is None:
                shared = _Shared(LlamaServer(spec, settings, self._make_room))
                self._shared[spec] = shared
            shared.holders.add(holder)
            return shared

    def give_back(self, shared: _Shared, holder: object) -> LlamaServer | None:
        """End a holder's lease, once; return the engine if it was the last one."""
        with self._lock:
            if holder not in shared.holders:
                return None
            shared.holders.remove(holder)
            if shared.holders or self._shared.get(shared.engine.spec) is not shared:
                return None
            del self._shared[shared.engine.spec]
            return shared.engine

    def engines(self) -> list[LlamaServer]:
        """Return all engines that are on lease."""
        with self._lock:
            return [shared.engine for shared in self._shared.values()]

    async def serve(self, engine: LlamaServer, work: Callable[[], Awaitable[T]]) -> T:
        """Do work on an engine, for as long as anybody holds it. Runs on the portal."""
        if engine not in self.engines():  # or a call that a close() has overtaken would start it
            raise _closed(engine.spec)
        engine.used_at = engine.portal.clock.now()
        return await work()

    async def _make_room(self, engine: LlamaServer) -> None:
        """Stop the least recently used engines, but none with a call in flight.

        The limit is exceeded rather than a call refused.
        """
        limit = engine.settings.max_engines
        while limit is not None:
            others = [one for one in self.engines() if one.is_running and one is not engine]
            idle = [one for one in others if not one.is_busy]
            if len(others) < limit or not idle:
                return
            await min(idle, key=lambda one: one.used_at).stop("evicted: max_engines")


class Lease:
    """A share in an engine, as an adapter holds it. Implements ``engines.base.Engine``.

    Taking one starts nothing; the first call does. ``close()`` gives it back, and the last one
    stops the engine and waits until nothing of it is left. A call after that is a
    ``MisuseError``.
    """

    def __init__(self, spec: LlamaServerSpec, settings: EngineSettings) -> None:
        self._spec = spec
        self._settings = settings
        self._closed = True  # until there is something to close
        self._take()
        self._closed = False

    def _take(self) -> None:
        self._owner = os.getpid()
        self._registry = registry()
        self._token = object()
        self._shared = self._registry.take(self._spec, self._settings, self._token)

    # -- calls

    def start(self, limits: Limits) -> None:
        """Have the engine ready, in this thread's time rather than in the first call's."""
        self._wait_for(LlamaServer.start, limits)

    async def start_async(self, limits: Limits) -> None:
        """As ``start``, for a task."""
        await self._submit(LlamaServer.start, limits).result_async()

    def complete(self, body: Mapping[str, Any], limits: Limits) -> Completion:
        """Complete one prompt; ``body`` in llama-server's own words."""
        return self._wait_for(LlamaServer.complete, body, limits)

    async def complete_async(self, body: Mapping[str, Any], limits: Limits) -> Completion:
        """As ``complete``, for a task; cancelling it frees the slot."""
        return await self._submit(LlamaServer.complete, body, limits).result_async()

    def stream(self, body: Mapping[str, Any], limits: Limits) -> CompletionStream:
        """Complete one prompt, piece by piece; leaving the stream frees the slot."""
        engine, leases = self._mine().engine, self._registry

        async def work(emit: Callable[[CompletionChunk], None]) -> None:
            await leases.serve(engine, partial(engine.generate, body, limits, emit))

        return engine.portal.stream(work, self._spec.name)

    def tokenize(self, text: str, limits: Limits) -> list[int]:
        """Return the tokens of a text."""
        return self._wait_for(LlamaServer.tokenize, text, limits)

    async def tokenize_async(self, text: str, limits: Limits) -> list[int]:
        """As ``tokenize``, for a task."""
        return await self._submit(LlamaServer.tokenize, text, limits).result_async()

    def status(self) -> EngineStatus:
        """Return what is known of the engine; never blocks."""
        return self._shared.engine.status(len(self._shared.holders))

    def _wait_for(
        self,
        method: Callable[Concatenate[LlamaServer, P], Coroutine[Any, Any, T]],
        *args: P.args,
        **named: P.kwargs,
    ) -> T:
        refuse_on_service_thread()  # before anything is begun that nobody would wait for
        return self._submit(method, *args, **named).result()

    def _submit(
        self,
        method: Callable[Concatenate[LlamaServer, P], Coroutine[Any, Any, T]],
        *args: P.args,
        **named: P.kwargs,
    ) -> Job[T]:
        engine = self._mine().engine
        work = partial(self._registry.serve, engine, partial(method, engine, *args, **named))
        return engine.portal.submit(work, self._spec.name)

    def _mine(self) -> _Shared:
        """Return the shared engine, of *this* process; refuse a lease that was given back."""
        if self._closed:
            raise _closed(self._spec)
        if self._owner != os.getpid():
            warn_of_second_engine(self._spec)
            self._take()
        return self._shared

    # -- the end

    def close(self) -> None:
        """Give the lease back; stop the engine if it was the last one, and wait for that."""
        refuse_on_service_thread()
        engine = self._give_back()
        if engine is not None:
            engine.portal.submit(partial(engine.stop, "close()"), self._spec.name).result()

    async def close_async(self) -> None:
        """As ``close``, for a task."""
        engine = self._give_back()
        if engine is not None:
            job = engine.portal.submit(partial(engine.stop, "close()"), self._spec.name)
            await job.result_async()

    def release_soon(self) -> None:
        """Give the lease back without waiting or locking: what a finalizer may do."""
        if not self._closed and self._owner == os.getpid():
            self._shared.engine.portal.post(self._release)

    def _release(self) -> None:
        engine = self._give_back()
        if engine is not None:
            engine.portal.spawn_task(partial(engine.stop, "garbage collected"), self._spec.name)

    def _give_back(self) -> LlamaServer | None:
        self._closed = True
        if self._owner != os.getpid():
            return None
        return self._registry.give_back(self._shared, self._token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.release_soon()


def _closed(spec: LlamaServerSpec) -> MisuseError:
    return MisuseError(
        reason=f"{spec.name} was closed: this object cannot be used any more",
        hint="make a new one; engines are shared, so it costs nothing while others live",
    )


def lease(spec: LlamaServerSpec, settings: EngineSettings) -> Lease:
    """Return a share in the engine of this specification; nothing is started by it."""
    return Lease(spec, settings)


def shutdown() -> None:
    """Stop all engines and all children of this process, in parallel, each by its policy.

    What is used afterwards starts again.
    """
    if _registry is not None and _registry.owner == os.getpid():
        jobs = [
            engine.portal.submit(partial(engine.stop, "shutdown()"), engine.spec.name)
            for engine in _registry.engines()
        ]
        for job in jobs:
            job.result()
    hub().shutdown()


def warn_of_second_engine(spec: LlamaServerSpec) -> None:
    """Say that an object has come into another process and starts an engine of its own there."""
    warnings.warn(
        f"{spec.name} is used in another process than the one that made it, and starts an engine"
        " of its own here; to share one, start a llama-server and give its address as base_url",
        RuntimeWarning,
        stacklevel=2,
    )


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
