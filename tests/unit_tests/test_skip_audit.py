from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skip_audit import PermittedSkip, is_strict, parse_permitted

ROOT = Path(__file__).parents[2]

CONFTEST = """
import os
from tests.skip_audit import SkipAudit, is_strict, parse_permitted

def pytest_configure(config):
    permitted = parse_permitted("test_it.py::test_permitted[*] | it cannot be done here")
    config.pluginmanager.register(SkipAudit(permitted, strict=is_strict(os.environ)))
"""

PERMITTED_ONLY = """
import pytest

@pytest.mark.parametrize("x", [1])
def test_permitted(x):
    pytest.skip("no such thing here")

@pytest.mark.xfail(strict=True)
def test_expected_to_fail():
    assert False
"""

UNEXPECTED = (
    PERMITTED_ONLY
    + """
def test_forgotten():
    pytest.skip("for no good reason")
"""
)


def run_pytest(folder: Path, source: str, **environ: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(source)
    switches = {"CI", "SAFE_LLM_STRICT_SKIPS"}
    clean = {key: value for key, value in os.environ.items() if key not in switches}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "test_it.py"],
        check=False,
        cwd=folder,
        env=clean | {"PYTHONPATH": str(ROOT)} | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=15,
    )


def test_under_ci_an_unexpected_skip_fails_the_run_and_is_named(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, UNEXPECTED, CI="true")
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    assert "UNEXPECTED SKIP test_it.py::test_forgotten: Skipped: for no good reason" in run.stdout
    assert "UNEXPECTED SKIP test_it.py::test_permitted" not in run.stdout


def test_under_ci_permitted_skips_and_expected_failures_pass(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, PERMITTED_ONLY, CI="true")
    assert run.returncode == pytest.ExitCode.OK, run.stdout + run.stderr


def test_elsewhere_an_unexpected_skip_passes(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, UNEXPECTED)
    assert run.returncode == pytest.ExitCode.OK, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("environ", "strict"),
    [
        ({}, False),
        ({"CI": ""}, False),
        ({"CI": "true"}, True),
        ({"SAFE_LLM_STRICT_SKIPS": "1"}, True),
    ],
)
def test_only_ci_and_the_switch_are_strict(environ: dict[str, str], strict: bool) -> None:
    assert is_strict(environ) is strict


def test_brackets_of_a_parametrised_test_are_taken_literally() -> None:
    permitted = PermittedSkip("tests/test_x.py::test_y[a-*]", "why")
    assert permitted.covers("tests/test_x.py::test_y[a-1]")
    assert not permitted.covers("tests/test_x.py::test_ya")


def test_a_permitted_skip_without_a_reason_is_refused() -> None:
    with pytest.raises(ValueError, match=r"needs a reason: 'tests/test_x\.py::test_y'"):
        parse_permitted("# a comment\n\ntests/test_x.py::test_y\n")
