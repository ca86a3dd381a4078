"""Loading a model with llama-cpp-python: parameters, chat handler, log, and a bound for memory."""

from __future__ import annotations

import ctypes
import difflib
import inspect
import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import llama_cpp
from llama_cpp import _internals, _logger, llama_chat_format
from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

from safe_llm.worker.memory import bounded_memory, free_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

VERSION: str = llama_cpp.__version__

LARGEST_DEFAULT_CONTEXT = 8192
"""Tokens, where nobody says: the library's own 512 refuses most prompts, and the context that a
model was trained with may be 131,072, which is many GiB."""

_ERROR = 4  # GGML_LOG_LEVEL_ERROR of ggml.h; the library's own list of levels is an older one
_CONTINUES = 5  # GGML_LOG_LEVEL_CONT


class CannotLoad(Exception):
    """The model cannot be had, and ``kind`` says whose fault that is."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(slots=True)
class Tally:
    """What one call has cost so far. Times in seconds of a monotonic clock."""

    prompt: int = 0
    evaluated: int = 0
    predicted: int = 0
    began: float = 0.0
    first: float = 0.0


_kept: list[Any] = []  # callbacks, for as long as native code may call them


class Log:
    """Writes what llama.cpp says to stderr, as the library's own callback does.

    That one decodes strictly, and loses a line with a byte that is not UTF-8.
    """

    def __init__(self, *, verbose: bool) -> None:
        self.error = ""  # the first one: those that follow are its consequences
        self._threshold = logging.DEBUG if verbose else logging.ERROR
        self._callback = llama_cpp.llama_log_callback(self._write)
        llama_cpp.llama_log_set(self._callback, ctypes.c_void_p(0))
        _kept.append(self._callback)

    def _write(self, level: int, text: bytes, _: object) -> None:
        if level == _ERROR:
            self.error = self.error or text.decode("utf-8", "replace").strip()
        if self._threshold <= _logger.GGML_LOG_LEVEL_TO_LOGGING_LEVEL.get(level, logging.INFO):
            os.write(2, text)


class Model(llama_cpp.Llama):  # type: ignore[misc]  # the library is not typed
    """The library's own model, which counts, and attends to the parent between two steps."""

    attend: Callable[[], None] = staticmethod(lambda: None)
    tally = Tally()

    def generate(self, tokens: Sequence[int], *args: Any, **kwargs: Any) -> Iterator[int]:
        """Yield tokens as the library does, and count them: its streams tell no usage."""
        self.tally = tally = Tally(prompt=len(tokens), began=time.monotonic())
        for token in super().generate(tokens, *args, **kwargs):
            if not tally.predicted:
                tally.first = time.monotonic()
            tally.predicted += 1
            yield token

    def eval(self, tokens: Sequence[int]) -> None:
        """Evaluate in the portions in which the library does, attending before each."""
        if not self.tally.predicted:
            self.tally.evaluated += len(tokens)
        for start in range(0, max(len(tokens), 1), self.n_batch):
            self.attend()
            super().eval(tokens[start : start + self.n_batch])


def load(wanted: Mapping[str, Any], attend: Callable[[], None]) -> Model:
    """Return the model; raise ``CannotLoad``."""
    verbose = bool(wanted.get("verbose", True))
    log = Log(verbose=verbose)
    parameters = _parameters(wanted, log)
    free = None if parameters.get("n_gpu_layers") else free_bytes()
    try:
        with bounded_memory(free):
            model = Model(wanted["model_path"], verbose=verbose, **parameters)
    except MemoryError as error:
        raise _no_memory(parameters, free, log) from error
    except (TypeError, ValueError, ctypes.ArgumentError, OverflowError, RuntimeError) as error:
        raise _explained(error, parameters, free, log) from error
    _check_chat_format(model)
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


def _parameters(wanted: Mapping[str, Any], log: Log) -> dict[str, Any]:
    parameters = dict(wanted.get("parameters") or {})
    _check_names(parameters)
    if parameters.get("n_ctx") is None:
        trained = _trained_context(wanted["model_path"], log)
        parameters["n_ctx"] = min(trained, LARGEST_DEFAULT_CONTEXT)
    if parameters.get("embedding"):  # a text has to fit into one batch, or it would be cut off
        whole = min(parameters["n_ctx"] or LARGEST_DEFAULT_CONTEXT, LARGEST_DEFAULT_CONTEXT)
        for name in ("n_batch", "n_ubatch"):
            parameters[name] = max(parameters.get(name) or 0, whole)
    if wanted.get("chat_handler"):
        parameters["chat_handler"] = _chat_handler(*wanted["chat_handler"])
    if wanted.get("draft"):
        parameters["draft_model"] = LlamaPromptLookupDecoding(**wanted["draft"])
    return parameters


def _check_names(parameters: Mapping[str, Any]) -> None:
    """Refuse what is no parameter: the library takes any name, and ignores those it has not."""
    known = list(inspect.signature(llama_cpp.Llama).parameters)
    for name in parameters:
        if name not in known:
            near = difflib.get_close_matches(name, known)
            message = f"llama_cpp.Llama has no parameter {name!r}; {_there_are(near or known)}"
            raise CannotLoad("bad_parameter", message)


def _trained_context(path: str, log: Log) -> int:
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    try:
        model = _internals.LlamaModel(path_model=path, params=params, verbose=True)
    except ValueError as error:
        raise CannotLoad("bad_model", log.error or str(error)) from error
    with_context: int = model.n_ctx_train()
    model.close()
    return with_context


def _chat_handler(name: str, arguments: Mapping[str, Any]) -> Any:
    known = [one for one in dir(llama_chat_format) if one.endswith("ChatHandler")]
    if name not in known:
        near = difflib.get_close_matches(name, known)
        message = f"llama_cpp has no chat handler {name!r}; {_there_are(near or known)}"
        raise CannotLoad("no_chat_handler", message)
    try:
        return getattr(llama_chat_format, name)(**arguments)
    except (TypeError, ValueError) as error:
        raise CannotLoad("bad_parameter", f"{name}: {error}") from error


def _check_chat_format(model: Model) -> None:
    name = model.chat_format
    known = llama_chat_format.LlamaChatCompletionHandlerRegistry()._chat_handlers
    if model.chat_handler is None and name not in {*known, *model._chat_handlers}:
        near = difflib.get_close_matches(str(name), known)
        message = f"llama_cpp has no chat format {name!r}; {_there_are(near or known)}"
        raise CannotLoad("no_chat_handler", message)


def _there_are(names: Sequence[str] | Mapping[str, Any]) -> str:
    return f"there are {', '.join(sorted(names))}"


def _explained(
    error: Exception, parameters: Mapping[str, Any], free: int | None, log: Log
) -> CannotLoad:
    text = str(error)
    if "llama_context" in text:
        return _no_memory(parameters, free, log)
    if "load model from file" in text:
        return CannotLoad("bad_model", log.error or text)
    return CannotLoad("bad_parameter", text)


def _no_memory(parameters: Mapping[str, Any], free: int | None, log: Log) -> CannotLoad:
    were_free = "" if free is None else f"; {free:,} bytes of memory were free"
    said = f" ({log.error})" if log.error else ""
    message = f"there is no room for a context of {parameters['n_ctx']:,} tokens{were_free}{said}"
    return CannotLoad("no_memory", message)
