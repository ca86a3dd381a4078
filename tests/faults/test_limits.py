"""Limits of the machine: no descriptors, small pipes, no processes, no memory."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import safe_llm
from tests.faults.host import Host

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.conftest import Figure


pytestmark = pytest.mark.usefixtures("oracle")


@pytest.mark.row(17)
@pytest.mark.parametrize("free", [0, 1, 3, 5, 7])
def test_without_descriptors_a_spawn_fails_with_the_reason_and_leaks_nothing(free: int) -> None:
    with Host("without_descriptors", free, 64) as host:
        kind, number, said = host.next()
        assert (kind, number) == ("failed", errno.EMFILE)
        assert "hint: raise the limit of open files" in said
        if free:
            assert host.next() == ["leaked", 0]
        assert host.next() == ["afterwards", "again\n"]
        assert host.next() == ["errors", []]


@pytest.mark.row(17)
def test_a_soft_limit_of_descriptors_is_raised_when_it_is_reached() -> None:
    with Host("without_descriptors", 0, 200) as host:
        assert host.next() == ["spawned", "hello\n"]


@pytest.mark.row(18)
def test_no_memory_for_another_process_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> int:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - a count
    with monkeypatch.context() as patched:  # no limit makes a vfork fail for want of memory
        patched.setattr(subprocess, "_fork_exec", refuse)
        with pytest.raises(safe_llm.SpawnFailed, match="ENOMEM") as caught:
            safe_llm.spawn(["true"])
    assert caught.value.errno == errno.ENOMEM
    assert "no memory for another process" in caught.value.hint
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208 - a count


@pytest.mark.row(19)
def test_with_pipes_of_8_kib_the_200_kb_before_the_answer_do_not_delay_it() -> None:
    with Host("small_pipes") as host:
        assert host.next() == 8192
        assert host.next() == ["answer to hello", 200_000]
        assert host.wait() == 0


def _public_python() -> str | None:
    """Return an interpreter that any user can run: ours may lie in root's home."""
    if os.getuid() != 0:
        return sys.executable
    return shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin")


@pytest.mark.row(29)
def test_a_fork_bomb_under_a_limit_of_processes_is_contained_and_killed(
    figure: Figure, tmp_path: Path
) -> None:
    python = _public_python()
    if python is None:
        pytest.skip("no interpreter that an unprivileged user can run")
    with Host("fork_bomb", python) as host:
        assert host.next() == "ready"
        assert 1 < host.next() <= 60
        with figure("fork bomb of 60 processes killed"):
            assert host.next() == []
        assert host.wait() == 0
