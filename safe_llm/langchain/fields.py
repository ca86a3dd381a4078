"""The constructor of our LangChain models: the fields of the originals. Makes no call.

The fields keep the originals' names and, where they are sent, their defaults. ``None`` stands where
an original's default would override what the model file says (``n_ctx``, ``n_batch``,
``rope_freq_base``, ``rope_freq_scale``): these are sent only when they are given.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from safe_llm.langchain.identity import identity
from safe_llm.langchain.model_errors import as_model_errors
from safe_llm.parameters.destinations import ToBody
from safe_llm.parameters.fields import EngineFields
from safe_llm.parameters.grammar import check_grammar
from safe_llm.parameters.holding import EngineHolder
from safe_llm.parameters.llama_parameters import LLAMA
from safe_llm.parameters.original import ORIGINAL
from safe_llm.parameters.request import TEXT, Request, Vocabulary, build_request

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

_CALL_ONLY = frozenset({"limits", "timeout", "stop", "model", "stream"})


class LlamaCppFields(EngineHolder):
    """What a ``LlamaCpp`` and a ``ChatLlamaCpp`` are made with."""

    lora_base: str | None = None
    lora_path: str | None = None
    n_parts: int = -1
    seed: int = -1
    f16_kv: bool = True
    logits_all: bool = False
    vocab_only: bool = False
    use_mlock: bool = False
    suffix: str | None = None
    max_tokens: int | None = 256
    temperature: float | None = 0.8
    top_p: float | None = 0.95
    logprobs: int | None = None
    echo: bool | None = False
    stop: list[str] | None = Field(default_factory=list)
    repeat_penalty: float | None = 1.1
    top_k: int | None = 40
    last_n_tokens_size: int | None = 64
    use_mmap: bool | None = True
    rope_freq_scale: float | None = None
    rope_freq_base: float | None = None
    streaming: bool = True
    grammar_path: str | Path | None = None
    grammar: Any = None

    vocabulary: ClassVar[Vocabulary] = TEXT
    further_words: ClassVar[frozenset[str]] = EngineFields.further_words | (
        frozenset(TEXT.call) - _CALL_ONLY
    )
    frames_to_the_user: ClassVar[int] = EngineHolder.frames_to_the_user + 1  # langchain_core's

    @model_validator(mode="after")
    def _check_request(self) -> Self:
        check_grammar(self.grammar, self.grammar_path)
        self._constructed_request()
        return self

    def _framework_errors(self) -> AbstractContextManager[None]:
        return as_model_errors()

    def _defaults(self) -> dict[str, Any]:
        """What every call says unless it says otherwise, in the words of a request."""
        converted = {
            goes.name: goes.convert(getattr(self, name))
            for name, goes in ORIGINAL.items()
            if isinstance(goes, ToBody)
        }
        further = {
            name: value
            for name, value in self.model_kwargs.items()
            if name in self.vocabulary.call and name not in LLAMA
        }
        handled = {"suffix": self.suffix, "echo": self.echo}
        grammar = {"grammar": self.grammar, "grammar_path": self.grammar_path}
        return {**converted, **handled, **_present(grammar), **further}

    def _constructed_request(self) -> Request:
        """The request without a grammar, whose file is read at the call and not before."""
        kept = {name: one for name, one in self._defaults().items() if "grammar" not in name}
        return build_request(
            kept, {}, stops=[self.stop], limits=self._call_limits(), words=self.vocabulary
        )

    def _request(self, stop: list[str] | None, call: Mapping[str, Any]) -> Request:
        return build_request(
            self._defaults(),
            call,
            stops=[self.stop, stop],
            limits=self._call_limits(),
            words=self.vocabulary,
        )

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        """What an answer depends on: the key of LangChain's cache, besides prompt and stop."""
        return identity(
            self._given(),
            base_url=self.base_url,
            spec=self._engine_spec(),
            request=self._constructed_request(),
        )

    @property
    def _model_name(self) -> str:
        return self.model_path or str(self.base_url)


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
