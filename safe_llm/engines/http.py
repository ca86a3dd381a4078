"""HTTP to a llama-server, on the portal. Sets no deadline: those are the call's."""

from __future__ import annotations

import json
import re
import socket
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx

from safe_llm.errors import MisuseError, PromptTooLong, ProtocolViolation, RemoteError
from safe_llm.protocol.sse import SseParser
from safe_llm.supervise.silence import silence_here

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

silence_here("httpx", *(f"httpcore.{name}" for name in ("connection", "http11", "proxy", "socks")))

_CONNECT_TIMEOUT = 10.0  # to a socket on this machine; a frozen server's backlog may be full
_SHOWN_BODY = 300
_OK, _BAD_REQUEST = 200, 400
_LARGER_THAN_A_BATCH = re.compile(
    r"input \((\d+) tokens\) is too large to process.*current batch size: (\d+)"
)


class HttpClient:
    """Requests to one server. Made for one event loop, the portal's."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        socket_path: str | None = None,
        api_key: str | None = None,
        max_message_bytes: int,
    ) -> None:
        self._name = name
        self._max_message_bytes = max_message_bytes
        self._client = httpx.AsyncClient(
            base_url=base_url,
            transport=httpx.AsyncHTTPTransport(
                uds=socket_path,
                limits=_NO_POOL,
                verify=base_url.startswith("https:"),  # or the certificates are read in vain
            ),
            headers=_ONCE | ({"Authorization": f"Bearer {api_key}"} if api_key else {}),
            timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT),
            trust_env=False,  # a proxy from the environment has no business here
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def get(self, path: str) -> tuple[int, Any]:
        """Return the status and the parsed body, None where it is no JSON."""
        async with self._client.stream("GET", path) as response:
            return response.status_code, _json_or_none(await self._whole(response))

    async def check_health(self) -> None:
        """Raise ``RemoteError`` unless the server says that it is ready."""
        async with self._client.stream("GET", "/health") as response:
            answer = await self._whole(response)
        if response.status_code != _OK:
            raise remote_error(self._name, response.status_code, answer)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the parsed answer; raise ``RemoteError`` for any status but 200."""
        async with self._client.stream("POST", path, content=_encoded(body)) as response:
            answer = await self._whole(response)
        if response.status_code != _OK:
            raise remote_error(self._name, response.status_code, answer)
        return _json_or_none(answer)

    @asynccontextmanager
    async def events(
        self, path: str, body: Mapping[str, Any]
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Post ``body`` and give the server-sent events of the answer, parsed.

        Leaving the block closes the connection, by which llama-server learns that nobody listens
        any more and frees the slot: 0.14 to 0.26 s after a streaming client leaves, only at the
        end of its generation for any other.
        """
        async with self._client.stream("POST", path, content=_encoded(body)) as response:
            if response.status_code != _OK:
                raise remote_error(self._name, response.status_code, await self._whole(response))
            with _hung_up_at_the_end(response):
                yield self._parsed(response)

    async def _parsed(self, response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
        parser = SseParser(self._max_message_bytes, peer=self._name)
        async for data in response.aiter_bytes():
            for event in parser.feed(data):
                if event.data == "[DONE]":  # in the OpenAI dialect, to which base_url may lead
                    return
                yield self._message(event.data)

    async def _whole(self, response: httpx.Response) -> bytes:
        taken = bytearray()
        async for data in response.aiter_bytes():
            taken += data
            if len(taken) > self._max_message_bytes:
                raise ProtocolViolation(
                    peer=self._name,
                    reason=f"an answer of more than {self._max_message_bytes} bytes",
                    hint="Limits.max_message_bytes bounds it",
                )
        return bytes(taken)

    def _message(self, text: str) -> dict[str, Any]:
        try:
            message = json.loads(text)
        except ValueError as error:
            raise ProtocolViolation(
                peer=self._name, reason=f"an event is no JSON: {text[:_SHOWN_BODY]!r}"
            ) from error
        if not isinstance(message, dict):
            raise ProtocolViolation(
                peer=self._name, reason=f"an event is no object: {text[:_SHOWN_BODY]!r}"
            )
        if "error" in message:
            raise remote_error(self._name, None, text.encode())
        return message


_ONCE = {
    # Measured: 2-3 % of the requests on a connection that has carried a stream end in
    # "disconnected without sending a response", with llama-server b10434 and b11549; on a fresh
    # one none of 300. An idle one is closed after 5 s, maybe just when the next request leaves.
    "Connection": "close",
    "Accept-Encoding": "identity",  # a proxy that compresses would hold tokens back
    "Content-Type": "application/json",
}
_NO_POOL = httpx.Limits(max_connections=None, max_keepalive_connections=0)


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise MisuseError(reason=f"this request cannot be written as JSON: {error}") from error


@contextmanager
def _hung_up_at_the_end(response: httpx.Response) -> Iterator[None]:
    """End the connection for everybody who holds it, not only for us.

    A child that user code has forked meanwhile holds a copy of the socket, and as long as it does
    so ``close`` tells the server nothing. Ours is a copy too: httpcore closes its own in a hurry.
    """
    stream = response.extensions["network_stream"]
    with stream.get_extra_info("socket").dup() as line:
        try:
            yield
        finally:
            with suppress(OSError):  # the server was faster
                line.shutdown(socket.SHUT_RDWR)


_HINTS: Mapping[str, str] = {
    "Context size has been exceeded": (
        "calls that run at the same time share the model's own context: give n_ctx, which is then"
        " each call's, or n_parallel=1"
    ),
    "does not support reranking": "LlamaCppRerank starts a server that does, with such a model",
}
"""By a part of what llama-server says."""


def remote_error(name: str, status: int | None, body: bytes) -> RemoteError:
    """Translate llama-server's error object; anything else is shown as it is."""
    parsed = _json_or_none(body)
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else None
    if not isinstance(error, dict):
        text = body[:_SHOWN_BODY].decode("utf-8", errors="replace").strip()
        return RemoteError(engine=name, status=status, message=str(error or text or "no reason"))
    if error.get("type") == "exceed_context_size_error":
        return PromptTooLong(
            engine=name,
            status=status,
            message=str(error.get("message", "")),
            prompt_tokens=int(error.get("n_prompt_tokens", 0)),
            context_tokens=int(error.get("n_ctx", 0)),
            hint="shorten the prompt, or give the engine a larger n_ctx",
        )
    message = str(error.get("message", error))
    if larger := _LARGER_THAN_A_BATCH.search(message):  # a text to embed, with HTTP 500
        tokens, batch = map(int, larger.groups())
        return PromptTooLong(
            engine=name,
            status=_BAD_REQUEST,
            message=message,
            prompt_tokens=tokens,
            context_tokens=batch,
            hint="shorten the text, or give the engine a larger n_ctx (and n_batch, n_ubatch)",
        )
    hint = next((hint for part, hint in _HINTS.items() if part in message), "")
    return RemoteError(engine=name, status=status, message=message, hint=hint)


def _json_or_none(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
