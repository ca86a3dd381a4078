"""Rows of a table as tests of what is made from them want them: one of each kind."""

from __future__ import annotations

from dataclasses import replace

from safe_llm.measure.figures import Drained, Proof, Row, StreamFigures, Table
from safe_llm.measure.quoted import quoted
from safe_llm.measure.subject import LLAMA_CPP, LLAMA_SERVER, MCP

SILENT = StreamFigures(
    start_bytes=0,
    request_bytes=0.0,
    capacity_bytes=None,
    requests_until_full=None,
    written=(0, 0, 0),
)
LOG = StreamFigures(
    start_bytes=11_664,
    request_bytes=4_670.0,
    capacity_bytes=64_213,
    requests_until_full=13,
    written=(11_664, 16_334, 21_004),
)
REASON = "pid 7, thread 9 is blocked in a write to descriptor 2, a full pipe that nobody reads"

QUEUEING = Row(
    engine=LLAMA_SERVER,
    verbosity="4",
    setting="-lv 4",
    model="tiny",
    drained=Drained(
        start_seconds=0.5,
        answered_at=(0.1, 0.2),
        streams={"stdout": SILENT, "stderr": LOG},
    ),
    proof=Proof(
        frozen=True,
        ready_at=0.5,
        answered=26,
        seconds=9.0,
        unread_bytes=64_213,
        reason=REASON,
        answered_at=tuple(0.5 + 0.1 * number for number in range(1, 27)),
        looks=((0, 0), (0, 11_664), (13, 64_213), (26, 64_213)),
    ),
    quoted=quoted(LLAMA_SERVER, "4"),
)
LOADING = Row(
    engine=LLAMA_CPP,
    verbosity="on",
    setting="verbose=True",
    model="tiny",
    drained=Drained(
        start_seconds=0.5,
        answered_at=(0.1, 0.2),
        streams={
            "stdout": SILENT,
            "stderr": replace(
                LOG, start_bytes=117_995, capacity_bytes=64_601, requests_until_full=0
            ),
        },
    ),
    proof=Proof(
        frozen=True,
        ready_at=None,
        answered=0,
        seconds=2.0,
        unread_bytes=64_601,
        reason=REASON,
        looks=((0, 0), (0, 64_601)),
    ),
    quoted=quoted(LLAMA_CPP, "on"),
)
QUIET = Row(
    engine=MCP,
    verbosity="INFO",
    setting="log_level=INFO",
    model="",
    drained=Drained(start_seconds=0.5, answered_at=(0.1, 0.2), streams={"stderr": SILENT}),
    proof=Proof(
        frozen=False,
        ready_at=0.5,
        answered=1_043,
        seconds=3.0,
        unread_bytes=0,
        reason="",
        answered_at=(0.6, 0.7),
        looks=((0, 0), (1_043, 0)),
    ),
)
FAILED = Row(
    engine="true", verbosity="as given", setting="", model="", failure="it ended; exited with 0"
)
UNPROVEN = replace(QUEUEING, proof=None)


def table(*rows: Row) -> Table:
    """A measurement of these."""
    return Table(system="Linux 6.18", pipe_bytes=65_536, requests=2, rows=rows)
