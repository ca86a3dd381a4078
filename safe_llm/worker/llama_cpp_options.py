"""A request's options as the library's; what the library has no argument for is done here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safe_llm.worker import llama_cpp_grammar as grammars
from safe_llm.worker.conversation import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safe_llm.worker.llama_cpp_model import Model

_NEVER = -1e9  # a bias that no logit outweighs, and that JSON and C can both hold
_FIXED = frozenset({"stream", "logits_processor", "stopping_criteria"})  # ours, or Python objects


def translated(model: Model, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``create_completion`` or ``create_chat_completion``."""
    options = dict(arguments)
    if wrong := _FIXED & options.keys():
        raise Refused("bad_request", f"{', '.join(sorted(wrong))} cannot be chosen by a request")
    model.last_n_tokens_size = _last_n_tokens(model, options.pop("repeat_last_n", None))
    if not options.pop("cache_prompt", True):
        model.reset()
    options["logit_bias"] = _biases(model, options)
    options["grammar"] = _grammar(options)
    options.setdefault("max_tokens", None)  # until it ends by itself; the library's own is 16
    return options


def _last_n_tokens(model: Model, wanted: int | None) -> int:
    """The tokens that a penalty looks back at; -1 is the whole context, as for llama-server."""
    if wanted is None:
        return model.usual_last_n_tokens
    context: int = model.n_ctx()
    return context if wanted < 0 else min(int(wanted), context)


def _biases(model: Model, options: dict[str, Any]) -> dict[int, float] | None:
    given = options.pop("logit_bias", None) or {}
    pairs = given.items() if isinstance(given, dict) else given
    # As llama-server has it, false is never.
    biases = {int(token): _NEVER if bias is False else float(bias) for token, bias in pairs}
    wrong = [token for token in biases if not 0 <= token < model.n_vocab()]
    if wrong:
        raise Refused("bad_request", f"logit_bias: {wrong} are no tokens of this model")
    if options.pop("ignore_eos", False):
        biases |= dict.fromkeys(model.ending_tokens, _NEVER)
    return biases or None


def _grammar(options: dict[str, Any]) -> Any:
    text, schema = options.pop("grammar", None), options.pop("json_schema", None)
    if schema is not None:
        return grammars.from_schema(schema)
    return grammars.from_text(text) if text else None
