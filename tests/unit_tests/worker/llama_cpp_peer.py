"""The parent of a real llama-cpp worker, made of a plain subprocess: nothing of our layers."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections import defaultdict, deque
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safe_llm.protocol.worker import REPLIES_VARIABLE, Reply, ReplyReader, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
ARGV = [sys.executable, "-m", "safe_llm.worker.llama_cpp"]
BOUND = 15.0  # seconds for any one reply or exit; the slowest takes one on an idle machine
ENDINGS = ("done", "error")


class Peer:
    """Asks, and sorts the replies by request. Every wait is bounded.

    What the worker prints goes into files, which never fill; see ``printed``.
    """

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._files = {1: folder / "stdout", 2: folder / "stderr"}
        self._numbers = count()
        self._reader = ReplyReader(64 * 1024**2, peer="worker")
        self._heard: defaultdict[int, deque[Reply]] = defaultdict(deque)
        self.order: list[int] = []  # the request of each reply
        self.replies, to_worker = os.pipe()
        usual = {key: one for key, one in os.environ.items() if key != "PYTHONUNBUFFERED"}
        ours = {"PYTHONPATH": str(ROOT), REPLIES_VARIABLE: str(to_worker)}
        with self._files[1].open("wb") as stdout, self._files[2].open("wb") as stderr:
            self.process = subprocess.Popen(
                ARGV, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, pass_fds=[to_worker],
                cwd=folder, env={**usual, **ours, **env},
            )  # fmt: skip
        os.close(to_worker)

    def ask(self, do: str, **arguments: Any) -> int:
        """Send a request and return its number."""
        (number,) = self.ask_at_once((do, arguments))
        return number

    def ask_at_once(self, *requests: tuple[str, dict[str, Any]]) -> list[int]:
        """Send requests in one piece, so that all have arrived when the first one begins."""
        numbered = [(next(self._numbers), *request) for request in requests]
        self.send(b"".join(encode(*request) for request in numbered))
        return [number for number, *_ in numbered]

    def cancel(self, number: int) -> None:
        """Cancel a request."""
        self.send(encode(number, "cancel"))

    def send(self, data: bytes) -> None:
        """Send bytes, whatever they mean."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def hear(self, number: int) -> Reply:
        """Wait for the next reply to one request."""
        until = time.monotonic() + BOUND
        with selectors.DefaultSelector() as selector:
            selector.register(self.replies, selectors.EVENT_READ)
            while not self._heard[number]:
                assert selector.select(max(until - time.monotonic(), 0)), self.last_words()
                data = os.read(self.replies, 65536)
                assert data, f"the worker has gone: {self.last_words()}"
                for reply in self._reader.feed(data):
                    self._heard[reply.id].append(reply)
                    self.order.append(reply.id)
        return self._heard[number].popleft()

    def hear_all(self, number: int) -> list[Reply]:
        """Wait for the replies to one request, the one that concludes it included."""
        heard = [self.hear(number)]
        while heard[-1].kind not in ENDINGS:
            heard.append(self.hear(number))
        return heard

    def answer(self, do: str, **arguments: Any) -> Reply:
        """Ask, and wait for the reply that concludes the request."""
        return self.hear_all(self.ask(do, **arguments))[-1]

    def wait_busy(self) -> None:
        """Wait until it says that it works on a call."""
        until = time.monotonic() + BOUND
        while not self.answer("ping").data["busy"]:
            assert time.monotonic() < until

    def text(self, **arguments: Any) -> str:
        """Have a prompt completed."""
        *chunks, done = self.hear_all(self.ask("complete", **arguments))
        assert done.kind == "done", done
        return "".join(one.data["text"] for one in chunks)

    def refusal(self, do: str, **arguments: Any) -> tuple[str, str]:
        """Ask for what cannot be done, and return the kind of the error and its message."""
        reply = self.answer(do, **arguments)
        assert reply.kind == "error", reply
        return reply.data["kind"], reply.data["message"]

    def printed(self, descriptor: int) -> bytes:
        """Read what it has printed on its stdout or stderr so far."""
        return self._files[descriptor].read_bytes()

    def last_words(self) -> str:
        """Return the end of what it has printed on stderr."""
        return self.printed(2)[-2000:].decode("utf-8", "replace")

    def hang_up(self) -> int:
        """Close its stdin, and return its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(BOUND)

    def close(self) -> None:
        """Kill it, if it is still there."""
        self.process.kill()
        self.process.wait(BOUND)
        os.close(self.replies)
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()


@contextmanager
def started(**env: str) -> Iterator[Peer]:
    """A worker that has nothing loaded."""
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(Path(folder), env)
        try:
            yield peer
        finally:
            peer.close()


@contextmanager
def loaded(model: Path, *, env: dict[str, str] | None = None, **wanted: Any) -> Iterator[Peer]:
    """A worker with a model, on one thread."""
    parameters = {"n_threads": 1, "n_threads_batch": 1, **wanted.pop("parameters", {})}
    with started(**(env or {})) as peer:
        done = peer.answer("load", model_path=str(model), parameters=parameters, **wanted)
        assert done.kind == "done", done
        yield peer
