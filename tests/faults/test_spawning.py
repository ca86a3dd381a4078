"""Spawning: what cannot be started says why, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

import safe_llm
from tests.children.unstartable import make_unstartable

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("oracle")


@pytest.mark.row(18)
@pytest.mark.parametrize(
    ("kind", "number", "said"),
    [
        ("missing", errno.ENOENT, "there is no such file"),
        ("a_directory", errno.EISDIR, "it is a directory"),
        ("not_executable", errno.EACCES, "its file is not executable"),
        ("bad_shebang", errno.ENOENT, "asks for the interpreter '/no/such/interpreter'"),
        ("not_a_program", errno.ENOEXEC, "neither an ELF program nor a script"),
        ("empty", errno.ENOEXEC, "neither an ELF program nor a script"),
    ],
)
def test_a_program_that_cannot_start_is_an_error_that_says_why(
    tmp_path: Path, kind: str, number: int, said: str
) -> None:
    with pytest.raises(safe_llm.SpawnFailed, match=said) as caught:
        safe_llm.spawn([str(make_unstartable(tmp_path)[kind])])
    assert caught.value.errno == number


@pytest.mark.row(18)
def test_a_name_that_is_not_in_path_is_an_error_that_says_so() -> None:
    with pytest.raises(safe_llm.SpawnFailed, match="no program of this name in PATH"):
        safe_llm.spawn(["no-such-program-anywhere"])


@pytest.mark.row(18)
def test_a_working_directory_that_is_gone_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(safe_llm.SpawnFailed, match=r"working directory .* is not there"):
        safe_llm.spawn(["true"], cwd=tmp_path / "gone")


@pytest.mark.row(18)
def test_our_own_working_directory_being_gone_is_no_obstacle(tmp_path: Path) -> None:
    here = os.open(".", os.O_RDONLY)
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    try:
        with safe_llm.spawn(["pwd", "-P"], cwd="/") as child:
            assert child.communicate(timeout=10)[0] == b"/\n"
        with safe_llm.spawn(["true"]) as child:
            assert child.wait(10).code == 0
    finally:
        os.fchdir(here)
        os.close(here)
