"""The wish for a model as the library's arguments; what it would crash of or ignore is refused."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any, NoReturn

import llama_cpp
from llama_cpp import llama_chat_format
from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

from safe_llm.worker.conversation import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

LARGEST_DEFAULT_CONTEXT = 8192
"""Tokens, where nobody says: the library's own 512 refuses most prompts, and the context that a
model was trained with may be 131,072, which is many GiB."""

LARGEST_DEFAULT_BATCH = 2048
"""The same for embeddings, where a text is one batch, and each token of a batch takes the memory
of two to three times the vocabulary: 2.7 GB for 8,192 of SmolLM2's."""

OF_THE_MODEL = "chat_template."  # what the names of formats begin with that its file brings

_INT32_MAX = 2**31 - 1  # what is larger would be taken for another number
_RANGES: Mapping[str, tuple[int, int]] = {
    "n_ctx": (0, _INT32_MAX),
    "n_batch": (1, _INT32_MAX),
    "n_threads": (-_INT32_MAX, 512),  # GGML_MAX_N_THREADS; people write -1 for "as you like"
    "n_threads_batch": (-_INT32_MAX, 512),
}
_NOT_JSON = frozenset({"chat_handler", "draft_model", "tokenizer"})  # objects, and ours to make
_OURS = frozenset({"model_path", "verbose"})


def arguments(wanted: Mapping[str, Any], trained_context: Callable[[], int]) -> dict[str, Any]:
    """Return the arguments of ``llama_cpp.Llama``; raise ``Refused``."""
    given = wanted.get("parameters") or {}
    parameters = {name: value for name, value in given.items() if value is not None}
    for name, value in parameters.items():
        _check(name, value)
    _size(parameters, trained_context)
    if wanted.get("chat_handler"):
        parameters["chat_handler"] = _chat_handler(*wanted["chat_handler"])
    if wanted.get("draft"):
        parameters["draft_model"] = _made(LlamaPromptLookupDecoding, wanted["draft"])
        parameters["logits_all"] = True  # without it the library fails after n_batch tokens
    return parameters


def refuse(kind: str, what: str, name: str, known: Iterable[str]) -> NoReturn:
    """Raise ``Refused``, telling the names that are like this one, or all where none is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names) or names
    raise Refused(kind, f"{what}; there {'is' if len(near) == 1 else 'are'} {', '.join(near)}")


def _check(name: str, value: Any) -> None:
    known = set(inspect.signature(llama_cpp.Llama).parameters) - _OURS - {"kwargs"}
    if name not in known:  # the library takes any name, and ignores those that it has not
        refuse("bad_parameter", f"llama_cpp.Llama has no parameter {name!r}", name, known)
    if name in _NOT_JSON:
        raise Refused("bad_parameter", f"{name} is an object, which no process can be sent")
    if name in _RANGES:
        _check_range(name, value)
    if name == "chat_format":
        _check_chat_format(str(value))


def _check_range(name: str, value: Any) -> None:
    low, high = _RANGES[name]
    if type(value) is not int or not low <= value <= high:
        message = f"{name}={value!r} is no whole number from {low:,} to {high:,}"
        raise Refused("bad_parameter", message)


def _check_chat_format(name: str) -> None:
    known = llama_chat_format.LlamaChatCompletionHandlerRegistry()._chat_handlers
    if name not in known and not name.startswith(OF_THE_MODEL):
        refuse("no_chat_handler", f"llama_cpp has no chat format {name!r}", name, known)


def _size(parameters: dict[str, Any], trained_context: Callable[[], int]) -> None:
    is_embedding = bool(parameters.get("embedding"))
    if "n_ctx" not in parameters:
        largest = LARGEST_DEFAULT_BATCH if is_embedding else LARGEST_DEFAULT_CONTEXT
        parameters["n_ctx"] = min(trained_context(), largest)
    if is_embedding:  # a text has to fit into one batch, or it would be cut off
        whole = min(parameters["n_ctx"] or LARGEST_DEFAULT_CONTEXT, LARGEST_DEFAULT_CONTEXT)
        for name in ("n_batch", "n_ubatch"):
            parameters[name] = max(parameters.get(name, 0), whole)


def _chat_handler(name: str, given: Mapping[str, Any]) -> Any:
    known = [one for one in dir(llama_chat_format) if one.endswith("ChatHandler")]
    if name not in known:
        refuse("no_chat_handler", f"llama_cpp has no chat handler {name!r}", name, known)
    return _made(getattr(llama_chat_format, name), given)


def _made(kind: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    try:
        return kind(**given)
    except Exception as error:
        raise Refused("bad_parameter", f"{kind.__name__}: {error}") from error
