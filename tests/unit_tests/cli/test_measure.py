"""The shell around a measurement: what goes where, and with which exit code."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from safe_llm.cli import DONE, FAILED, NOT_INSTALLED, main
from safe_llm.cli import measure as module
from safe_llm.errors import MissingExtra
from safe_llm.measure import render
from safe_llm.measure.catalogue import Found
from tests.unit_tests.measure.samples import FAILED as FAILED_ROW
from tests.unit_tests.measure.samples import LOADING, QUEUEING, QUIET, table

if TYPE_CHECKING:
    from pathlib import Path

    from safe_llm.measure.catalogue import Wanted
    from safe_llm.measure.run import Plan


class Asked:
    """Stands for the measuring: remembers what was wanted, and has its rows measured at once."""

    def __init__(self) -> None:
        self.rows = [QUEUEING, LOADING, QUIET]
        self.absent: dict[str, MissingExtra] = {}
        self.wanted: Wanted | None = None
        self.plan: Plan | None = None

    def find(self, wanted: Wanted) -> Found:
        self.wanted = wanted
        return Found(absent=self.absent)

    def measure(self, subjects: Any, plan: Plan, audience: Any) -> Any:
        self.plan = plan
        for row in self.rows:
            audience.begins(row)
            audience.answered(1, 2)
            audience.answered(2, 2)
            audience.ends(row)
        return table(*self.rows)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    one = Asked()
    monkeypatch.setattr(module, "find", one.find)
    monkeypatch.setattr(module, "measure", one.measure)
    return one


def test_the_table_goes_to_stdout_and_how_far_it_is_to_stderr(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure"]) == DONE
    said = capsys.readouterr()
    assert said.out.splitlines() == render.text(table(*asked.rows))
    assert said.err.splitlines()[:4] == [
        "1/0 llama-server 4 tiny (-lv 4)",
        "   drained  [####################....................]  50%  1/2 answered",
        "   drained  [########################################] 100%  2/2 answered",
        f"   {render.remark_on(QUEUEING)}",
    ]


@pytest.mark.parametrize(("flag", "form"), [("--json", render.as_json), ("--csv", render.as_csv)])
def test_the_same_comes_in_other_forms(
    flag: str, form: Any, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", flag]) == DONE
    assert capsys.readouterr().out.rstrip("\n") == form(table(*asked.rows)).rstrip("\n")


def test_what_could_not_be_measured_is_an_exit_code_of_1_and_the_table_is_printed_all_the_same(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    asked.rows.append(FAILED_ROW)
    assert main(["measure", "--json"]) == FAILED
    said = capsys.readouterr()
    assert len(json.loads(said.out)["rows"]) == 4
    assert FAILED_ROW.failure in said.err


def test_an_engine_that_is_absent_is_mentioned_with_what_installs_it(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    asked.absent["mcp"] = MissingExtra(what="the MCP SDK", extra="", hint="pip install mcp")
    assert main(["measure"]) == DONE
    assert capsys.readouterr().err.startswith("not here: mcp (pip install mcp)\n")


def test_the_words_of_the_command_line_arrive(asked: Asked) -> None:
    line = (
        "measure mcp llama-server mcp --mcp 'npx -y x' --model a --model b --verbosity INFO"
        " --requests 7 --seconds 9 --prove"
    )
    assert main(shlex.split(line)) == DONE
    assert asked.wanted is not None
    assert list(asked.wanted.engines) == ["mcp", "llama-server"]
    assert asked.wanted.commands == [["npx", "-y", "x"]]
    assert asked.wanted.models == ["a", "b"]
    assert asked.wanted.verbosities == ["info"]
    assert asked.plan is not None
    assert (asked.plan.requests, asked.plan.seconds, asked.plan.prove) == (7, 9, True)


def test_the_picture_is_written_after_the_table(
    asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cliff.PNG"
    assert main(["measure", "--plot", str(path)]) == DONE
    assert path.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().err.endswith(f"drawn: {path}\n")


def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_started(
    asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", "--plot", str(tmp_path / "none" / "cliff.png")]) == FAILED
    assert "there is no folder" in capsys.readouterr().err
    assert asked.wanted is None


def test_without_matplotlib_there_is_no_picture_and_an_exit_code_of_its_own(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["measure", "--plot", "cliff.png"]) == NOT_INSTALLED
    assert capsys.readouterr().err == (
        "error: matplotlib is not installed\nhint: pip install 'safe-llm[plot]'\n"
    )
    assert asked.wanted is None
