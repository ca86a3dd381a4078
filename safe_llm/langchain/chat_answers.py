"""An engine's chunks of a chat as LangChain's, and what they add up to. Reads no stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.output_parsers.openai_tools import make_invalid_tool_call, parse_tool_call
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from safe_llm.engines.aggregation import whole_answer
from safe_llm.langchain.answers import token_usage, usage_metadata
from safe_llm.langchain.content_blocks import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from safe_llm.engines.base import ChatAnswer, ChatChunk


class ChatReply:
    """One reply on its way: give it the chunks in order, it gives back LangChain's.

    Every chunk's ``response_metadata`` has ``model_provider``, and ``logprobs`` where they were
    asked for; the last one's also has ``finish_reason``, ``model_name`` and ``timings``.
    """

    def __init__(self, model_name: str) -> None:
        self._model_name = model_name
        self._chunks: list[ChatChunk] = []

    def opening(self) -> Sequence[ChatGenerationChunk]:
        """Return what comes before the first chunk of the engine: nothing."""
        return ()

    def take(self, chunk: ChatChunk) -> ChatGenerationChunk:
        """Return the engine's chunk as one of LangChain's."""
        self._chunks.append(chunk)
        is_last = chunk.finish_reason is not None
        message = AIMessageChunk(
            content=chunk.delta.get("content") or "",
            additional_kwargs=_reasoning(chunk.delta),
            tool_call_chunks=[_call_chunk(*each) for each in enumerate(_calls(chunk.delta))],
            response_metadata=_metadata(chunk, self._model_name),
            usage_metadata=usage_metadata(chunk.usage) if chunk.usage else None,
            chunk_position="last" if is_last else None,
        )
        return ChatGenerationChunk(message=message)

    def result(self) -> ChatResult:
        """Return all that was taken as one message."""
        answer = whole_answer(self._chunks)
        usage = token_usage([answer.usage] if answer.usage else [])
        return ChatResult(
            generations=[ChatGeneration(message=_message(answer, self._model_name))],
            llm_output={"token_usage": usage, "model_name": self._model_name},
        )


def _message(answer: ChatAnswer, model_name: str) -> AIMessage:
    calls, invalid = [], []
    for raw in _calls(answer.message):
        try:
            calls.append(parse_tool_call(dict(raw), return_id=True))
        except OutputParserException as error:  # cut off by max_tokens, mostly
            invalid.append(make_invalid_tool_call(dict(raw), str(error)))
    return AIMessage(
        content=answer.message.get("content") or "",
        additional_kwargs=_reasoning(answer.message),
        tool_calls=[call for call in calls if call is not None],
        invalid_tool_calls=invalid,
        response_metadata=_metadata(answer, model_name),
        usage_metadata=usage_metadata(answer.usage) if answer.usage else None,
    )


def _metadata(said: ChatChunk | ChatAnswer, model_name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"model_provider": PROVIDER}
    if said.logprobs:
        found["logprobs"] = {"content": [dict(one) for one in said.logprobs]}
    if said.finish_reason is not None:
        found |= {"finish_reason": said.finish_reason, "model_name": model_name}
        found["timings"] = dict(said.timings)
    return found


def _reasoning(message: Mapping[str, Any]) -> dict[str, Any]:
    """Where LangChain looks for the thoughts of providers that it does not know."""
    thoughts = message.get("reasoning_content")
    return {"reasoning_content": thoughts} if thoughts else {}


def _calls(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = message.get("tool_calls") or ()
    return found


def _call_chunk(number: int, call: Mapping[str, Any]) -> Any:
    function = call.get("function") or {}
    return tool_call_chunk(
        name=function.get("name"),
        args=function.get("arguments"),
        id=call.get("id"),
        index=call.get("index", number),
    )
