"""The control: real children whose log nobody reads. What they leave running is the product's."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from safe_llm.errors import SpawnFailed
from safe_llm.measure.drained import measure_drained
from safe_llm.measure.mcp_stdio import subject_of
from safe_llm.measure.proof import prove
from safe_llm.measure.subject import NoAnswer
from safe_llm.measure.unread import Unread
from tests.unit_tests.measure.servers import BOUND, shell, talkative

if TYPE_CHECKING:
    from pathlib import Path

    from safe_llm.measure.figures import Proof
    from safe_llm.measure.standstill import Look
    from safe_llm.measure.subject import Subject, Talk

ENOUGH = 100_000  # requests: more than any pipe has room for


def proven(subject: Subject, *, enough: int = ENOUGH, seconds: float = BOUND) -> Proof:
    return prove(subject, enough=enough, seconds=seconds, show=lambda look: None)


def ask(talk: Talk, number: int) -> None:
    talk.ask(number, time.monotonic() + BOUND)


def wait_for_eof(descriptor: int) -> None:
    """Return when nobody holds the other end of a pipe any more; the test's timeout bounds it."""
    while os.read(descriptor, 4096):
        pass


@pytest.mark.parametrize(("start", "each"), [(0, 700), (20_000, 512), (0, 9_000)])
def test_it_freezes_at_the_very_request_that_was_predicted(start: int, each: int) -> None:
    subject = talkative(start, each)
    drained = measure_drained(subject, requests=4, seconds=BOUND, show=lambda done: None)
    proof = proven(subject)
    assert drained.first_to_fill is not None
    assert (proof.frozen, proof.answered) == (True, drained.first_to_fill.requests_until_full)
    assert proof.unread_bytes == drained.first_to_fill.capacity_bytes
    assert proof.reason.endswith(
        "is blocked in a write to descriptor 2, a full pipe that nobody reads"
    )


def test_it_freezes_before_it_is_ready_where_its_start_overfills_the_pipe() -> None:
    proof = proven(talkative(200_000, 100))
    assert (proof.frozen, proof.ready_at, proof.answered) == (True, None, 0)


def test_what_never_fills_its_pipe_is_given_up_after_enough_answers() -> None:
    proof = proven(talkative(0, 0), enough=5)
    assert (proof.frozen, proof.reason) == (False, "")
    assert proof.answered >= 5


def test_what_never_answers_is_given_up_and_is_not_called_frozen() -> None:
    proof = proven(shell("exec sleep 600"), seconds=0.5)
    assert (proof.frozen, proof.answered) == (False, 0)


def test_what_ends_is_told_and_is_not_called_frozen() -> None:
    proof = proven(talkative(0, 100, last=5))
    assert (proof.frozen, proof.answered, proof.reason) == (False, 2, "its output ended")


def test_every_look_is_shown() -> None:
    shown: list[Look] = []
    proof = prove(talkative(0, 0), enough=3, seconds=BOUND, show=shown.append)
    assert 3 <= shown[-1].answered <= proof.answered
    assert proof.looks == tuple(dict.fromkeys((one.answered, one.unread_bytes) for one in shown))


@pytest.mark.parametrize("away", ["", "setsid"], ids=["in its group", "in a session of its own"])
def test_what_it_has_started_ends_with_it(away: str, tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    subject = shell(f"{away} sh -c 'echo here; exec sleep 600' > {held} & exec cat")
    with subject.begin() as start, Unread(start, subject.logs, ask) as unread:
        reader = os.open(held, os.O_RDONLY)  # waits for whoever writes
        assert os.read(reader, 100) == b"here\n"
    assert unread.process.returncode is not None
    wait_for_eof(reader)
    os.close(reader)


def test_an_end_is_seen_although_a_descendant_holds_its_pipe() -> None:
    proof = proven(shell("read hello; sleep 600 & exit 0"))
    assert (proof.frozen, proof.answered, proof.reason) == (False, 0, "its output ended")


def test_one_that_ended_is_left_in_peace_although_there_was_more_to_send() -> None:
    subject = talkative(0, 0, last=3)
    with subject.begin() as start, Unread(start, subject.logs, ask) as unread:
        unread.wait_failed(BOUND)
        unread.process.wait(BOUND)
        with pytest.raises(NoAnswer, match="it reads its stdin no more"):
            ask(unread.talk, 9)


def test_a_program_that_cannot_be_started_leaves_no_pipe_open(tmp_path: Path) -> None:
    subject = subject_of([str(tmp_path / "none")])
    with subject.begin() as start, pytest.raises(SpawnFailed), Unread(start, subject.logs, ask):
        pass


def no_answer(*_: Any) -> None:
    raise NoAnswer("it refused")


def test_why_it_is_asked_no_more_is_told() -> None:
    subject = talkative(0, 0)
    with subject.begin() as start, Unread(start, subject.logs, no_answer) as unread:
        unread.wait_failed(BOUND)
        assert (unread.failure, unread.answered) == ("it refused", 0)
