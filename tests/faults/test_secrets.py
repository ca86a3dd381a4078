"""Secrets: a child gets what it was given, and nobody else can read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import safe_llm
from tests.children import python_child

pytestmark = pytest.mark.usefixtures("oracle")

SECRET = "sk-very-secret-4711"


@pytest.mark.row(44)
def test_a_secret_reaches_the_child_by_its_environment_and_nobody_by_its_argv() -> None:
    with safe_llm.spawn(python_child("prints_environment"), env={"API_KEY": SECRET}) as child:
        seen = json.loads(next(child.stdout.lines(timeout=10)))
        assert seen["environ"]["API_KEY"] == SECRET
        assert SECRET not in str(seen["argv"])
        assert SECRET.encode() not in Path(f"/proc/{child.pid}/cmdline").read_bytes()
        assert SECRET not in repr(child)
        assert SECRET not in str(child.statistics())


@pytest.mark.row(44)
def test_our_own_secrets_are_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL"):
        monkeypatch.setenv(name, SECRET)
    with safe_llm.spawn(python_child("prints_environment")) as child:
        seen = json.loads(next(child.stdout.lines(timeout=10)))
        assert SECRET not in str(seen["environ"])
        assert "PATH" in seen["environ"]


@pytest.mark.row(44)
def test_the_watchdog_and_the_launcher_see_no_secret_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with safe_llm.spawn(["cat"], env={"API_KEY": SECRET}) as child:
        watchdog = child._hub._watchdog.child
        assert watchdog is not None
        for file in ("environ", "cmdline"):
            assert SECRET.encode() not in Path(f"/proc/{watchdog.pid}/{file}").read_bytes()


@pytest.mark.row(44)
def test_a_failed_spawn_does_not_tell_the_environment() -> None:
    with pytest.raises(safe_llm.SpawnFailed) as caught:
        safe_llm.spawn(["/no/such/program"], env={"API_KEY": SECRET})
    assert SECRET not in str(caught.value) + repr(caught.value)
