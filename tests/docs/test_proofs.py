"""The page about the usual remedy shows the very programs that are run here, and what they print.

Numbers are masked in the comparison: sizes depend on how a machine cuts its reads.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.controls.sweep import new_cookie, sweep

ROOT = Path(__file__).parents[2]
PROOFS = ROOT / "docs" / "proofs"
PAGE = ROOT / "docs" / "explanation" / "why-the-usual-remedy-deadlocks-again.md"
BOUND = 60  # seconds: each proof bounds itself to 15, on top of starting an interpreter
NO_PROOF = {"witness"}
# Mended in asyncio by cpython #151983: where it is, the proof says so with exit status 1.
MENDED_IN_SOME_VERSIONS = {"wait_after_kill"}

SHOWN = re.compile(
    r"^\[`(?P<name>\w+)\.py`\]\(\.\./proofs/(?P=name)\.py\):\n\n"
    r"```python\n(?P<code>.*?)```\n\n```text\n(?P<output>.*?)```$",
    re.MULTILINE | re.DOTALL,
)


class Proof(NamedTuple):
    """A program as the page shows it."""

    name: str
    code: str
    output: str


SHOWN_PROOFS = [Proof(*match.groups()) for match in SHOWN.finditer(PAGE.read_text("utf-8"))]


def masked(text: str) -> str:
    return re.sub(r"\d[\d,.]*", "#", text)


def run(name: str) -> subprocess.CompletedProcess[str]:
    cookie = new_cookie()
    process = subprocess.Popen(
        [sys.executable, "-B", str(PROOFS / f"{name}.py")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **cookie, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    try:
        out, err = process.communicate(timeout=BOUND)
    finally:
        sweep(cookie)
        process.communicate(timeout=10)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_the_page_shows_every_proof_and_no_other() -> None:
    programs = {file.stem for file in PROOFS.glob("*.py")} - NO_PROOF
    assert [proof.name for proof in SHOWN_PROOFS] == list(
        dict.fromkeys(proof.name for proof in SHOWN_PROOFS)
    )
    assert {proof.name for proof in SHOWN_PROOFS} == programs


@pytest.mark.parametrize("proof", SHOWN_PROOFS, ids=lambda proof: proof.name)
def test_the_page_shows_the_program_as_it_is(proof: Proof) -> None:
    assert proof.code == (PROOFS / f"{proof.name}.py").read_text("utf-8")


@pytest.mark.timeout(BOUND + 20)  # see BOUND: an idle machine takes 1 to 4 seconds
@pytest.mark.parametrize("proof", SHOWN_PROOFS, ids=lambda proof: proof.name)
def test_each_proof_prints_what_the_page_says(proof: Proof) -> None:
    seen = run(proof.name)
    if seen.returncode == 1 and proof.name in MENDED_IN_SOME_VERSIONS:
        assert seen.stdout.startswith("no deadlock: this version of asyncio has learnt it")
        assert sys.version_info > (3, 13, 0)
        return
    assert (seen.returncode, masked(seen.stdout)) == (0, masked(proof.output)), seen.stderr
