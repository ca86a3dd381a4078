"""What every model object says of the engine that it wants. Takes no lease and makes no call.

``None`` stands where the originals' own default would override what the model file says
(``n_ctx``, ``n_batch``): these are sent only when they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, SecretStr, model_validator

from safe_llm.engines.llama_program import refuse_changed_address
from safe_llm.engines.settings import EngineSettings
from safe_llm.errors import MisuseError
from safe_llm.events import Event
from safe_llm.limits import Limits, StopPolicy
from safe_llm.observers.watching import watchers
from safe_llm.parameters.kinds import engine_choice
from safe_llm.parameters.library_specification import library_spec
from safe_llm.parameters.llama_parameters import ENGINE_NAMES, LLAMA
from safe_llm.parameters.names import refuse_unknown
from safe_llm.parameters.original import ORIGINAL
from safe_llm.parameters.seconds import check_seconds, with_timeout
from safe_llm.parameters.specification import engine_parameters, server_spec
from safe_llm.parameters.work import for_a_server, for_the_library
from safe_llm.supervise.restart import RestartPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safe_llm.engines.choice import Choice
    from safe_llm.engines.spec import EngineSpec

_OF_A_SERVER = ("server_binary", "server_args", "base_url", "api_key")


class EngineFields(BaseModel):
    """The fields that all model objects have. An adapter's class adds those of its original."""

    model_config = ConfigDict(populate_by_name=True, protected_namespaces=())

    model_path: str = ""
    n_ctx: int | None = Field(default=None, ge=0)
    n_batch: int | None = Field(default=None, ge=1)
    n_threads: int | None = None
    n_gpu_layers: int | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
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

    further_words: ClassVar[frozenset[str]] = frozenset({*ENGINE_NAMES, *LLAMA})
    """What may be given besides the fields, or inside ``model_kwargs``."""

    @model_validator(mode="before")
    @classmethod
    def _sort_engine_names(cls, values: Any) -> Any:
        """Put what is no field of ours into ``model_kwargs``, and out again; refuse the rest."""
        if not isinstance(values, dict):
            return values
        aliases = {field.alias for field in cls.model_fields.values() if field.alias}
        fields = {*cls.model_fields, *aliases}
        given = {name: value for name, value in values.items() if name != "model_kwargs"}
        further = values.get("model_kwargs") or {}
        for name in further:
            if name in given:
                raise MisuseError(reason=f"{name} is given twice, once of them in model_kwargs")
        given |= further
        if isinstance(given.get("model_path"), Path):
            given["model_path"] = str(given["model_path"])
        rest = {name: given.pop(name) for name in list(given) if name not in fields}
        refuse_unknown(cls.__name__, rest, fields | cls.further_words)
        return {**given, "model_kwargs": rest}

    @model_validator(mode="after")
    def _check_engine(self) -> Self:
        """Refuse what cannot work before anything is started for it."""
        refuse_changed_address(tuple(self.server_args))
        self._engine_spec()
        self._settings()
        return self

    def _given(self) -> dict[str, Any]:
        """What was said, in the words of the originals."""
        fields = type(self).model_fields
        said: dict[str, Any] = {name: getattr(self, name) for name in ORIGINAL if name in fields}
        return {**said, **self.model_kwargs}

    def _for_the_work(self) -> Mapping[str, Any]:
        """What the engine must be started with for this class's work; see ``work.py``."""
        return {}

    def _choice(self) -> Choice:
        return engine_choice(self.engine_kind, {one: getattr(self, one) for one in _OF_A_SERVER})

    def _engine_spec(self) -> EngineSpec:
        """By what objects share an engine: its parameters in the words of the engine's kind."""
        if self._choice().kind == "llama-cpp-python":
            return library_spec(
                self._given(),
                owner=type(self).__name__,
                model_path=self.model_path,
                n_parallel=self.n_parallel,
                for_the_work=for_the_library(self._for_the_work()),
            )
        parameters = engine_parameters(
            self._given(), n_parallel=self.n_parallel, server_args=self.server_args
        )
        return server_spec(
            {**parameters, **for_a_server(self._for_the_work())},
            owner=type(self).__name__,
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
