from __future__ import annotations

import importlib.util
import logging
from typing import TYPE_CHECKING, Any

import pytest

from safe_llm.engines import choice
from safe_llm.engines.choice import choose_engine
from safe_llm.events import EngineChosen
from safe_llm.langchain import LlamaCpp
from safe_llm.observers.dispatcher import dispatcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from safe_llm.events import Event

    Install = Callable[..., None]

MODEL = "/nowhere/model.gguf"
BOUND = 10.0


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Have these packages importable, and none of the others that matter."""
    find = importlib.util.find_spec

    def installed(*names: str) -> None:
        absent = {"xllamacpp", "llama_cpp"} - set(names)

        def find_spec(name: str, package: str | None = None) -> object:
            return None if name in absent else find("json" if name in names else name, package)

        monkeypatch.setattr(importlib.util, "find_spec", find_spec)

    monkeypatch.setattr(choice, "_chosen", {})
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("SAFE_LLM_LLAMA_SERVER", raising=False)
    return installed


def test_a_llama_server_comes_first(install: Install) -> None:
    install("xllamacpp", "llama_cpp")
    chosen = choose_engine()
    assert (chosen.kind, chosen.because) == (
        "llama-server",
        "one was found by the extra llama-server",
    )


def test_a_llama_server_on_the_path_is_one(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install("llama_cpp")
    server = tmp_path / "llama-server"
    server.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose_engine().because == "one was found by PATH"


def test_the_library_is_taken_where_there_is_no_llama_server(install: Install) -> None:
    install("llama_cpp")
    assert choose_engine() == choice.Choice("llama-cpp-python", "no llama-server was found")


def test_where_there_is_neither_what_is_installed_next_is_found(install: Install) -> None:
    install()
    assert choose_engine().kind == "llama-server"  # whose start says how to get one
    install("llama_cpp")
    assert choose_engine().kind == "llama-cpp-python"


def test_what_only_a_server_can_have_asks_for_one(install: Install) -> None:
    install("llama_cpp")
    fields: list[dict[str, Any]] = [
        {"server_binary": "x"},
        {"server_args": ["-v"]},
        {"base_url": "http://h:1"},
    ]
    for one in fields:
        assert LlamaCpp(model_path=MODEL, **one)._engine_spec().kind == "llama-server"
    assert LlamaCpp(model_path=MODEL)._engine_spec().kind == "llama-cpp-python"


def test_an_object_says_which_engine_was_chosen_and_why(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("llama_cpp")
    heard: list[Event] = []
    with (
        caplog.at_level(logging.INFO),
        LlamaCpp(model_path=MODEL, observers=(heard.append,)) as llm,
    ):
        assert llm.engine.status().name == "llama-cpp-python(model.gguf)"
        assert dispatcher().flush(BOUND)
    assert [(type(one), one.source) for one in heard] == [
        (EngineChosen, "llama-cpp-python(model.gguf)")
    ]
    assert caplog.messages == [
        "llama-cpp-python(model.gguf): was chosen: no llama-server was found"
    ]


def test_nothing_is_said_of_an_engine_that_was_named() -> None:
    heard: list[Event] = []
    with LlamaCpp(engine="llama-server", model_path=MODEL, observers=(heard.append,)) as llm:
        assert llm.engine.status().state == "idle"
        assert dispatcher().flush(BOUND)
    assert heard == []
