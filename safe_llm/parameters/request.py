"""What one call asks of the engine: constructor, then call, as one request body. Sends nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safe_llm.errors import MisuseError
from safe_llm.limits import Limits
from safe_llm.parameters.body import CHAT_FIELDS, FIELDS, check_field
from safe_llm.parameters.destinations import Here, Nowhere, ToBody, warn_of_the_meaningless
from safe_llm.parameters.grammar import grammar_text
from safe_llm.parameters.names import refuse_unknown
from safe_llm.parameters.original import ORIGINAL, until_the_end
from safe_llm.parameters.seconds import with_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from safe_llm.parameters.destinations import Destination


def _pairs(logit_bias: Any) -> Any:
    # Older builds of llama-server take only a list of pairs, and JSON would make text of the ids.
    return [list(one) for one in logit_bias.items()] if isinstance(logit_bias, dict) else logit_bias


def _wanted(n_probs: Any) -> Any:
    return n_probs or None


_STREAMED = "every call is streamed on the wire; use stream(), or streaming= for callbacks"

CALL: Mapping[str, Destination] = {
    **{name: ToBody(name) for name in FIELDS if name != "stop"},
    **{name: goes for name, goes in ORIGINAL.items() if isinstance(goes, ToBody)},
    "seed": ToBody("seed"),
    "max_tokens": ToBody("n_predict", until_the_end),
    "n_probs": ToBody("logprobs", _wanted),
    "mirostat_mode": ToBody("mirostat"),
    "logit_bias": ToBody("logit_bias", _pairs),
    "grammar": Here("GBNF text or a LlamaGrammar"),
    "grammar_path": Here("a file of GBNF text"),
    "suffix": Here("appended to the generated text"),
    "echo": Here("the prompt is put before the generated text"),
    "timeout": Here("seconds for the whole call, a start of the engine included"),
    "limits": Here("a Limits for this call"),
    "tfs_z": Nowhere("llama.cpp has no tail-free sampling any more; try min_p=", default=1.0),
    "model": Nowhere("an engine has one model, model_path"),
    "stream": Nowhere(_STREAMED),
}
"""What a call may say besides ``stop``: llama-cpp-python's words and llama-server's."""

_ACROSS = "a Python object cannot be called from inside the engine's process"
REFUSED: Mapping[str, str] = {
    "stopping_criteria": f"{_ACROSS}; use stop= or max_tokens=",
    "logits_processor": f"{_ACROSS}; use logit_bias=, grammar= or json_schema=",
    "prompt": "the prompt is the input of the call",
    "n": "one prompt gives one answer; use batch()",
    "n_cmpl": "one prompt gives one answer; use batch()",
    "response_fields": "the answer's fields are read here",
    "return_progress": "the answer's fields are read here",
}

# The server would obey one of them.
_ONE_CONSTRAINT = ("grammar", "grammar_path", "json_schema", "response_format")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of one kind of call: what each does, and which are refused with what advice."""

    owner: str
    call: Mapping[str, Destination]
    refused: Mapping[str, str]
    logprobs: Callable[[int], Mapping[str, Any]]


def _logprobs_of_text(count: int) -> Mapping[str, Any]:
    return {"n_probs": max(1, count)}  # 0 would switch them off


def _logprobs_of_chat(count: int) -> Mapping[str, Any]:
    return {"logprobs": True, "top_logprobs": count}


TEXT = Vocabulary("LlamaCpp", CALL, REFUSED, _logprobs_of_text)

_ONLY_OF_TEXT = ("echo", "suffix")
CHAT = Vocabulary(
    "ChatLlamaCpp",
    {
        **{name: goes for name, goes in CALL.items() if name not in _ONLY_OF_TEXT},
        **{name: ToBody(name) for name in CHAT_FIELDS},
        "max_tokens": ToBody("n_predict", until_the_end),
        "max_completion_tokens": ToBody("n_predict", until_the_end),
        **{
            name: Nowhere("an answer of a conversation is text of the model alone", default=default)
            for name, default in zip(_ONLY_OF_TEXT, (False, None), strict=True)
        },
    },
    {**REFUSED, "messages": "the messages are the input of the call"},
    _logprobs_of_chat,
)
"""What a call of a chat may say besides: OpenAI's words too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request without its prompt or its messages, and what is done to the answer.

    ``top_logprobs`` is how many alternatives each token is reported with; None reports nothing.
    """

    limits: Limits
    body: Mapping[str, Any] = field(default_factory=dict)
    echo: bool = False
    suffix: str = ""
    top_logprobs: int | None = None

    def for_prompt(self, prompt: str) -> dict[str, Any]:
        """Return the whole body of a completion."""
        return {"prompt": prompt, **self.body}

    def for_messages(self, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the whole body of a chat."""
        return {"messages": list(messages), **self.body}


def build_request(
    defaults: Mapping[str, Any],
    call: Mapping[str, Any],
    *,
    stops: Iterable[str | Iterable[str] | None],
    limits: Limits,
    words: Vocabulary = TEXT,
) -> Request:
    """Return the request of a call: ``defaults`` of the object, overridden by what ``call`` says.

    ``stops`` are joined; ``None`` leaves a field to the engine. Raises ``MisuseError`` for a name
    that is not known, a value out of bounds, or two grammars.
    """
    _refuse(call, words)
    wanted = _merge(defaults, call, words.call)
    body = _fields(wanted, words.call)
    top_logprobs = _number_of_logprobs(body)
    grammar = grammar_text(wanted.get("grammar"), wanted.get("grammar_path"))
    others = [name for name in ("json_schema", "response_format") if grammar and name in body]
    if others:
        raise MisuseError(reason=f"both a grammar and {others[0]} were given", hint="keep one")
    stop = _joined(stops)
    body |= {"grammar": grammar} if grammar else {}
    body |= {"stop": stop} if stop else {}
    for name, value in body.items():
        check_field(name, value, _CALLED.get(name, ""))
    if top_logprobs is not None:
        body |= words.logprobs(top_logprobs)
    return Request(
        limits=_limits(wanted, limits),
        body=body,
        echo=bool(wanted.get("echo")),
        suffix=wanted.get("suffix") or "",
        top_logprobs=top_logprobs,
    )


def _refuse(call: Mapping[str, Any], words: Vocabulary) -> None:
    for name, value in call.items():
        if name in words.refused and value is not None:
            raise MisuseError(reason=f"{name} cannot be given to a call", hint=words.refused[name])
    refuse_unknown(f"a call of {words.owner}", call, {*words.call, *words.refused, "stop"})
    warn_of_the_meaningless(call, words.call, stacklevel=3)


def _merge(
    defaults: Mapping[str, Any], call: Mapping[str, Any], known: Mapping[str, Destination]
) -> dict[str, Any]:
    kept = dict(defaults)
    for name in call:
        for other in _same_thing(name, known):
            kept.pop(other, None)
    return kept | dict(call)


def _same_thing(name: str, known: Mapping[str, Destination]) -> Iterable[str]:
    if name in _ONE_CONSTRAINT:
        return _ONE_CONSTRAINT
    return [other for other, goes in known.items() if _field(goes) == _field(known.get(name))]


def _field(goes: Destination | None) -> object:
    return goes.name if isinstance(goes, ToBody) else goes


def _fields(wanted: Mapping[str, Any], known: Mapping[str, Destination]) -> dict[str, Any]:
    goes = ((known.get(name), value) for name, value in wanted.items())
    converted = ((to.name, to.convert(value)) for to, value in goes if isinstance(to, ToBody))
    return {name: value for name, value in converted if value is not None}


def _joined(stops: Iterable[str | Iterable[str] | None]) -> list[str]:
    lists = ([one] if isinstance(one, str) else one or () for one in stops)
    return list(dict.fromkeys(text for one in lists for text in one))


def _number_of_logprobs(body: dict[str, Any]) -> int | None:
    """How many alternatives each token is wanted with: the original's number, or OpenAI's pair."""
    said, top = body.pop("logprobs", None), body.pop("top_logprobs", None)
    if isinstance(said, bool):
        said = (top or 0) if said else None
    elif said is None:
        said = top
    if said is not None:
        check_field("n_probs", said, "logprobs")
    return None if said is None else int(said)


def _limits(wanted: Mapping[str, Any], limits: Limits) -> Limits:
    chosen = wanted.get("limits") or limits
    if not isinstance(chosen, Limits):
        raise MisuseError(reason=f"limits={chosen!r} is not a Limits")
    return with_timeout(chosen, wanted["timeout"]) if "timeout" in wanted else chosen


_CALLED = {goes.name: name for name, goes in ORIGINAL.items() if isinstance(goes, ToBody)}
