"""What a loaded model can be asked, each as a generator of replies. Knows no pipe.

The work is the library's own: completions are ``create_completion``'s, so that they are the very
texts that the same model gives in the user's process.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from safe_llm.worker import llama_cpp_grammar as grammars
from safe_llm.worker.conversation import Refused
from safe_llm.worker.llama_cpp_embedding import embed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from safe_llm.worker.llama_cpp_model import Model

_TOO_LONG = re.compile(r"Requested tokens \((\d+)\) exceed context window of (\d+)")
_NEVER = -1e9  # a bias that no logit outweighs, and that JSON and C can both hold
_NO_FAULT_OF_THE_CALL = (RuntimeError, MemoryError, OSError, ImportError)
_FIXED = frozenset({"stream", "logits_processor", "stopping_criteria"})  # ours, or Python objects


def perform(model: Model, do: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the replies to a request, the last one ``done``; raise ``Refused`` or ``Cancelled``."""
    work = _WORK.get(do)
    if work is None:
        raise Refused("bad_request", f"there is no {do!r}; there are {', '.join(_WORK)}")
    model.begin()
    try:
        yield from work(model, arguments)
    except Refused:
        raise
    except _NO_FAULT_OF_THE_CALL as error:
        raise Refused("failed", f"{type(error).__name__}: {error}") from error
    except Exception as error:  # handlers and converters raise what they like for a bad argument
        raise _refused(error) from error


def _refused(error: Exception) -> Refused:
    if too_long := _TOO_LONG.search(str(error)):
        prompt, context = map(int, too_long.groups())
        return Refused("context_exceeded", str(error), prompt_tokens=prompt, context_tokens=context)
    return Refused("bad_request", f"{type(error).__name__}: {error}")


# -- text


def _complete(model: Model, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for piece in model.create_completion(stream=True, **_options(model, arguments)):
        text = piece["choices"][0]["text"]
        if text:
            yield "chunk", {"text": text, "logprobs": _logprobs(model, text)}
    yield "done", {"finish_reason": model.tally.finish_reason or "stop", **_cost(model)}


def _chat(model: Model, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    options = _options(model, arguments)
    _translate_response_format(options)
    if options.get("logprobs"):  # with no number the library would give none at all
        options["top_logprobs"] = options.get("top_logprobs") or 0
    reason = "stop"
    for delta, said in _spoken(model, options):
        reason = said or reason
        if delta:
            yield "chunk", {"delta": delta, "logprobs": _logprobs(model, _text_of(delta))}
    if model.tally.finish_reason == "length":  # a call of a tool that was cut off is no call
        reason = "length"
    yield "done", {"finish_reason": reason, **_cost(model)}


def _spoken(model: Model, options: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Yield what is new in the message, and why it ended where it did."""
    if not _can_stream(model, options):
        (choice,) = model.create_chat_completion(**options)["choices"]
        yield _new(choice["message"]), choice["finish_reason"]
        return
    for piece in model.create_chat_completion(stream=True, **options):
        choice = piece["choices"][0]
        yield _new(choice["delta"]), choice.get("finish_reason")


def _can_stream(model: Model, options: Mapping[str, Any]) -> bool:
    if model.chat_format == "chatml-function-calling":
        return not options.get("tools")
    return bool(model.chat_format != "functionary")


def _new(delta: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in delta.items() if one not in (None, "")}


def _text_of(delta: Mapping[str, Any]) -> str:
    called = "".join(one["function"]["arguments"] for one in delta.get("tool_calls", ()))
    return str(delta.get("content", called))


def _logprobs(model: Model, text: str) -> list[dict[str, Any]]:
    return [] if model.logprobs is None else model.logprobs.take(text)


def _cost(model: Model) -> dict[str, Any]:
    tally, now = model.tally, time.monotonic()
    first = tally.first or now
    cached, seconds = max(tally.prompt - tally.evaluated, 0), now - first
    return {
        "usage": {
            "prompt_tokens": tally.prompt,
            "completion_tokens": tally.predicted,
            "cached_tokens": cached,
        },
        "timings": {
            "cache_n": cached,
            "prompt_n": tally.prompt - cached,
            "prompt_ms": 1000 * (first - tally.began),
            "predicted_n": tally.predicted,
            "predicted_ms": 1000 * seconds,
            "predicted_per_second": tally.predicted / seconds if seconds > 0 else 0.0,
        },
    }


# -- the library's arguments for ours


def _options(model: Model, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Translate; what the library has no argument for is done here."""
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


def _translate_response_format(options: dict[str, Any]) -> None:
    """Make a grammar of a schema: where the library cannot, it would take any JSON instead."""
    wanted = options.get("response_format")
    if wanted is None:
        return
    kind = wanted["type"]
    if kind not in ("text", "json_object", "json_schema"):
        raise Refused("bad_request", f"there is no response_format {kind!r}")
    schema = wanted["json_schema"]["schema"] if kind == "json_schema" else wanted.get("schema")
    if schema is not None:
        options["grammar"] = grammars.from_schema(schema)
        del options["response_format"]


# -- numbers


def _tokenize(model: Model, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    text, special = str(arguments["text"]), bool(arguments.get("special", False))
    yield "done", {"tokens": model.tokenize(text.encode(), add_bos=False, special=special)}


_WORK: Mapping[str, Callable[[Model, Mapping[str, Any]], Iterator[tuple[str, Any]]]] = {
    "complete": _complete,
    "chat": _chat,
    "embed": embed,
    "tokenize": _tokenize,
}
