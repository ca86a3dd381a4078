"""The library's own model, which counts, checks what it would crash of, and can be interrupted."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import llama_cpp

from safe_llm.worker import llama_cpp_grammar
from safe_llm.worker.llama_cpp_logprobs import Logprobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


@dataclass(slots=True)
class Tally:
    """What one call has cost so far. Times in seconds of a monotonic clock."""

    prompt: int = 0
    evaluated: int = 0
    predicted: int = 0
    began: float = field(default_factory=time.monotonic)
    first: float = 0.0
    finish_reason: str | None = None

    def cost(self) -> dict[str, Any]:
        """Return it as the ``usage`` and ``timings`` of a reply."""
        now = time.monotonic()
        first = self.first or now
        cached, seconds = max(self.prompt - self.evaluated, 0), now - first
        usage = {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.predicted,
            "cached_tokens": cached,
        }
        timings = {
            "cache_n": cached,
            "prompt_n": self.prompt - cached,
            "prompt_ms": 1000 * (first - self.began),
            "predicted_n": self.predicted,
            "predicted_ms": 1000 * seconds,
            "predicted_per_second": self.predicted / seconds if seconds > 0 else 0.0,
        }
        return {"usage": usage, "timings": timings}


class PromptCounted(Exception):
    """The prompt has been made and counted, and nothing more was wanted."""


class Model(llama_cpp.Llama):  # type: ignore[misc]  # the library is not typed
    """One context of llama.cpp, for one call at a time; ``begin`` begins it."""

    attend: Callable[[], None] = staticmethod(lambda: None)
    tokens_predicted = 0
    usual_last_n_tokens = 64
    tally = Tally()
    only_counts = False  # the tokens of the next prompt, and evaluates none
    _logprobs: Logprobs | None = None

    def begin(self) -> None:
        """Forget the last call."""
        self.tally, self._logprobs, self.only_counts = Tally(), None, False

    def take_logprobs(self, text: str) -> list[dict[str, Any]]:
        """How probable the tokens of a new piece of text were, if that was asked for."""
        return [] if self._logprobs is None else self._logprobs.take(text)

    @cached_property
    def ending_tokens(self) -> list[int]:
        """All tokens after which the library takes a text for complete."""
        vocabulary = range(self.n_vocab())
        return [one for one in vocabulary if llama_cpp.llama_vocab_is_eog(self._model.vocab, one)]

    def create_completion(
        self, *args: Any, stream: bool = False, logprobs: int | None = None, **options: Any
    ) -> Any:
        """Complete as the library does, but find out ourselves how probable each token was."""
        if not stream:
            return super().create_completion(*args, logprobs=logprobs, **options)
        if logprobs is not None:
            if not self._logits_all:
                raise ValueError("log probabilities need an engine with logits_all=True")
            self._logprobs = Logprobs(self, logprobs)
        return self._watched(super().create_completion(*args, stream=True, **options))

    def _watched(self, pieces: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Remember how the text ended: a handler of tools calls any end one of its own."""
        for piece in pieces:
            self.tally.finish_reason = piece["choices"][0]["finish_reason"]
            yield piece

    def generate(self, tokens: Sequence[int], *args: Any, **options: Any) -> Iterator[int]:
        """Yield tokens as the library does, and count them: its streams tell no usage."""
        self._check(tokens)
        if options.get("grammar") is not None:
            llama_cpp_grammar.check(self, options["grammar"])
        self.tally.prompt = len(tokens)
        if self.only_counts:
            raise PromptCounted
        generated = super().generate(tokens, *args, **options)
        for position, token in enumerate(generated, start=len(tokens) - 1):
            if self._logprobs is not None:
                self._logprobs.note(token, self.scores[position])
            self._count()
            yield token

    def _check(self, tokens: Sequence[int]) -> None:
        if not tokens:
            raise ValueError("the prompt is empty")
        strange = [one for one in tokens if not 0 <= one < self._n_vocab]
        if strange:
            raise ValueError(f"the prompt: {strange[:5]} are no tokens of this model")

    def _count(self) -> None:
        if not self.tally.predicted:
            self.tally.first = time.monotonic()
        self.tally.predicted += 1
        self.tokens_predicted += 1

    def eval(self, tokens: Sequence[int]) -> None:
        """Evaluate in the portions in which the library does, attending before each."""
        if not self.tally.predicted:
            self.tally.evaluated += len(tokens)
        for start in range(0, max(len(tokens), 1), self.n_batch):
            self.attend()
            super().eval(tokens[start : start + self.n_batch])
