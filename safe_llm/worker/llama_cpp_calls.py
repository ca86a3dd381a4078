"""What a loaded model can be asked, each as a generator of replies. Knows no pipe.

The work is the library's own: completions are ``create_completion``'s, so that they are the very
texts that the same model gives in the user's process.
"""

from __future__ import annotations

import json
import math
import re
import time
from typing import TYPE_CHECKING, Any

import llama_cpp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from safe_llm.worker.llama_cpp_model import Model

_TOO_LONG = re.compile(r"Requested tokens \((\d+)\) exceed context window of (\d+)")
_TEXTS_AT_ONCE = 16  # between two looks whether anybody still wants them
_NEVER = -1e9  # a bias that no logit outweighs, and that JSON and C can both hold


class Refused(Exception):
    """The call cannot be done; ``data`` is the reply."""

    def __init__(self, kind: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.data = {"kind": kind, "message": message, **more}


def perform(model: Model, do: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the replies to a request, the last one ``done``; raise ``Refused`` or ``Cancelled``."""
    work = _WORK.get(do)
    if work is None:
        raise Refused("bad_request", f"there is no {do!r}; there are {', '.join(_WORK)}")
    try:
        yield from work(model, arguments)
    except Refused:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise _refused(error) from error
    except (RuntimeError, MemoryError, OSError, ArithmeticError) as error:
        raise Refused("failed", f"{type(error).__name__}: {error}") from error


def _refused(error: Exception) -> Refused:
    if too_long := _TOO_LONG.search(str(error)):
        prompt, context = map(int, too_long.groups())
        return Refused("context_exceeded", str(error), prompt_tokens=prompt, context_tokens=context)
    if "logits_all" in str(error):
        return Refused("bad_request", "log probabilities need an engine with logits_all=True")
    return Refused("bad_request", f"{type(error).__name__}: {error}")


# -- text


def _complete(model: Model, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    reason = "stop"
    for piece in model.create_completion(stream=True, **_options(model, arguments)):
        choice = piece["choices"][0]
        reason = choice["finish_reason"] or reason
        if choice["text"]:
            yield "chunk", {"text": choice["text"], "logprobs": _logprobs(choice["logprobs"])}
    yield "done", {"finish_reason": reason, **_cost(model)}


def _chat(model: Model, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    reason = "stop"
    for piece in model.create_chat_completion(stream=True, **_options(model, arguments)):
        choice = piece["choices"][0]
        reason = choice.get("finish_reason") or reason
        delta = {name: one for name, one in choice["delta"].items() if one is not None}
        if delta:
            logprobs = (choice.get("logprobs") or {}).get("content") or []
            yield "chunk", {"delta": delta, "logprobs": logprobs}
    yield "done", {"finish_reason": reason, **_cost(model)}


def _options(model: Model, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the library's arguments for ours; what the library has no argument for is done."""
    options = dict(arguments)
    model.last_n_tokens_size = options.pop("repeat_last_n", 64)
    if not options.pop("cache_prompt", True):
        model.reset()
    options["logit_bias"] = _biases(model, options)
    options["grammar"] = _grammar(model, options)
    if (options.get("seed") or 0) < 0:
        options["seed"] = None
    options.setdefault("max_tokens", None)  # until it ends by itself; the library's own is 16
    return options


def _biases(model: Model, options: dict[str, Any]) -> dict[int, float] | None:
    given = options.pop("logit_bias", None) or {}
    pairs = given.items() if isinstance(given, dict) else given
    biases = {int(token): float(bias) for token, bias in pairs}
    wrong = [token for token in biases if not 0 <= token < model.n_vocab()]
    if wrong:
        raise Refused("bad_request", f"logit_bias: {wrong} are no tokens of this model")
    if options.pop("ignore_eos", False):
        biases[model.token_eos()] = _NEVER
    return biases or None


def _grammar(model: Model, options: dict[str, Any]) -> llama_cpp.LlamaGrammar | None:
    text, schema = options.pop("grammar", None), options.pop("json_schema", None)
    if schema is not None:
        grammar = llama_cpp.LlamaGrammar.from_json_schema(json.dumps(schema))
    elif text:
        grammar = llama_cpp.LlamaGrammar.from_string(text)
    else:
        return None
    # The library would put the null that stands for a grammar with a mistake into its chain.
    sampler = llama_cpp.llama_sampler_init_grammar(
        model._model.vocab, grammar._grammar.encode(), grammar._root.encode()
    )
    if not sampler:
        raise Refused("bad_request", "the grammar cannot be parsed; the engine's log says where")
    llama_cpp.llama_sampler_free(sampler)
    return grammar


def _logprobs(said: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Translate OpenAI's old form, which the library speaks, into llama-server's."""
    if not said:
        return []
    each = zip(said["tokens"], said["token_logprobs"], said["top_logprobs"], strict=True)
    return [
        {
            "token": token,
            "logprob": float(logprob),
            "top_logprobs": [
                {"token": other, "logprob": float(value)} for other, value in top.items()
            ],
        }
        for token, logprob, top in each
    ]


def _cost(model: Model) -> dict[str, Any]:
    tally, now = model.tally, time.monotonic()
    first = tally.first or now
    cached = max(tally.prompt - tally.evaluated, 0)
    seconds = now - first
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


# -- numbers


def _embed(model: Model, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    texts = list(arguments["texts"])
    if not model.context_params.embeddings:
        raise Refused("bad_request", "this engine was made without embedding=True")
    counts = [_count(model, number, text) for number, text in enumerate(texts)]
    vectors: list[list[float]] = []
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        model.attend()
        portion = model.embed(texts[start : start + _TEXTS_AT_ONCE], truncate=False)
        vectors += map(_pooled, portion)
    if arguments.get("normalize"):
        vectors = [_normalised(vector) for vector in vectors]
    yield "done", {"vectors": vectors, "usage": {"prompt_tokens": sum(counts)}}


def _count(model: Model, number: int, text: str) -> int:
    if not text:
        raise Refused("bad_request", f"text {number} is empty: nothing has no meaning to embed")
    count = len(model.tokenize(text.encode()))
    if count > model.n_batch:
        raise Refused(
            "context_exceeded",
            f"text {number} has {count} tokens",
            prompt_tokens=count,
            context_tokens=model.n_batch,
        )
    return count


def _pooled(embedding: Sequence[Any]) -> list[float]:
    """One vector for a text: a model that is not pooled gives one for each of its tokens."""
    if not isinstance(embedding[0], (list, tuple)):
        return list(embedding)
    return [sum(column) / len(embedding) for column in zip(*embedding, strict=True)]


def _normalised(vector: Sequence[float]) -> list[float]:
    length = math.hypot(*vector)
    return [value / length for value in vector] if length else list(vector)


def _tokenize(model: Model, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    text, special = str(arguments["text"]), bool(arguments.get("special", False))
    yield "done", {"tokens": model.tokenize(text.encode(), add_bos=False, special=special)}


_WORK: Mapping[str, Callable[[Model, Mapping[str, Any]], Iterator[tuple[str, Any]]]] = {
    "complete": _complete,
    "chat": _chat,
    "embed": _embed,
    "tokenize": _tokenize,
}
