"""What only llama-cpp-python can be given wrongly: itself, its objects, too much of a context."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from safe_llm.engines import llama_cpp_program
from safe_llm.engines.spec import LlamaCppPythonSpec
from safe_llm.errors import MissingExtra, MisuseError, NotReady
from tests.engine_kinds import LLAMA_CPP_PYTHON
from tests.integration_tests.engines.failing import failure
from tests.models import smollm2_path

if TYPE_CHECKING:
    from pathlib import Path

TOO_MUCH = 10_000_000  # tokens of SmolLM2: 230 GB


def test_a_library_that_is_not_installed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_cpp_program, "LIBRARY", "llama_cpp_that_is_not_there")
    error = failure(MissingExtra, LLAMA_CPP_PYTHON.spec(model))
    assert "pip install 'safe-llm[llama-cpp]'" in error.hint


def test_a_library_that_cannot_be_imported(model: Path, tmp_path: Path) -> None:
    program = "import sys; sys.modules['llama_cpp'] = None"
    error = failure(NotReady, LLAMA_CPP_PYTHON.disturbed(model, tmp_path, program))
    assert "llama_cpp cannot be imported" in error.reason
    assert "pip install 'safe-llm[llama-cpp]'" in error.hint


def test_a_library_for_another_processor(model: Path, tmp_path: Path) -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
    error = failure(NotReady, LLAMA_CPP_PYTHON.disturbed(model, tmp_path, program))
    assert "SIGILL (met an instruction that this processor does not have)" in error.exit_status


def test_a_chat_handler_that_does_not_exist(model: Path) -> None:
    handler = ("Llava16ChatHandlr", {"clip_model_path": str(model)})
    error = failure(NotReady, LlamaCppPythonSpec.of(str(model), {}, chat_handler=handler))
    assert "no chat handler 'Llava16ChatHandlr'" in error.reason
    assert "Llava16ChatHandler," in error.reason


def test_a_chat_format_that_does_not_exist(model: Path) -> None:
    error = failure(NotReady, LlamaCppPythonSpec.of(str(model), {"chat_format": "chatlm"}))
    assert "no chat format 'chatlm'; there are" in error.reason
    assert "chatml" in error.reason


def test_a_parameter_that_cannot_be_sent_to_another_process(model: Path) -> None:
    with pytest.raises(MisuseError, match="cannot be sent to the engine's process"):
        LlamaCppPythonSpec.of(str(model), {"tokenizer": object()})


@pytest.mark.smollm2
def test_a_context_that_does_not_fit_into_memory(model: Path) -> None:
    error = failure(NotReady, LLAMA_CPP_PYTHON.spec(smollm2_path(), n_ctx=TOO_MUCH))
    assert "no room for a context of 10,000,000 tokens" in error.reason
    assert "bytes of memory were free" in error.reason
    assert "a smaller n_ctx" in error.hint
