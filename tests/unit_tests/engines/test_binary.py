from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from safe_llm.engines import binary as binaries
from safe_llm.engines.binary import find_binary
from safe_llm.errors import MissingExtra, NotALlamaServer, SpawnFailed
from safe_llm.supervise.portal import portal
from tests.children import python_child
from tests.children.unstartable import make_unstartable
from tests.llama_engine import script

if TYPE_CHECKING:
    from pathlib import Path

    from safe_llm.engines.binary import Binary

HELP = "echo '-m, --model FNAME'; echo '--host HOST, or a .sock'; echo '--port PORT'"


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Neither a variable nor PATH names a llama-server; the folder is in PATH."""
    monkeypatch.delenv(binaries.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(binaries, "_asked", {})
    return tmp_path


def _find(explicit: str | None = None) -> Binary:
    return portal().submit(partial(find_binary, explicit), "test").result()


def test_what_is_named_comes_first_then_the_variable_then_path_then_the_wheel(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xllamacpp")
    assert _find().origin == "the extra llama-server"
    on_path = script(nowhere / "llama-server", HELP)
    found = _find()
    assert (found.origin, found.argv) == ("PATH", (on_path,))
    by_variable = script(nowhere / "by-variable", HELP)
    monkeypatch.setenv(binaries.ENVIRONMENT_VARIABLE, by_variable)
    found = _find()
    assert (found.origin, found.argv) == ("SAFE_LLM_LLAMA_SERVER", (by_variable,))
    explicit = script(nowhere / "explicit", HELP)
    found = _find(explicit)
    assert (found.origin, found.argv) == ("server_binary", (explicit,))


def test_a_bare_name_is_looked_up_in_path(nowhere: Path) -> None:
    script(nowhere / "my-server", HELP)
    assert _find("my-server").argv == ("my-server",)


def test_a_home_directory_is_expanded(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(nowhere))
    path = script(nowhere / "server", HELP)
    assert _find("~/server").argv == (path,)


def test_where_there_is_none_the_line_that_helps_is_said(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtra) as caught:
        _find()
    assert "pip install 'safe-llm[llama-server]'" in caught.value.hint
    assert "SAFE_LLM_LLAMA_SERVER" in caught.value.hint


def test_its_help_is_asked_for_once_until_the_file_changes(nowhere: Path) -> None:
    asked = nowhere / "asked"
    path = script(nowhere / "server", f"echo x >> {asked}", HELP)
    _find(path)
    _find(path)
    assert asked.read_text() == "x\n"
    script(nowhere / "server", f"echo x >> {asked}", HELP, "true an upgrade")
    _find(path)
    assert asked.read_text() == "x\nx\n"


def test_its_help_tells_whether_it_knows_sockets(nowhere: Path) -> None:
    assert _find(script(nowhere / "one", HELP)).knows_sockets
    assert not _find(script(nowhere / "other", HELP.replace(".sock", ""))).knows_sockets


def test_a_program_that_is_something_else_is_named_and_refused(nowhere: Path) -> None:
    with pytest.raises(NotALlamaServer) as caught:
        _find("cat")
    assert "does not list --model, --host, --port; exited with status 0" in str(caught.value)
    assert caught.value.hint.endswith("it was found by server_binary")


def test_a_crash_at_its_start_is_told_with_its_last_words(nowhere: Path) -> None:
    path = script(nowhere / "broken", "echo 'libllama.so: cannot open' >&2", "exit 127")
    with pytest.raises(NotALlamaServer) as caught:
        _find(path)
    assert caught.value.exit_status == "exited with status 127"
    assert "libllama.so: cannot open" in str(caught.value)


def test_a_program_that_prints_without_end_is_refused_and_kept_small(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_HELP_TIMEOUT", 0.5)
    path = script(nowhere / "endless", "exec yes")
    with pytest.raises(NotALlamaServer, match="it still ran"):
        _find(path)


def test_a_program_that_prints_too_much_is_refused(nowhere: Path) -> None:
    path = script(nowhere / "novel", "head -c 3000000 /dev/zero")
    with pytest.raises(NotALlamaServer, match="carried 3000000 bytes, allowed are 1048576"):
        _find(path)


def test_a_program_that_keeps_silent_is_given_up(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_HELP_TIMEOUT", 0.5)
    quiet = script(
        nowhere / "quiet", f"exec {' '.join(python_child('sleeper', python=sys.executable))}"
    )
    with pytest.raises(NotALlamaServer, match="it still ran"):
        _find(quiet)


@pytest.mark.parametrize("name", ["missing", "not_executable", "bad_shebang", "a_directory"])
def test_what_cannot_be_started_says_why(name: str, nowhere: Path) -> None:
    program = make_unstartable(nowhere)[name]
    with pytest.raises(SpawnFailed):
        _find(str(program))
