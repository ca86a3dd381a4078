from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from safe_llm import __version__
from safe_llm.cli import EXIT_CODES, FAILED, INTERRUPTED, MISUSED, NOT_INSTALLED, main
from safe_llm.cli import demo as demo_module
from safe_llm.errors import CallTimeout, MissingExtra
from tests.unit_tests.test_import_cost import EXPENSIVE, modules_after

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]


def failing(error: BaseException) -> Callable[..., None]:
    def run(**_: object) -> None:
        raise error

    return run


def test_the_version_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"safe-llm {__version__}\n")


def test_the_module_can_be_run_like_the_command() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "safe_llm", "--version"],
        check=False,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=15,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, f"safe-llm {__version__}\n", "")


@pytest.mark.parametrize("argv", [["--help"], ["demo", "--help"], ["measure", "--help"]])
def test_every_help_documents_the_exit_codes(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 0
    assert EXIT_CODES in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        ([], "COMMAND"),
        (["dance"], "'dance'"),
        (["demo", "--requests", "0"], "'0' is not a whole number from 1"),
        (["demo", "--requests", "many"], "'many' is not a whole number from 1"),
        (["demo", "--req", "3"], "--req"),
        (["measure", "lama-server"], "unknown engine 'lama-server', did you mean 'llama-server'?"),
        (["measure", "xyz"], "'xyz'; there are: llama-server, llama-cpp-python, mcp"),
        (["measure", "--verbosity", "loud"], "invalid choice: 'loud'"),
        (["measure", "--requests", "0"], "'0' is not a whole number from 1"),
        (["measure", "--seconds", "1.5"], "'1.5' is not a whole number from 1"),
        (["measure", "--mcp", ""], "a command line is wanted, not an empty text"),
        (["measure", "--mcp", "a 'b"], "No closing quotation"),
        (["measure", "--plot", "picture.jpg"], "'picture.jpg' does not end in .png"),
        (["measure", "--json", "--csv"], "not allowed with argument --json"),
    ],
)
def test_a_command_line_that_cannot_be_understood_is_told_apart(
    argv: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (MISUSED, "")
    assert complaint in said.err


def test_help_loads_nothing_expensive() -> None:
    assert modules_after("from safe_llm.cli import _parser; _parser()") & EXPENSIVE == set()


def test_a_model_that_is_not_there_fails_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--model", str(tmp_path / "none.gguf")]) == FAILED
    said = capsys.readouterr()
    assert (said.out, "there is no such file" in said.err) == ("", True)


INTERRUPTED_IN_AN_EXEC = """
import sys
from safe_llm import cli
from safe_llm.cli import demo
demo.run = lambda **_: exec("import signal; signal.raise_signal(signal.SIGINT)")
sys.exit(cli.main(["demo"]))
"""


def test_an_interrupt_inside_of_an_exec_ends_with_130_too_and_not_by_the_signal(
    tmp_path: Path,
) -> None:
    (tmp_path / "interrupted.py").write_text(INTERRUPTED_IN_AN_EXEC)
    run = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=15,
    )
    assert (run.returncode, run.stdout) == (INTERRUPTED, "")
    assert run.stderr == "\ninterrupted; nothing is left running\n"


def test_a_timeout_of_a_call_is_told_as_one_and_is_no_failure_of_the_output(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    timeout = CallTimeout(engine="e", layer="L1 call", limit=1.0, elapsed=2.0)
    monkeypatch.setattr(demo_module, "run", failing(timeout))
    assert main(["demo"]) == FAILED
    said = capfd.readouterr().err
    assert said.startswith("error: e: call ended by L1 call")
    assert "output" not in said


def test_a_fault_of_our_own_is_not_called_one_of_the_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo_module, "run", failing(PermissionError(errno.EACCES, "shut")))
    with pytest.raises(PermissionError):
        main(["demo"])


def test_something_that_is_not_installed_has_an_exit_code_and_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        demo_module, "run", failing(MissingExtra(what="a llama-server", extra="llama-server"))
    )
    assert main(["demo"]) == NOT_INSTALLED
    assert capsys.readouterr().err == (
        "error: a llama-server is not installed\nhint: pip install 'safe-llm[llama-server]'\n"
    )
