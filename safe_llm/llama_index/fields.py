"""The constructor of our LlamaIndex LLM: the fields of the original. Makes no call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from llama_index.core.constants import (
    DEFAULT_CONTEXT_WINDOW,
    DEFAULT_NUM_OUTPUTS,
    DEFAULT_TEMPERATURE,
)
from pydantic import Field, SecretStr, TypeAdapter, model_validator

from safe_llm.errors import MisuseError
from safe_llm.limits import Limits, StopPolicy
from safe_llm.llama_index.originals import OF_THE_ENGINE, of_calls, sorted_words
from safe_llm.parameters.destinations import Nowhere, warn_of_the_meaningless
from safe_llm.parameters.holding import EngineHolder
from safe_llm.parameters.request import CHAT, TEXT, Request, Vocabulary, build_request
from safe_llm.supervise.restart import RestartPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping


_OBJECTS: dict[str, Any] = {
    "limits": Limits,
    "stop_policy": StopPolicy,
    "restart_policy": RestartPolicy,
}


class LlamaCPPFields(EngineHolder):
    """What a ``LlamaCPP`` is made with."""

    model_url: str | None = None
    temperature: float = Field(default=DEFAULT_TEMPERATURE, ge=0)
    max_new_tokens: int = Field(default=DEFAULT_NUM_OUTPUTS, gt=0)
    context_window: int = Field(default=DEFAULT_CONTEXT_WINDOW, ge=0)
    generate_kwargs: dict[str, Any] = Field(default_factory=dict)

    mmproj: str | None = None
    chat_format: str | None = None
    chat_template: str | None = None
    api_key: SecretStr | None = Field(default=None, exclude=True, repr=False)

    further_words: ClassVar[frozenset[str]] = OF_THE_ENGINE

    @model_validator(mode="before")
    @classmethod
    def _sort_words(cls, values: Any) -> Any:
        """Put each word of the original where it belongs; changes nothing that was given."""
        if not isinstance(values, dict):
            return values
        aliases = {field.alias for field in cls.model_fields.values() if field.alias}
        known = {*cls.model_fields, *aliases}
        return as_objects(sorted_words(cls.__name__, values, known))

    @model_validator(mode="after")
    def _check_calls(self) -> Self:
        """Refuse what no call could ever say."""
        if self.context_window == 0 and self.base_url:
            raise MisuseError(
                reason="context_window=0 is that of the model file, and base_url has none",
                hint="say how many tokens a call to that server may have",
            )
        meaningless = {name: one for name, one in TEXT.call.items() if isinstance(one, Nowhere)}
        warn_of_the_meaningless(self.generate_kwargs, meaningless, self.frames_to_the_user)
        for words in (TEXT, CHAT):
            self._request(words, {}, with_grammar=False)
        return self

    def _given(self) -> dict[str, Any]:
        n_ctx = self.context_window if self.n_ctx is None else self.n_ctx
        logprobs = self.generate_kwargs.get("logprobs")
        return {**super()._given(), "n_ctx": n_ctx, "logprobs": logprobs}

    def _for_the_work(self) -> Mapping[str, Any]:
        wanted = {
            "mmproj": self.mmproj and str(Path(self.mmproj).expanduser().absolute()),
            "chat_format": self.chat_format,
            "chat_template": self.chat_template,
        }
        return {name: value for name, value in wanted.items() if value}

    def _request(
        self, words: Vocabulary, call: Mapping[str, Any], *, with_grammar: bool = True
    ) -> Request:
        """What a call asks: the object's fields, ``generate_kwargs``, then what the call says.

        A file with a grammar is read here, unless ``with_grammar`` is false.
        """
        usual = of_calls(self.generate_kwargs, words.call)
        if not with_grammar:
            usual = {name: one for name, one in usual.items() if "grammar" not in name}
        stop = self.generate_kwargs.get("stop")
        said = {name: value for name, value in call.items() if name != "stop"}
        return build_request(
            {"temperature": self.temperature, "max_tokens": self.max_new_tokens, **usual},
            said,
            stops=[stop, call.get("stop")],
            limits=self._call_limits(),
            words=words,
        )

    @property
    def _model_name(self) -> str:
        return self.model_path or str(self.base_url)


def as_objects(values: dict[str, Any]) -> dict[str, Any]:
    """Return them as ``from_dict()`` needs them, which is given what ``to_dict()`` made plain."""
    plain = {
        name: one for name, one in values.items() if name in _OBJECTS and isinstance(one, dict)
    }
    made = {name: TypeAdapter(_OBJECTS[name]).validate_python(one) for name, one in plain.items()}
    return {**values, **made}
