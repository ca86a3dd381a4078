"""An engine's answers as LlamaIndex's, whole or piece by piece. Reads no stream and calls nobody.

``raw`` is what OpenAI's interface and llama-cpp-python call a response, as far as an engine says
it: ``choices`` with ``finish_reason`` and ``logprobs``, ``usage``, and llama.cpp's ``timings``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LogProb,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from safe_llm.engines.aggregation import MessageSoFar
from safe_llm.engines.probabilities import likeliest, logprob_of, said_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from safe_llm.engines.base import ChatAnswer, ChatChunk, Completion, CompletionChunk, Usage
    from safe_llm.llama_index.asking import Translation
    from safe_llm.parameters.request import Request

    Ended = ChatAnswer | ChatChunk | Completion | CompletionChunk
    Tokens = Sequence[Mapping[str, Any]]


class TextAnswer:
    """One completion: the prompt before it where it is to be echoed, the suffix at its end."""

    def __init__(self, request: Request, prompt: str, model: str) -> None:
        self._request = request
        self._prompt = prompt if request.echo else ""
        self._model = model
        self._text = ""

    def opening(self) -> list[CompletionResponse]:
        """Return what comes before the first chunk of the engine."""
        if not self._prompt:
            return []
        self._text = self._prompt
        return [CompletionResponse(text=self._text, delta=self._text)]

    def take(self, chunk: CompletionChunk) -> CompletionResponse:
        """Return the engine's chunk with all the text until now."""
        is_last = chunk.finish_reason is not None
        delta = chunk.text + (self._request.suffix if is_last else "")
        self._text += delta
        return self._response(self._text, chunk, {"text": delta}, delta)

    def whole(self, completion: Completion) -> CompletionResponse:
        """Return the whole completion."""
        text = self._prompt + completion.text + self._request.suffix
        return self._response(text, completion, {"text": text})

    def _response(
        self, text: str, said: Ended, choice: Mapping[str, Any], delta: str | None = None
    ) -> CompletionResponse:
        return CompletionResponse(
            text=text,
            delta=delta,
            raw=_raw("text_completion", self._model, choice, said),
            logprobs=_logprobs(said.logprobs, self._request.top_logprobs),
            additional_kwargs=_counts(said.usage),
        )


class ChatReply:
    """One reply in a conversation, with the calls of tools and the thoughts in it."""

    def __init__(self, request: Request, model: str) -> None:
        self._request = request
        self._model = model
        self._said = MessageSoFar()

    def opening(self) -> list[ChatResponse]:
        """Return what comes before the first chunk of the engine: nothing."""
        return []

    def take(self, chunk: ChatChunk) -> ChatResponse:
        """Return the engine's chunk with all of the message until now."""
        self._said.add(chunk.delta)
        message = as_message(self._said.message(), is_over=chunk.finish_reason is not None)
        choice = {"delta": dict(chunk.delta)}
        response = self._response("chat.completion.chunk", message, chunk, choice)
        response.delta = chunk.delta.get("content") or ""
        if chunk.delta.get("reasoning_content"):  # where agents look for it
            response.additional_kwargs["thinking_delta"] = chunk.delta["reasoning_content"]
        return response

    def whole(self, answer: ChatAnswer) -> ChatResponse:
        """Return the whole reply."""
        message = as_message(answer.message, is_over=True)
        return self._response("chat.completion", message, answer, {"message": dict(answer.message)})

    def _response(
        self, kind: str, message: ChatMessage, said: Ended, choice: Mapping[str, Any]
    ) -> ChatResponse:
        return ChatResponse(
            message=message,
            raw=_raw(kind, self._model, choice, said),
            logprobs=_logprobs(said.logprobs, self._request.top_logprobs),
            additional_kwargs=_counts(said.usage),
        )


class TextReply:
    """A completion as a reply: what was made of a prompt of the user's own."""

    def __init__(self, answer: Translation[Any, Any, CompletionResponse]) -> None:
        self._answer = answer

    def opening(self) -> list[ChatResponse]:
        """Return what comes before the first chunk of the engine."""
        return [_as_chat(one) for one in self._answer.opening()]

    def take(self, chunk: CompletionChunk) -> ChatResponse:
        """Return the engine's chunk with all of the message until now."""
        return _as_chat(self._answer.take(chunk))

    def whole(self, completion: Completion) -> ChatResponse:
        """Return the whole reply."""
        return _as_chat(self._answer.whole(completion))


def _as_chat(response: CompletionResponse) -> ChatResponse:
    return ChatResponse(
        message=ChatMessage(role=MessageRole.ASSISTANT, content=response.text),
        raw=response.raw,
        delta=response.delta,
        logprobs=response.logprobs,
        additional_kwargs=response.additional_kwargs,
    )


def as_message(said: Mapping[str, Any], *, is_over: bool) -> ChatMessage:
    """Return an assistant's message of OpenAI's as one of LlamaIndex's.

    Arguments of a call are a dict when they are whole, and until then the text that there is.
    """
    calls = said.get("tool_calls") or []
    return ChatMessage(
        role=MessageRole.ASSISTANT,
        blocks=list(_blocks(said, calls, is_over=is_over)),
        # Some parts of LlamaIndex look for calls here, and for nothing in the blocks.
        additional_kwargs={"tool_calls": calls} if calls else {},
    )


def finish_reason(response: ChatResponse) -> str | None:
    """Return why a reply ended, None while it goes on."""
    choices = response.raw.get("choices") if isinstance(response.raw, dict) else None
    reason: str | None = choices[0].get("finish_reason") if choices else None
    return reason


def _blocks(
    said: Mapping[str, Any], calls: Sequence[Mapping[str, Any]], *, is_over: bool
) -> Iterator[ThinkingBlock | TextBlock | ToolCallBlock]:
    if said.get("reasoning_content"):
        yield ThinkingBlock(content=said["reasoning_content"])
    if said.get("content") or not calls:
        yield TextBlock(text=said.get("content") or "")
    for call in calls:
        function = call["function"]
        arguments = _whole(function["arguments"]) if is_over else function["arguments"]
        yield ToolCallBlock(
            tool_call_id=call.get("id"), tool_name=function["name"], tool_kwargs=arguments
        )


def _whole(arguments: str) -> dict[str, Any] | str:
    try:
        found = json.loads(arguments or "{}")
    except ValueError:  # cut off; who asks for the calls is told
        return arguments
    return found if isinstance(found, dict) else arguments


def _raw(kind: str, model: str, choice: Mapping[str, Any], said: Ended) -> dict[str, Any]:
    logprobs = {"content": [dict(one) for one in said.logprobs]} if said.logprobs else None
    ending = {"finish_reason": said.finish_reason, "logprobs": logprobs}
    raw: dict[str, Any] = {"object": kind, "model": model}
    raw["choices"] = [{"index": 0, **choice, **ending}]
    if said.usage is not None:
        cached = {"cached_tokens": said.usage.cached_tokens}
        thoughts = {"reasoning_tokens": said.usage.reasoning_tokens}
        details = {"prompt_tokens_details": cached, "completion_tokens_details": thoughts}
        raw["usage"] = {**_counts(said.usage), **details}
    if said.timings:
        raw["timings"] = dict(said.timings)
    return raw


def _counts(usage: Usage | None) -> dict[str, int]:
    if usage is None:
        return {}
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }


def _logprobs(tokens: Tokens, count: int | None) -> list[list[LogProb]] | None:
    """For each token itself first, then the likeliest others."""
    if count is None:
        return None
    return [[_logprob(one), *_others(one, count)] for one in said_tokens(tokens)]


def _others(token: Mapping[str, Any], count: int) -> Iterator[LogProb]:
    said = token.get("token")
    return (_logprob(one) for one in likeliest(token, count) if one.get("token") != said)


def _logprob(token: Mapping[str, Any]) -> LogProb:
    text = token.get("token") or ""
    return LogProb(token=text, logprob=logprob_of(token), bytes=list(token.get("bytes") or []))
