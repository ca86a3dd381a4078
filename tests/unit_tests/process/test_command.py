"""A command is refused before anything is started, with a reason; its environment is chosen."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from safe_llm.errors import MisuseError, SpawnFailed
from safe_llm.process.command import Command
from tests.children.unstartable import make_unstartable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("argv", ["ls -l", b"ls", [], (), ["a\0b"], [1], ["ls", None]])
def test_what_is_no_list_of_strings_is_refused(argv: object) -> None:
    with pytest.raises(MisuseError):
        Command(argv)  # type: ignore[arg-type]  # the mistake under test


def test_a_path_is_an_argument_too(tmp_path: Path) -> None:
    assert Command(["ls", tmp_path]).argv == ("ls", str(tmp_path))  # type: ignore[list-item]  # as subprocess takes it


@pytest.mark.parametrize(
    ("kind", "number", "said"),
    [
        ("missing", errno.ENOENT, "there is no such file"),
        ("a_directory", errno.EISDIR, "it is a directory"),
        ("not_executable", errno.EACCES, "its file is not executable"),
        ("bad_shebang", errno.ENOENT, "the interpreter '/no/such/interpreter'"),
        ("empty_shebang", errno.ENOENT, "the interpreter ''"),
        ("not_a_program", errno.ENOEXEC, "neither an ELF program nor a script"),
        ("empty", errno.ENOEXEC, "neither an ELF program nor a script"),
    ],
)
def test_a_program_that_cannot_start_is_refused_with_the_reason(
    tmp_path: Path, kind: str, number: int, said: str
) -> None:
    program = make_unstartable(tmp_path)[kind]
    with pytest.raises(SpawnFailed, match=said) as caught:
        Command([str(program)]).resolve({})
    assert caught.value.errno == number
    assert caught.value.program == str(program)


def test_a_name_is_looked_up_in_the_childs_path_and_not_in_ours(tmp_path: Path) -> None:
    with pytest.raises(SpawnFailed, match="no program of this name in PATH"):
        Command(["sh"]).resolve({"PATH": str(tmp_path)})
    program = tmp_path / "sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert Command(["sh"]).resolve({"PATH": str(tmp_path)}) == str(program)


def test_a_relative_path_is_meant_from_the_childs_directory(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert Command(["./program"], cwd=tmp_path).resolve({}) == str(program)


def test_a_directory_that_is_gone_is_the_reason_given(tmp_path: Path) -> None:
    with pytest.raises(SpawnFailed, match=r"its working directory .*gone"):
        Command(["true"], cwd=tmp_path / "gone").resolve(dict(os.environ))


def test_a_child_inherits_where_things_are_and_no_secret() -> None:
    ours = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "CUDA_VISIBLE_DEVICES": "1",
        "OPENAI_API_KEY": "secret",
        "AWS_SESSION_TOKEN": "secret",
        "PYTHONPATH": "/ours",
    }
    theirs = Command(["true"], unbuffered=None).environment(ours)
    assert theirs == {"PATH": "/bin", "LC_ALL": "C", "CUDA_VISIBLE_DEVICES": "1"}


def test_what_is_given_is_added_and_wins() -> None:
    command = Command(["true"], env={"KEY": "1", "PATH": "/x"}, inherit_env=["PATH", "HF_*"])
    ours = {"PATH": "/bin", "HOME": "/root", "HF_TOKEN": "t"}
    assert command.environment(ours) == {
        "PATH": "/x",
        "KEY": "1",
        "HF_TOKEN": "t",
        "PYTHONUNBUFFERED": "1",
    }


def test_python_children_are_asked_to_flush_unless_told_otherwise() -> None:
    assert Command(["x"]).environment({})["PYTHONUNBUFFERED"] == "1"
    assert "PYTHONUNBUFFERED" not in Command(["x"], unbuffered=None).environment({})
    own = Command(["x"], env={"PYTHONUNBUFFERED": ""})
    assert own.environment({})["PYTHONUNBUFFERED"] == ""
