"""An engine without a process: it says what it was told to say, and keeps what it was asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from safe_llm.engines.base import Completion, CompletionChunk, EngineStatus, Usage

if TYPE_CHECKING:
    from safe_llm.limits import Limits

Script = Callable[[str], Iterator[CompletionChunk]]


def spells(prompt: str) -> Iterator[CompletionChunk]:
    """Answer with the prompt in capitals, letter by letter."""
    for letter in prompt.upper():
        yield CompletionChunk(letter)
    usage = Usage(prompt_tokens=len(prompt) + 1, completion_tokens=len(prompt), cached_tokens=1)
    yield CompletionChunk("", (), "stop", usage, {"predicted_n": len(prompt)})


class ScriptedStream:
    """A stream of the protocol; ``closed`` tells whether the work was cancelled or done with."""

    def __init__(self, chunks: Iterator[CompletionChunk]) -> None:
        self._chunks = chunks
        self.closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> CompletionChunk:
        return next(self._chunks)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CompletionChunk:
        for chunk in self._chunks:
            return chunk
        raise StopAsyncIteration

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.close()


class ScriptedEngine:
    """An ``engines.base.Engine`` whose answers are computed from the prompt."""

    def __init__(self, script: Script = spells) -> None:
        self._script = script
        self.bodies: list[dict[str, Any]] = []
        self.limits: deque[Limits] = deque()
        self.streams: list[ScriptedStream] = []

    def start(self, limits: Limits) -> None:
        self.limits.append(limits)

    async def start_async(self, limits: Limits) -> None:
        self.start(limits)

    def complete(self, body: Mapping[str, Any], limits: Limits) -> Completion:
        raise NotImplementedError

    async def complete_async(self, body: Mapping[str, Any], limits: Limits) -> Completion:
        raise NotImplementedError

    def stream(self, body: Mapping[str, Any], limits: Limits) -> ScriptedStream:
        self.bodies.append(dict(body))
        self.limits.append(limits)
        self.streams.append(ScriptedStream(self._script(body["prompt"])))
        return self.streams[-1]

    def tokenize(self, text: str, limits: Limits) -> list[int]:
        self.limits.append(limits)
        return list(text.encode())

    async def tokenize_async(self, text: str, limits: Limits) -> list[int]:
        return self.tokenize(text, limits)

    def status(self) -> EngineStatus:
        return EngineStatus(
            name="scripted",
            state="ready",
            pid=4711,
            pids=(4711,),
            model="m.gguf",
            uptime=3.0,
            restarts=1,
            calls_in_flight=0,
            stdout_bytes=5,
            stderr_bytes=65536,
            dropped_bytes=2,
            heartbeat_gap=0.0,
            leases=1,
            last_lines=("one <b>", "two"),
        )

    def close(self) -> None:
        return

    async def close_async(self) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return


class ScriptedLeases:
    """In the place of the leases of a ``LlamaCpp``."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self._engine = engine

    def get(self, *_: object) -> ScriptedEngine:
        return self._engine
