"""Which llama-server a model object wants: its fields as a ``LlamaServerSpec``. Opens no file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safe_llm.engines.spec import LlamaServerSpec
from safe_llm.errors import MisuseError
from safe_llm.parameters.destinations import ToEngine
from safe_llm.parameters.llama_parameters import ENGINE_NAMES, LLAMA
from safe_llm.parameters.original import ORIGINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from safe_llm.engines.spec import ParameterValue

SLOTS = 4  # calls that an engine serves at once; what llama-server takes by itself

_SAYS_IT_ITSELF = frozenset({"-c", "--ctx-size", "-np", "--parallel", "-kvu", "--kv-unified"})


def engine_parameters(
    fields: Mapping[str, Any], *, n_parallel: int | None, server_args: Sequence[str] = ()
) -> dict[str, ParameterValue]:
    """Return the parameters of the engine that these fields ask for.

    ``None`` means "what the engine does by itself" and is left out.
    """
    wanted = to_engine(fields, _destination)
    wanted |= {} if n_parallel is None else {"n_parallel": n_parallel}
    _scale_adapter(wanted)
    if _SAYS_IT_ITSELF.isdisjoint(server_args):
        _give_each_call_its_context(wanted)
    return {name: _hashable(value) for name, value in sorted(wanted.items())}


def to_engine(fields: Mapping[str, Any], destination: Callable[[str], object]) -> dict[str, Any]:
    """Return what goes to the engine, under the engine's names."""
    wanted: dict[str, Any] = {}
    for name, value in fields.items():
        goes = destination(name)
        if isinstance(goes, ToEngine):
            converted = goes.convert(value)
            wanted |= {target: converted for target in goes.names if converted is not None}
    return wanted


def _destination(name: str) -> object:
    goes = ORIGINAL.get(name) or LLAMA.get(name)
    return ToEngine((name,)) if goes is None and name in ENGINE_NAMES else goes


def _scale_adapter(wanted: dict[str, Any]) -> None:
    scale = wanted.pop("lora_scale", None)
    if scale is not None and "lora_path" in wanted:
        wanted["lora_scaled"] = f"{wanted.pop('lora_path')}:{scale}"


def _give_each_call_its_context(wanted: dict[str, Any]) -> None:
    """Make ``n_ctx`` what it says for each of the calls that run at the same time.

    llama-server's own figure is for all slots together: with ``--ctx-size 256`` and its four
    slots, eight calls of 200 tokens each all ended with "Context size has been exceeded".
    """
    if "kv_unified" in wanted:
        return
    if wanted.get("n_ctx"):
        wanted["n_parallel"] = wanted.get("n_parallel", SLOTS)
        wanted["n_ctx"] *= wanted["n_parallel"]
    elif wanted.get("n_parallel", 1) > 1:
        # The model's own context would be cut into shares; like this, any call may have all of it.
        wanted["kv_unified"] = True


def _hashable(value: Any) -> ParameterValue:
    if isinstance(value, (list, tuple)):
        return tuple(str(one) for one in value)
    kept: ParameterValue = value
    return kept


def _texts(value: ParameterValue) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (str(value),)


def server_spec(
    parameters: Mapping[str, ParameterValue],
    *,
    owner: str,
    model_path: str,
    server_binary: str | None,
    server_args: Sequence[str],
    base_url: str | None,
    api_key: str | None,
) -> LlamaServerSpec:
    """Return the specification by which objects share an engine.

    ``api_key`` is for a server at ``base_url``: a process of ours gets a key that nobody knows.
    """
    if not model_path and not base_url:
        raise MisuseError(
            reason=f"{owner} has neither model_path nor base_url",
            hint="model_path= is the path of a .gguf file",
        )
    if base_url:
        # Somebody else chose the rest; whatever is said here, it is that one server.
        return LlamaServerSpec(model_path=model_path, base_url=base_url, api_key=api_key)
    # No flag of the engine's table: the wheel's llama-server has none for it.
    overrides = parameters.get("kv_overrides", ())
    overriding = [part for one in _texts(overrides) for part in ("--override-kv", one)]
    return LlamaServerSpec(
        # Two ways to write a path mean one engine; this asks nobody whether the file exists.
        model_path=str(Path(model_path).expanduser().absolute()),
        binary=server_binary,
        parameters=tuple((name, one) for name, one in parameters.items() if name != "kv_overrides"),
        server_args=(*server_args, *overriding),
    )
