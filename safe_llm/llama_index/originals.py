"""The constructor of the original, in whose words a user speaks, as the fields of ours. Pure.

The original is ``llama_index.llms.llama_cpp.LlamaCPP`` (0.7.0), read field by field:
``model_kwargs`` are the words of ``llama_cpp.Llama``, ``generate_kwargs`` those of its
``create_completion``. A word that stands in the wrong one of them, or beside them, is understood.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_index.core.utils import get_cache_dir

from safe_llm.errors import MisuseError
from safe_llm.parameters.llama_parameters import ENGINE_NAMES, LLAMA
from safe_llm.parameters.names import refuse_unknown
from safe_llm.parameters.request import CHAT, TEXT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

OF_THE_ENGINE = frozenset({*ENGINE_NAMES, *LLAMA, "f16_kv", "logits_all", "vocab_only"}) | {
    *("lora_base", "n_parts")
}
"""What ``model_kwargs`` may say."""

_REFUSED = {**TEXT.refused, **CHAT.refused}
_GENERATE = frozenset({*TEXT.call, *CHAT.call, *_REFUSED, "stop"})

_NOT_GIVEN = ("model_path", "generate_kwargs", "model_kwargs", "callback_manager", "verbose")
_FIELDS_OF_CALLS = {"temperature": "temperature", "max_tokens": "max_new_tokens"}


def sorted_words(owner: str, values: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """Return what the constructor was given, each word where it belongs.

    Raises ``MisuseError`` for a word of a call that nothing knows, or that is given twice.
    """
    given = {name: one for name, one in values.items() if one is not None or name not in _NOT_GIVEN}
    of_calls = dict(given.pop("generate_kwargs", {}))
    of_the_model = dict(given.pop("model_kwargs", {}))
    if "verbose" in of_the_model:  # there it counts for more, as n_ctx does
        given["verbose"] = of_the_model.pop("verbose")
    for place in (given, of_the_model):
        for name in [one for one in place if _is_of_calls(one, fields)]:
            _put(of_calls, name, place.pop(name))
    refuse_unknown(f"generate_kwargs of {owner}", of_calls, _GENERATE)
    for name, advice in _REFUSED.items():
        if of_calls.get(name) is not None:
            raise MisuseError(reason=f"{name} cannot be given to a call", hint=advice)
    for name in [one for one in _FIELDS_OF_CALLS if one in of_calls]:
        _put(given, _FIELDS_OF_CALLS[name], of_calls.pop(name))
    path = _path(given.get("model_url")) if "model_path" not in given else None
    given |= {"model_path": path} if path else {}
    return {**given, "generate_kwargs": of_calls, "model_kwargs": of_the_model}


def of_calls(given: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return what ``generate_kwargs`` say to this kind of call."""
    return {name: value for name, value in given.items() if name in known}


def _is_of_calls(name: str, fields: Collection[str]) -> bool:
    # A seed is a word of both; only calls of ours have one.
    engine_knows = name in OF_THE_ENGINE and name != "seed"
    return name in _GENERATE and name not in fields and not engine_knows


def _put(place: dict[str, Any], name: str, value: Any) -> None:
    if name in place and place[name] != value:
        raise MisuseError(reason=f"{name} is given twice: {place[name]!r} and {value!r}")
    place[name] = value


def _path(url: str | None) -> str | None:
    """Return where the original keeps what it has downloaded from this address.

    Raises ``MisuseError`` if it is not there: nothing is downloaded here.
    """
    if not url:
        return None
    path = Path(get_cache_dir()) / "models" / url.rpartition("/")[2]
    if path.exists():
        return str(path)
    raise MisuseError(
        reason=f"model_url={url!r} is not in LlamaIndex's cache, and nothing is downloaded here",
        hint=f"curl --location --create-dirs --output '{path}' '{url}', or give model_path=",
    )
