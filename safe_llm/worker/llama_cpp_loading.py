"""Loading a model: what of the wish is refused before, and what a failure of the library means."""

from __future__ import annotations

import difflib
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import llama_cpp
from llama_cpp import _internals, llama_chat_format
from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

from safe_llm.worker.llama_cpp_log import Log
from safe_llm.worker.llama_cpp_model import Model
from safe_llm.worker.memory import bounded_memory, free_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

VERSION: str = llama_cpp.__version__

LARGEST_DEFAULT_CONTEXT = 8192
"""Tokens, where nobody says: the library's own 512 refuses most prompts, and the context that a
model was trained with may be 131,072, which is many GiB."""

LARGEST_DEFAULT_BATCH = 2048
"""The same for embeddings, where a text is one batch, and each token of a batch takes the memory
of two to three times the vocabulary: 2.7 GB for 8,192 of SmolLM2's."""

_CELL_BYTES = 48  # of a token of context, besides its keys and values: they are written at once
_INT32_MAX = 2**31 - 1  # what is larger would be taken for another number
_RANGES: Mapping[str, tuple[int, int]] = {
    "n_ctx": (0, _INT32_MAX),
    "n_batch": (1, _INT32_MAX),
    "n_threads": (-_INT32_MAX, 512),  # GGML_MAX_N_THREADS; people write -1 for "as you like"
    "n_threads_batch": (-_INT32_MAX, 512),
}
_NOT_JSON = frozenset({"chat_handler", "draft_model", "tokenizer"})  # objects, and ours to make
_OURS = frozenset({"model_path", "verbose"})
_OF_THE_MODEL = "chat_template."  # what the names of formats begin with that its file brings
_NO_MEMORY = re.compile(r"bad_alloc|insufficient memory|(failed|unable) to allocate", re.IGNORECASE)
_NO_MODEL = re.compile(r"load model from file|get vocab from model")


class CannotLoad(Exception):
    """The model cannot be had, and ``kind`` says whose fault that is."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def load(wanted: Mapping[str, Any], attend: Callable[[], None]) -> Model:
    """Return the model; raise ``CannotLoad``."""
    verbose = bool(wanted.get("verbose", True))
    path, log = str(wanted["model_path"]), Log(verbose=verbose)
    parameters = _parameters(wanted, path, log)
    n_ctx, free = parameters["n_ctx"], _free_bytes(parameters)
    if free is not None and n_ctx * _CELL_BYTES > free:
        raise _no_memory(n_ctx, free)
    try:
        with bounded_memory(free):
            model = Model(path, verbose=verbose, **parameters)
    except Exception as error:
        raise _explained(error, n_ctx, free, log) from error
    _check_loaded(model, log)
    model.usual_last_n_tokens = model.last_n_tokens_size
    model.attend = attend
    return model


def description(model: Model) -> dict[str, Any]:
    """Return what is to be known of a loaded model."""
    return {
        "n_ctx": model.n_ctx(),
        "n_ctx_train": model._model.n_ctx_train(),
        "n_vocab": model.n_vocab(),
        "n_embd": model.n_embd(),
        "chat_format": model.chat_format,
        "pooling": model.pooling_type(),
        "metadata": model.metadata,
    }


# -- what is wished for


def _parameters(wanted: Mapping[str, Any], path: str, log: Log) -> dict[str, Any]:
    given = dict(wanted.get("parameters") or {})
    parameters = {name: value for name, value in given.items() if value is not None}
    _check(parameters)
    if not Path(path).exists():
        raise CannotLoad("bad_model", f"there is no file {path}")
    is_embedding = bool(parameters.get("embedding"))
    if "n_ctx" not in parameters:
        largest = LARGEST_DEFAULT_BATCH if is_embedding else LARGEST_DEFAULT_CONTEXT
        parameters["n_ctx"] = min(_trained_context(path, log), largest)
    if is_embedding:  # a text has to fit into one batch, or it would be cut off
        whole = min(parameters["n_ctx"] or LARGEST_DEFAULT_CONTEXT, LARGEST_DEFAULT_CONTEXT)
        for name in ("n_batch", "n_ubatch"):
            parameters[name] = max(parameters.get(name, 0), whole)
    if wanted.get("chat_handler"):
        parameters["chat_handler"] = _chat_handler(*wanted["chat_handler"])
    if wanted.get("draft"):
        parameters["draft_model"] = _made(LlamaPromptLookupDecoding, wanted["draft"])
        parameters["logits_all"] = True  # without it the library fails after n_batch tokens
    return parameters


def _check(parameters: Mapping[str, Any]) -> None:
    known = set(inspect.signature(llama_cpp.Llama).parameters) - _OURS - {"kwargs"}
    for name, value in parameters.items():
        if name not in known:  # the library takes any name, and ignores those that it has not
            what = f"llama_cpp.Llama has no parameter {name!r}"
            _refuse("bad_parameter", what, name, known)
        if name in _NOT_JSON:
            raise CannotLoad("bad_parameter", f"{name} is an object, which no process can be sent")
        low, high = _RANGES.get(name, (None, None))
        if low is not None and high is not None and not _is_between(value, low, high):
            message = f"{name}={value!r} is no whole number from {low:,} to {high:,}"
            raise CannotLoad("bad_parameter", message)
    _check_chat_format(str(parameters.get("chat_format", _OF_THE_MODEL)))


def _is_between(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _check_chat_format(name: str) -> None:
    known = llama_chat_format.LlamaChatCompletionHandlerRegistry()._chat_handlers
    if name not in known and not name.startswith(_OF_THE_MODEL):
        _refuse("no_chat_handler", f"llama_cpp has no chat format {name!r}", name, known)


def _chat_handler(name: str, arguments: Mapping[str, Any]) -> Any:
    known = [one for one in dir(llama_chat_format) if one.endswith("ChatHandler")]
    if name not in known:
        _refuse("no_chat_handler", f"llama_cpp has no chat handler {name!r}", name, known)
    return _made(getattr(llama_chat_format, name), arguments)


def _made(kind: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    try:
        return kind(**arguments)
    except Exception as error:
        raise CannotLoad("bad_parameter", f"{kind.__name__}: {error}") from error


def _refuse(kind: str, what: str, name: str, known: Iterable[str]) -> NoReturn:
    names = sorted(known)
    near = difflib.get_close_matches(name, names) or names
    raise CannotLoad(kind, f"{what}; there {'is' if len(near) == 1 else 'are'} {', '.join(near)}")


def _trained_context(path: str, log: Log) -> int:
    """Read it from the file: a model of which only the vocabulary is loaded says it is 0."""
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    try:
        model = _internals.LlamaModel(path_model=path, params=params, verbose=True)
    except ValueError as error:
        raise CannotLoad("bad_model", _first(log, error)) from error
    metadata = model.metadata()
    model.close()
    trained = metadata.get(f"{metadata.get('general.architecture')}.context_length", "")
    return int(trained) if trained.isdecimal() else LARGEST_DEFAULT_CONTEXT


def _free_bytes(parameters: Mapping[str, Any]) -> int | None:
    offloads = parameters.get("n_gpu_layers") and llama_cpp.llama_supports_gpu_offload()
    return None if offloads else free_bytes()


# -- what became of it


def _check_loaded(model: Model, log: Log) -> None:
    if model.lora_path and not model._lora_adapter:  # the library takes a null for an adapter
        reason = log.errors[-1] if log.errors else "llama.cpp does not say why"
        raise CannotLoad("bad_parameter", f"lora_path={model.lora_path!r}: {reason}")
    name = model.chat_format or ""
    if name.startswith(_OF_THE_MODEL) and name not in model._chat_handlers:
        what = f"this model brings no chat format {name!r}"
        _refuse("no_chat_handler", what, name, model._chat_handlers)


def _explained(error: Exception, n_ctx: int, free: int | None, log: Log) -> CannotLoad:
    said = next(filter(_NO_MEMORY.search, [*log.errors, str(error)]), "")
    if said or isinstance(error, MemoryError):
        return _no_memory(n_ctx, free, said)
    if _NO_MODEL.search(str(error)):
        return CannotLoad("bad_model", _first(log, error))
    return CannotLoad("bad_parameter", _first(log, error))


def _first(log: Log, error: Exception) -> str:
    """The first of llama.cpp's own errors: those that follow are its consequences."""
    return log.errors[0] if log.errors else f"{error}"


def _no_memory(n_ctx: int, free: int | None, said: str = "") -> CannotLoad:
    context = f"{n_ctx:,} tokens" if n_ctx else "all tokens that it was trained with"
    were_free = "" if free is None else f"; {free:,} bytes of memory were free"
    because = f" ({said})" if said else ""
    message = f"there is no room for a context of {context}{were_free}{because}"
    return CannotLoad("no_memory", message)
