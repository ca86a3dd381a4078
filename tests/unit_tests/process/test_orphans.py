from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from safe_llm.errors import MisuseError
from safe_llm.process import orphans
from safe_llm.worker.records import Ledger
from tests.unit_tests.worker.litter import BOUND, Litter, echoes, hiding

if TYPE_CHECKING:
    from pathlib import Path

Child = subprocess.Popen[bytes]


def end_of(child: Child) -> tuple[int, int]:
    """Kill and reap the child alone, as a crash would; return its session and start time."""
    start = orphans.start_ticks(child.pid)
    assert start is not None
    child.kill()
    child.wait(BOUND)
    return child.pid, start


@pytest.mark.parametrize(
    "steps",
    [
        ("fork", "setsid", "orphan"),
        ("fork", "wipe"),
        ("fork", "orphan", "wipe"),
        ("fork", "setsid", "fork", "setsid"),
        ("fork", "setsid", "fork", "setsid", "wipe"),
    ],
    ids=(
        "a daemon in its own session",
        "cookie wiped, still in the session",
        "cookie wiped, orphaned, still in the session",
        "a session in a session",
        "cookie wiped, own session, but its father lives",
    ),
)
def test_what_a_dead_child_left_behind_is_killed_wherever_it_hides(steps: tuple[str, ...]) -> None:
    with Litter() as litter:
        child, pids = litter.child("a", *steps)
        victims = orphans.sweep(litter.cookie, {"a": end_of(child)})
        assert litter.wait_dead(pids) == set()
        assert {victim.pid for victim in victims} == pids - {child.pid}
        assert {victim.cookie for victim in victims} == {"a"}


def test_one_sweep_serves_many_children_and_leaves_the_living_alone() -> None:
    with Litter() as litter:
        dead = {value: litter.child(value, "fork", "setsid", "orphan") for value in "abc"}
        _, living = litter.child("d", "fork", "setsid", "orphan")
        victims = orphans.sweep(
            litter.cookie, {value: end_of(child) for value, (child, _) in dead.items()}
        )
        assert {(v.cookie, v.pid) for v in victims} == {
            (value, pid) for value, (child, pids) in dead.items() for pid in pids - {child.pid}
        }
        assert all(litter.is_alive(pid) for pid in living)


def test_the_children_of_another_hub_are_strangers_even_with_the_same_id() -> None:
    with Litter() as ours, Litter() as theirs:
        child, _ = ours.child("a")
        _, strangers = theirs.child("a", "fork", "setsid", "orphan")
        assert orphans.sweep(ours.cookie, {"a": end_of(child)}) == []
        assert all(theirs.is_alive(pid) for pid in strangers)


def test_hubs_inside_hubs_add_up_so_that_the_outer_one_finds_what_the_inner_one_started() -> None:
    with Litter() as outer, Litter() as inner:
        both = {outer.cookie: "a", inner.cookie: "b"}
        nested = outer.start(hiding("fork", "setsid", "orphan"), both)
        pids = outer.pids_from(nested, 2)
        victims = orphans.sweep(outer.cookie, {"a": end_of(nested)})
        assert outer.wait_dead(pids) == set()
        assert {victim.cookie for victim in victims} == {"a"}


def test_a_protected_process_is_spared() -> None:
    with Litter() as litter:
        child, pids = litter.child("a", "fork", "setsid", "orphan")
        left = pids - {child.pid}
        assert orphans.sweep(litter.cookie, {"a": end_of(child)}, protect=frozenset(left)) == []
        assert all(litter.is_alive(pid) for pid in left)


def test_what_is_told_to_the_watchdog_is_what_it_understands() -> None:
    ledger = Ledger()
    ledger.feed(orphans.record_line(1, 2, 3, "a") + orphans.record_line(4, 5, 6, "b"))
    ledger.feed(orphans.forget_line("a") + orphans.BYE)
    assert ledger.records == {orphans.Record(4, 5, 6, "b")}
    assert ledger.said_bye


def test_the_launcher_has_the_kernel_kill_the_child_when_its_parent_is_killed() -> None:
    prefix = orphans.launcher_prefix()
    if not prefix:
        pytest.skip("no setpriv that knows --pdeathsig")
    starter = (
        "import subprocess, sys, time\n"
        "subprocess.Popen(sys.argv[1:], start_new_session=True)\n"
        "time.sleep(60)\n"
    )
    with Litter() as litter:
        argv = [sys.executable, "-I", "-S", "-c", starter, *prefix, *hiding()]
        parent = litter.start(argv)
        pids = litter.pids_from(parent, 1)
        parent.send_signal(signal.SIGKILL)
        assert litter.wait_dead(pids) == set()


@pytest.mark.parametrize(
    "script",
    ["exit 1", "echo usage: setpriv", "echo unrecognised option >&2; exit 1"],
)
def test_a_setpriv_that_does_not_know_how_is_not_used(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setpriv = tmp_path / "setpriv"
    setpriv.write_text(f"#!/bin/sh\n{script}\n")
    setpriv.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    orphans._probed_prefix.cache_clear()
    try:
        assert orphans.launcher_prefix() == ()
        setpriv.unlink()
        orphans._probed_prefix.cache_clear()
        assert orphans.launcher_prefix() == ()
        assert orphans.protection().mechanisms == ("watchdog",)
    finally:
        orphans._probed_prefix.cache_clear()


def test_a_setpriv_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setpriv = tmp_path / "setpriv"
    setpriv.write_text("#!/bin/sh\nexec sleep 60\n")
    setpriv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(orphans, "_PROBE_TIMEOUT", 0.05)
    orphans._probed_prefix.cache_clear()
    try:
        assert orphans.launcher_prefix() == ()
    finally:
        orphans._probed_prefix.cache_clear()


def test_a_shortage_of_descriptors_is_no_answer_and_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_many(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    orphans._probed_prefix.cache_clear()
    usual = orphans.launcher_prefix()
    orphans._probed_prefix.cache_clear()
    with monkeypatch.context() as shortage:
        shortage.setattr(subprocess, "Popen", too_many)
        assert orphans.launcher_prefix() == ()
    assert orphans.launcher_prefix() == usual


def test_an_embedding_program_is_not_taken_for_an_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")
    python = tmp_path / "python3"
    python.symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert orphans.watchdog_argv(1, "NAME")[0] == str(python)
    python.unlink()
    assert orphans.OrphanProtection(watchdog=False, pdeathsig=False).mechanisms == ("none",)
    assert not orphans.protection().watchdog
    with pytest.raises(MisuseError, match="no Python interpreter"):
        orphans.watchdog_argv(1, "NAME")


@pytest.mark.parametrize(
    ("watchdog", "pdeathsig", "words"),
    [
        (True, True, ("watchdog", "containers", "kernel kills each direct child")),
        (True, False, ("watchdog",)),
        (False, True, ("kernel kills each direct child",)),
        (False, False, ("nothing ends the children",)),
    ],
)
def test_the_protection_in_use_is_said(
    watchdog: bool, pdeathsig: bool, words: tuple[str, ...]
) -> None:
    text = orphans.OrphanProtection(watchdog=watchdog, pdeathsig=pdeathsig).describe()
    assert all(word in text for word in words)


def test_where_there_is_no_proc_nobody_is_found_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Litter() as litter:
        child = litter.start(["cat"], {litter.cookie: "a", "PATH": "/usr/bin:/bin"})
        start = orphans.start_ticks(child.pid)
        assert start is not None
        monkeypatch.setattr(sys, "platform", "darwin")
        assert orphans.sweep(litter.cookie, {"a": (child.pid, start)}) == []
        protection = orphans.OrphanProtection(watchdog=True, pdeathsig=False)
        assert "out of reach, for want of /proc" in protection.describe()
        monkeypatch.undo()
        assert echoes(child)
