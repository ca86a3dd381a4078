"""What a loaded model can be asked, each as a generator of replies. Knows no pipe.

The work is the library's own: completions are ``create_completion``'s, so that they are the very
texts that the same model gives in the user's process.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from safe_llm.worker.conversation import Refused
from safe_llm.worker.llama_cpp_chat import chat, count
from safe_llm.worker.llama_cpp_embedding import embed
from safe_llm.worker.llama_cpp_options import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from safe_llm.worker.llama_cpp_model import Model

_TOO_LONG = re.compile(r"Requested tokens \((\d+)\) exceed context window of (\d+)")
_NO_FAULT_OF_THE_CALL = (RuntimeError, MemoryError, OSError, ImportError)


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


def _complete(model: Model, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for piece in model.create_completion(stream=True, **translated(model, arguments)):
        text = piece["choices"][0]["text"]
        if text:
            yield "chunk", {"text": text, "logprobs": model.take_logprobs(text)}
    yield "done", {"finish_reason": model.tally.finish_reason or "stop", **model.tally.cost()}


def _tokenize(model: Model, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    text, special = str(arguments["text"]), bool(arguments.get("special", False))
    yield "done", {"tokens": model.tokenize(text.encode(), add_bos=False, special=special)}


_WORK: Mapping[str, Callable[[Model, Mapping[str, Any]], Iterator[tuple[str, Any]]]] = {
    "complete": _complete,
    "chat": chat,
    "count": count,
    "embed": embed,
    "tokenize": _tokenize,
}
