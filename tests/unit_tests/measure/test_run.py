from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from safe_llm.measure.mcp_stdio import subject_of
from safe_llm.measure.run import Plan, _enough, measure
from tests.unit_tests.measure.samples import LOADING, QUEUEING, QUIET
from tests.unit_tests.measure.servers import BOUND, talkative

if TYPE_CHECKING:
    from safe_llm.measure.figures import Row
    from safe_llm.measure.standstill import Look
    from safe_llm.measure.subject import Subject

PLAN = Plan(requests=3, seconds=BOUND, prove=False)


class Listener:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def begins(self, subject: Subject) -> None:
        self.heard.append(f"begins {subject.name}")

    def answered(self, done: int, total: int) -> None:
        self.heard.append(f"{done}/{total}")

    def looked(self, look: Look) -> None:
        if self.heard[-1] != "looked":
            self.heard.append("looked")

    def ends(self, row: Row) -> None:
        self.heard.append(f"ends {row.failure}".strip())


def test_what_cannot_be_measured_is_a_row_that_says_why_and_the_others_are_measured() -> None:
    subjects = [subject_of(["no-such-program"]), talkative(0, 0, last=3), talkative(0, 100)]
    missing, ended, whole = measure(subjects, PLAN, Listener()).rows
    assert missing.failure.startswith("cannot start 'no-such-program': no program of this name")
    assert ended.failure.startswith("its output ended; exited with status 3")
    assert (missing.drained, ended.drained) == (None, None)
    assert whole.failure == ""
    assert whole.drained is not None


def test_without_being_asked_for_nothing_is_frozen() -> None:
    (row,) = measure([talkative(0, 100)], PLAN, Listener()).rows
    assert row.proof is None


def test_whoever_listens_hears_of_each_step() -> None:
    listener = Listener()
    subject = talkative(0, 0)
    measure([subject], replace(PLAN, prove=True), listener)
    assert listener.heard == [f"begins {subject.name}", "1/3", "2/3", "3/3", "looked", "ends"]


@pytest.mark.parametrize(
    ("row", "enough"),
    [(QUEUEING, 3 * 13 + 60), (LOADING, 60), (QUIET, 3)],
    ids=["it has a queue", "it freezes while loading", "it never fills its pipe"],
)
def test_it_is_given_up_when_it_has_answered_far_more_than_it_should_have(
    row: Row, enough: int
) -> None:
    assert row.drained is not None
    assert _enough(row.drained, PLAN) == enough
