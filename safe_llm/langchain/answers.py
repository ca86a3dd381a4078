"""An engine's chunks as LangChain's, and what they add up to. Reads no stream and calls nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.outputs import Generation, GenerationChunk, LLMResult

from safe_llm.engines.probabilities import likeliest, logprob_of, said_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_core.messages.ai import UsageMetadata

    from safe_llm.engines.base import CompletionChunk, Usage
    from safe_llm.parameters.request import Request


class Answer:
    """One completion on its way: give it the chunks in order, it gives back LangChain's.

    The prompt comes first where it is to be echoed, the suffix with the last chunk. Every chunk's
    ``generation_info`` has ``logprobs`` (None unless asked for); the last one's also has
    ``finish_reason``, ``token_usage``, ``usage_metadata`` and ``timings``.
    """

    def __init__(self, request: Request, prompt: str) -> None:
        self._request = request
        self._prompt = prompt
        self._offset = len(prompt)
        self._texts: list[str] = []
        self._logprobs: dict[str, list[Any]] = {}
        self._ending: dict[str, Any] = {}
        self.usage: Usage | None = None

    def opening(self) -> list[GenerationChunk]:
        """Return what comes before the first chunk of the engine."""
        return [self._chunk(self._prompt, None)] if self._request.echo else []

    def take(self, chunk: CompletionChunk) -> GenerationChunk:
        """Return the engine's chunk as one of LangChain's."""
        logprobs = self._take_logprobs(chunk.logprobs)
        if chunk.finish_reason is None:
            return self._chunk(chunk.text, logprobs)
        self.usage = chunk.usage
        self._ending = {"finish_reason": chunk.finish_reason, "timings": dict(chunk.timings)}
        if chunk.usage is not None:
            self._ending |= {
                "token_usage": token_usage([chunk.usage]),
                "usage_metadata": usage_metadata(chunk.usage),
            }
        return self._chunk(chunk.text + self._request.suffix, logprobs, self._ending)

    def generation(self) -> Generation:
        """Return all that was taken as one generation."""
        logprobs = None if self._request.top_logprobs is None else self._logprobs or _no_logprobs()
        info = {"logprobs": logprobs, **self._ending}
        return Generation(text="".join(self._texts), generation_info=info)

    def _chunk(
        self,
        text: str,
        logprobs: dict[str, list[Any]] | None,
        more: Mapping[str, Any] | None = None,
    ) -> GenerationChunk:
        self._texts.append(text)
        return GenerationChunk(text=text, generation_info={"logprobs": logprobs, **(more or {})})

    def _take_logprobs(self, tokens: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]] | None:
        # The end-of-text token has neither text nor bytes, and the original left it out.
        said = said_tokens(tokens)
        if self._request.top_logprobs is None or not said:
            return None
        offsets = [self._advance(one["token"]) for one in said]
        found = {
            "tokens": [one["token"] for one in said],
            "text_offset": offsets,
            "token_logprobs": [logprob_of(one) for one in said],
            "top_logprobs": [_alternatives(one, self._request.top_logprobs) for one in said],
        }
        for key, values in found.items():
            self._logprobs.setdefault(key, []).extend(values)
        return found

    def _advance(self, token: str) -> int:
        offset = self._offset
        self._offset += len(token)
        return offset


def as_result(answers: Sequence[Answer], model_name: str) -> LLMResult:
    """Return the answers to several prompts, with what they cost together."""
    usage = token_usage([answer.usage for answer in answers if answer.usage is not None])
    return LLMResult(
        generations=[[answer.generation()] for answer in answers],
        llm_output={"token_usage": usage, "model_name": model_name},
    )


def token_usage(usages: Iterable[Usage]) -> dict[str, int]:
    """Return the sum in the words of ``llm_output``."""
    counted = list(usages)
    return {
        "prompt_tokens": sum(one.prompt_tokens for one in counted),
        "completion_tokens": sum(one.completion_tokens for one in counted),
        "total_tokens": sum(one.total_tokens for one in counted),
    }


def usage_metadata(usage: Usage) -> UsageMetadata:
    """Return what a call cost in the words of a message."""
    return {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "input_token_details": {"cache_read": usage.cached_tokens},
        "output_token_details": {"reasoning": usage.reasoning_tokens},
    }


def _no_logprobs() -> dict[str, list[Any]]:
    return {"tokens": [], "text_offset": [], "token_logprobs": [], "top_logprobs": []}


def _alternatives(token: Mapping[str, Any], count: int) -> dict[str, float]:
    """Return the likeliest tokens and, as the original did, the chosen one besides."""
    top = {one["token"]: logprob_of(one) for one in likeliest(token, count)}
    return {**top, token["token"]: logprob_of(token)}
