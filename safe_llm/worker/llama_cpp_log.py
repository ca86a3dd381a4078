"""What llama.cpp logs, on stderr as llama-cpp-python would have it, and its errors kept.

The library's own callback decodes strictly, and loses a line with a byte that is not UTF-8.
"""

from __future__ import annotations

import ctypes
import logging
import os
from contextlib import suppress

import llama_cpp
from llama_cpp._logger import GGML_LOG_LEVEL_TO_LOGGING_LEVEL

_ERROR = 4  # GGML_LOG_LEVEL_ERROR of ggml.h; the library's own list of levels is an older one
_ERRORS_KEPT = 20

_callbacks: list[object] = []  # for as long as native code may call them


class Log:
    """Takes the place of the library's callback; ``errors`` are the first ones, in order."""

    def __init__(self, *, verbose: bool) -> None:
        self.errors: list[str] = []
        self._threshold = logging.DEBUG if verbose else logging.ERROR
        callback = llama_cpp.llama_log_callback(self._write)
        _callbacks.append(callback)
        llama_cpp.llama_log_set(callback, ctypes.c_void_p(0))

    def _write(self, level: int, text: bytes, _: object) -> None:
        if level == _ERROR and len(self.errors) < _ERRORS_KEPT:
            self.errors.append(text.decode("utf-8", "replace").strip())
        if self._threshold <= GGML_LOG_LEVEL_TO_LOGGING_LEVEL.get(level, logging.INFO):
            with suppress(OSError):  # nobody reads it; native code cannot be told
                os.write(2, text)
