"""Loading a model, and what it means when the library fails to."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llama_cpp
from llama_cpp import _internals

from safe_llm.worker.conversation import Refused
from safe_llm.worker.llama_cpp_log import Log
from safe_llm.worker.llama_cpp_model import Model
from safe_llm.worker.llama_cpp_parameters import (
    LARGEST_DEFAULT_CONTEXT,
    OF_THE_MODEL,
    arguments,
    refuse,
)
from safe_llm.worker.memory import bounded_memory, free_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERSION: str = llama_cpp.__version__

_CELL_BYTES = 48  # of a token of context, besides its keys and values: they are written at once
_NO_MEMORY = re.compile(r"bad_alloc|insufficient memory|(failed|unable) to allocate", re.IGNORECASE)
_NO_MODEL = re.compile(r"load model from file|get vocab from model")


def load(wanted: Mapping[str, Any], attend: Callable[[], None]) -> Model:
    """Return the model; raise ``Refused``."""
    verbose = bool(wanted.get("verbose", True))
    path, log = str(wanted["model_path"]), Log(verbose=verbose)
    if not Path(path).exists():
        raise Refused("bad_model", f"there is no file {path}")
    parameters = arguments(wanted, partial(_trained_context, path, log))
    n_ctx, free = parameters["n_ctx"], _free_bytes(parameters)
    if free is not None and n_ctx * _CELL_BYTES > free:
        raise _no_memory(n_ctx, free)
    try:
        with bounded_memory(free):
            model = Model(path, verbose=verbose, **parameters)
    except Exception as error:
        raise _explained(error, n_ctx, free, log) from error
    _check(model, log)
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
        "chat_handler": model.chat_handler is not None,
        "pooling": model.pooling_type(),
        "metadata": model.metadata,
    }


def _trained_context(path: str, log: Log) -> int:
    """Read it from the file: a model of which only the vocabulary is loaded says it is 0."""
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    try:
        model = _internals.LlamaModel(path_model=path, params=params, verbose=True)
    except ValueError as error:
        raise Refused("bad_model", _first(log, error)) from error
    metadata: dict[str, str] = {}
    with suppress(UnicodeDecodeError):
        metadata = model.metadata()
    model.close()
    trained = metadata.get(f"{metadata.get('general.architecture')}.context_length", "")
    return int(trained) if trained.isdecimal() else LARGEST_DEFAULT_CONTEXT


def _free_bytes(parameters: Mapping[str, Any]) -> int | None:
    offloads = parameters.get("n_gpu_layers") and llama_cpp.llama_supports_gpu_offload()
    return None if offloads else free_bytes()


def _check(model: Model, log: Log) -> None:
    if model.lora_path and not model._lora_adapter:  # the library takes a null for an adapter
        reason = log.errors[-1] if log.errors else "llama.cpp does not say why"
        raise Refused("bad_parameter", f"lora_path={model.lora_path!r}: {reason}")
    name = model.chat_format or ""
    if name.startswith(OF_THE_MODEL) and name not in model._chat_handlers:
        what = f"this model brings no chat format {name!r}"
        refuse("no_chat_handler", what, name, model._chat_handlers)


def _explained(error: Exception, n_ctx: int, free: int | None, log: Log) -> Refused:
    said = next(filter(_NO_MEMORY.search, [*log.errors, str(error)]), "")
    if said or isinstance(error, MemoryError):
        return _no_memory(n_ctx, free, said)
    kind = "bad_model" if _NO_MODEL.search(str(error)) else "bad_parameter"
    return Refused(kind, _first(log, error))


def _first(log: Log, error: Exception) -> str:
    """The first of llama.cpp's own errors: those that follow are its consequences."""
    return log.errors[0] if log.errors else f"{error}"


def _no_memory(n_ctx: int, free: int | None, said: str = "") -> Refused:
    context = f"{n_ctx:,} tokens" if n_ctx else "all tokens that it was trained with"
    were_free = "" if free is None else f"; {free:,} bytes of memory were free"
    because = f" ({said})" if said else ""
    message = f"there is no room for a context of {context}{were_free}{because}"
    return Refused("no_memory", message)
