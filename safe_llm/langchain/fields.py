"""The constructor of ``LlamaCpp``: its fields, and what they ask for. Makes no call.

The fields of the original keep its names and, where they are sent, its defaults. ``None`` stands
where the original's default would override what the model file says (``n_ctx``, ``n_batch``,
``rope_freq_base``, ``rope_freq_scale``): these are sent only when they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from langchain_core.language_models.llms import BaseLLM
from pydantic import ConfigDict, Field, InstanceOf, SecretStr, model_validator

from safe_llm import __version__
from safe_llm.engines.llama_program import refuse_changed_address
from safe_llm.engines.settings import EngineSettings
from safe_llm.errors import MisuseError
from safe_llm.events import Event
from safe_llm.langchain.destinations import ToBody, warn_of_the_meaningless
from safe_llm.langchain.grammar import check_grammar
from safe_llm.langchain.identity import identity
from safe_llm.langchain.kinds import DESTINATIONS, engine_choice
from safe_llm.langchain.leases import Leases
from safe_llm.langchain.library_specification import library_spec
from safe_llm.langchain.llama_parameters import ENGINE_NAMES, LLAMA
from safe_llm.langchain.names import refuse_unknown
from safe_llm.langchain.parameters import ORIGINAL
from safe_llm.langchain.request import CALL, Request, build_request
from safe_llm.langchain.seconds import check_seconds, with_timeout
from safe_llm.langchain.specification import engine_parameters, server_spec
from safe_llm.langchain.watching import watchers
from safe_llm.limits import Limits, StopPolicy
from safe_llm.supervise.restart import RestartPolicy

if TYPE_CHECKING:
    from safe_llm.engines.choice import Choice
    from safe_llm.engines.spec import EngineSpec

# validator, pydantic's __init__, langchain_core's __init__: above them stands the user's line.
_TO_THE_USER = 5

_CALL_ONLY = frozenset({"limits", "timeout", "stop", "model", "stream"})
_IN_MODEL_KWARGS = frozenset({*ENGINE_NAMES, *LLAMA, *CALL}) - _CALL_ONLY


class LlamaCppFields(BaseLLM):
    """What a ``LlamaCpp`` is made with."""

    model_config = ConfigDict(populate_by_name=True)

    model_path: str = ""
    lora_base: str | None = None
    lora_path: str | None = None
    n_ctx: int | None = Field(default=None, ge=0)
    n_parts: int = -1
    seed: int = -1
    f16_kv: bool = True
    logits_all: bool = False
    vocab_only: bool = False
    use_mlock: bool = False
    n_threads: int | None = None
    n_batch: int | None = Field(default=None, ge=1)
    n_gpu_layers: int | None = None
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
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    streaming: bool = True
    grammar_path: str | Path | None = None
    grammar: Any = None
    verbose: bool = Field(default=True, exclude=True, repr=False)
    client: Any = Field(default=None, exclude=True, repr=False)

    engine_kind: str = Field(default="auto", alias="engine")
    server_binary: str | None = None
    server_args: Sequence[str] = ()
    base_url: str | None = None
    api_key: SecretStr | None = None
    n_parallel: int | None = Field(default=None, ge=1)
    limits: InstanceOf[Limits] = Limits()
    timeout: float | None = None
    stop_policy: InstanceOf[StopPolicy] = StopPolicy()
    restart_policy: InstanceOf[RestartPolicy] = RestartPolicy()
    idle_timeout: float | None = None
    max_engines: int | None = Field(default=None, ge=1)
    observers: tuple[Callable[[Event], None], ...] = Field(default=(), exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _sort_llama_cpp_names(cls, values: Any) -> Any:
        """Put what is no field of ours into ``model_kwargs``, and out again; refuse the rest."""
        if not isinstance(values, dict):
            return values
        fields = {*cls.model_fields, "engine"}
        given = {name: value for name, value in values.items() if name != "model_kwargs"}
        further = values.get("model_kwargs") or {}
        for name in further:
            if name in given:
                raise MisuseError(reason=f"{name} is given twice, once of them in model_kwargs")
        given |= further
        if isinstance(given.get("model_path"), Path):
            given["model_path"] = str(given["model_path"])
        rest = {name: given.pop(name) for name in list(given) if name not in fields}
        refuse_unknown("LlamaCpp", rest, fields | _IN_MODEL_KWARGS)
        return {**given, "model_kwargs": rest}

    @model_validator(mode="after")
    def _check_llama_cpp(self) -> Self:
        """Refuse what cannot work before anything is started for it; take no lease yet."""
        self._add_version("safe-llm", __version__)
        is_copy = isinstance(self.client, Leases)  # made by configurable_fields, for one call
        choice = self._choice()
        check_grammar(self.grammar, self.grammar_path)
        refuse_changed_address(tuple(self.server_args))
        self._engine_spec()
        self._settings()
        self._constructed_request()
        if not is_copy:
            warn_of_the_meaningless(self._given(), DESTINATIONS[choice.kind], _TO_THE_USER)
            self.client = Leases()
        return self

    def _given(self) -> dict[str, Any]:
        fields: dict[str, Any] = {name: getattr(self, name) for name in ORIGINAL}
        return {**fields, **self.model_kwargs}

    def _choice(self) -> Choice:
        of_a_server = ("server_binary", "server_args", "base_url", "api_key")
        return engine_choice(self.engine_kind, {one: getattr(self, one) for one in of_a_server})

    def _engine_spec(self) -> EngineSpec:
        if self._choice().kind == "llama-cpp-python":
            return library_spec(
                self._given(), model_path=self.model_path, n_parallel=self.n_parallel
            )
        parameters = engine_parameters(
            self._given(), n_parallel=self.n_parallel, server_args=self.server_args
        )
        return server_spec(
            parameters,
            model_path=self.model_path,
            server_binary=self.server_binary,
            server_args=self.server_args,
            base_url=self.base_url,
            api_key=self.api_key.get_secret_value() if self.api_key else None,
        )

    def _settings(self) -> EngineSettings:
        check_seconds("idle_timeout", self.idle_timeout)
        return EngineSettings(
            limits=self._call_limits(),
            stop_policy=self.stop_policy,
            restart_policy=self.restart_policy,
            idle_timeout=self.idle_timeout,
            max_engines=self.max_engines,
            observers=(*self.observers, *watchers(verbose=self.verbose)),
            chosen_because=self._choice().because,
        )

    def _call_limits(self) -> Limits:
        return self.limits if self.timeout is None else with_timeout(self.limits, self.timeout)

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
            if name in CALL and name not in LLAMA
        }
        handled = {"suffix": self.suffix, "echo": self.echo}
        grammar = {"grammar": self.grammar, "grammar_path": self.grammar_path}
        return {**converted, **handled, **_present(grammar), **further}

    def _constructed_request(self) -> Request:
        """The request without a grammar, whose file is read at the call and not before."""
        kept = {name: one for name, one in self._defaults().items() if "grammar" not in name}
        return build_request(kept, {}, stops=[self.stop], limits=self._call_limits())

    def _request(self, stop: list[str] | None, call: Mapping[str, Any]) -> Request:
        return build_request(
            self._defaults(), call, stops=[self.stop, stop], limits=self._call_limits()
        )

    @property
    def _llm_type(self) -> str:
        """What the original calls itself."""
        return "llamacpp"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        """What an answer depends on: the key of LangChain's cache, besides prompt and stop."""
        return identity(
            self._given(),
            base_url=self.base_url,
            spec=self._engine_spec(),
            request=self._constructed_request(),
        )


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
