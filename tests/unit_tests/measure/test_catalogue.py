from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from safe_llm.errors import MissingExtra, MisuseError, ModelFileInvalid
from safe_llm.measure import catalogue
from safe_llm.measure.catalogue import Wanted, find
from safe_llm.measure.subject import LLAMA_CPP, LLAMA_SERVER, MCP, VERBOSITIES, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


def here(engine: str) -> Callable[[Sequence[str]], list[Subject]]:
    """An engine that is installed, with each of the models; MCP servers run none."""

    def subjects(models: Sequence[str]) -> list[Subject]:
        models = [""] if engine == MCP else models or ["default model"]
        return [
            Subject(
                engine=engine,
                verbosity=verbosity,
                setting="",
                model=model,
                logs=("stderr",),
                begin=nullcontext,  # type: ignore[arg-type]
            )
            for model in models
            for verbosity in VERBOSITIES[engine]
        ]

    return subjects


def absent(engine: str) -> Callable[[Sequence[str]], list[Subject]]:
    def subjects(_: Sequence[str]) -> list[Subject]:
        raise MissingExtra(what=engine, extra="", hint=f"pip install {engine}")

    return subjects


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a machine on which these engines are there, and no other."""

    def install(*engines: str) -> None:
        for engine in VERBOSITIES:
            finder = here(engine) if engine in engines else absent(engine)
            monkeypatch.setitem(catalogue._FINDERS, engine, finder)

    return install


def names(wanted: Wanted) -> list[str]:
    return [f"{one.engine} {one.verbosity}" for one in find(wanted).subjects]


def test_where_nothing_is_named_everything_that_is_there_is_found(machine: Any) -> None:
    machine(LLAMA_CPP, MCP)
    found = find(Wanted())
    assert [(one.engine, one.verbosity) for one in found.subjects] == [
        (LLAMA_CPP, "on"),
        (LLAMA_CPP, "off"),
        (MCP, "INFO"),
        (MCP, "DEBUG"),
    ]
    assert {one: error.hint for one, error in found.absent.items()} == {
        LLAMA_SERVER: "pip install llama-server"
    }


def test_only_what_is_named_is_found(machine: Any) -> None:
    machine(*VERBOSITIES)
    assert names(Wanted(engines=[LLAMA_CPP])) == ["llama-cpp-python on", "llama-cpp-python off"]


def test_an_engine_that_is_named_and_absent_is_an_error(machine: Any) -> None:
    machine(MCP)
    with pytest.raises(MissingExtra) as refused:
        find(Wanted(engines=[LLAMA_SERVER, MCP]))
    assert refused.value.hint == "pip install llama-server"


def test_where_there_is_none_at_all_each_line_that_installs_one_is_said(machine: Any) -> None:
    machine()
    with pytest.raises(MissingExtra) as refused:
        find(Wanted())
    assert refused.value.hint.splitlines() == [
        "any of these:",
        *(f"{engine}: pip install {engine}" for engine in VERBOSITIES),
    ]


def test_each_model_is_measured_at_each_verbosity(machine: Any) -> None:
    machine(LLAMA_CPP)
    subjects = find(Wanted(engines=[LLAMA_CPP], models=["a", "b"])).subjects
    assert [(one.model, one.verbosity) for one in subjects] == [
        ("a", "on"),
        ("a", "off"),
        ("b", "on"),
        ("b", "off"),
    ]


def test_a_verbosity_may_be_written_in_any_case(machine: Any) -> None:
    machine(*VERBOSITIES)
    assert names(Wanted(verbosities=["Debug"])) == ["llama-server debug", "mcp DEBUG"]


def test_a_verbosity_that_nothing_has_is_refused_and_the_others_are_listed(machine: Any) -> None:
    machine(LLAMA_CPP)
    with pytest.raises(MisuseError) as refused:
        find(Wanted(engines=[LLAMA_CPP], models=["a", "b"], verbosities=["debug", "4"]))
    assert str(refused.value) == (
        "nothing here has the verbosity debug or 4\n"
        "hint: there are: llama-cpp-python on, llama-cpp-python off"
    )


def test_a_command_line_alone_is_measured_alone(machine: Any) -> None:
    machine(*VERBOSITIES)
    assert names(Wanted(commands=[["server", "--x"]])) == ["server as given"]


def test_a_command_line_comes_after_the_engines_and_has_no_verbosity_to_choose(
    machine: Any,
) -> None:
    machine(*VERBOSITIES)
    wanted = Wanted(engines=[MCP], verbosities=["info"], commands=[["server"]])
    assert names(wanted) == ["mcp INFO", "server as given"]


def test_a_model_that_nothing_runs_is_refused(machine: Any) -> None:
    machine(*VERBOSITIES)
    with pytest.raises(MisuseError, match="nothing that is to be measured runs one"):
        find(Wanted(engines=[MCP], models=["m.gguf"]))
    machine(MCP)
    with pytest.raises(MissingExtra, match="an engine that could be measured"):
        find(Wanted(models=["m.gguf"]))


def test_a_model_file_that_is_none_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_text("no model")
    with pytest.raises(ModelFileInvalid, match="does not begin with GGUF"):
        find(Wanted(engines=[LLAMA_CPP], models=[str(path)]))


@pytest.mark.parametrize(
    ("engine", "hint"), [(LLAMA_CPP, "safe-llm[llama-cpp]"), (MCP, "pip install mcp")]
)
def test_a_library_that_is_not_installed_is_seen_without_starting_it(
    engine: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(20))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as refused:
        find(Wanted(engines=[engine], models=[str(path)]))
    assert hint in refused.value.hint
