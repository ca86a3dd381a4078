"""A whole measurement: each subject drained, and then unread where that is asked for."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from safe_llm.errors import SafeLlmError
from safe_llm.measure.drained import measure_drained
from safe_llm.measure.figures import Row, Table
from safe_llm.measure.pipe import nominal_bytes
from safe_llm.measure.proof import prove
from safe_llm.measure.subject import NoAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safe_llm.measure.figures import Drained
    from safe_llm.measure.standstill import Look
    from safe_llm.measure.subject import Subject

# A llama-server answers for as long again as its queue of 512 lines takes to fill: 152 requests
# where the pipe is full after 82, and 20 where it is after 7.
_TIMES_FULL, _AND_MORE = 3, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How it is measured: ``seconds`` bound each run."""

    requests: int
    seconds: float
    prove: bool


class Audience(Protocol):
    """Who is told how far it is."""

    def begins(self, subject: Subject) -> None:
        """A subject is about to be measured."""

    def answered(self, done: int, total: int) -> None:
        """The drained run has come this far."""

    def looked(self, look: Look) -> None:
        """The unread run has been looked at."""

    def ends(self, row: Row) -> None:
        """A subject has been measured."""


def measure(subjects: Sequence[Subject], plan: Plan, audience: Audience) -> Table:
    """Measure all subjects, one after the other; what fails is a row that says so."""
    return Table(
        # What follows the version is a distributor's, or the name of a machine.
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        pipe_bytes=nominal_bytes(),
        requests=plan.requests,
        rows=tuple(_measure_one(one, plan, audience) for one in subjects),
    )


def _measure_one(subject: Subject, plan: Plan, audience: Audience) -> Row:
    audience.begins(subject)
    try:
        drained = measure_drained(
            subject,
            requests=plan.requests,
            seconds=plan.seconds,
            show=lambda done: audience.answered(done, plan.requests),
        )
        proof = None
        if plan.prove:
            enough = _enough(drained, plan)
            proof = prove(subject, enough=enough, seconds=plan.seconds, show=audience.looked)
        row = Row.of(subject, drained=drained, proof=proof)
    except NoAnswer as error:
        row = Row.of(subject, failure=str(error))
    except SafeLlmError as error:
        row = Row.of(subject, failure=error.what_happened())
    audience.ends(row)
    return row


def _enough(drained: Drained, plan: Plan) -> int:
    """Return after how many answers it will not freeze any more."""
    full = drained.first_to_fill
    if full is None or full.requests_until_full is None:
        return plan.requests
    return _TIMES_FULL * full.requests_until_full + _AND_MORE
