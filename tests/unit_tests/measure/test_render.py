"""Whole outputs, because what a reader sees is a whole."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from safe_llm.measure import render
from tests.unit_tests.measure.samples import (
    FAILED,
    LOADING,
    QUEUEING,
    QUIET,
    REASON,
    UNPROVEN,
    table,
)

if TYPE_CHECKING:
    from safe_llm.measure.figures import Proof, Row

ALL = table(QUEUEING, LOADING, QUIET, FAILED)


TEXT = """\
                                start    start   request  request    pipe    until    until         quoted      quoted
engine            verbosity    stdout   stderr    stdout   stderr   takes     full   frozen        request  until full
llama-server      4                 0   11,664         0    4,670  64,213       13       26        4-16 KB        4-16
llama-cpp-python  on                0  117,995         0    4,670  64,601  loading  loading  3 x llama.cpp       18-36
mcp               INFO       protocol        0  protocol        0       -    never   >1,043              -           -
true              as given          -        -         -        -       -        -        -              -           -

llama-server 4 tiny: frozen after 26 requests, 64,213 bytes unread: pid 7, thread 9 is blocked in a write to descriptor 2, a full pipe that nobody reads
llama-cpp-python on tiny: frozen while loading, 64,601 bytes unread: pid 7, thread 9 is blocked in a write to descriptor 2, a full pipe that nobody reads
true as given: it ended; exited with 0
model: tiny
start, request: bytes of log, drained; medians of 2 requests of 16 tokens (MCP: one call each)
pipe takes: bytes in writes of these sizes, on Linux 6.18 (by name 65,536 bytes)
until: requests that are answered while nobody reads the pipe; >: and still at it
frozen later than full: the engine answers until its own queue of lines is full too
quoted: what is widely quoted, not measured here
"""  # noqa: E501  as wide as a terminal may be

CSV = """\
engine,verbosity,setting,model,start_stdout_bytes,start_stderr_bytes,request_stdout_bytes,request_stderr_bytes,pipe_takes_bytes,requests_until_full,frozen,frozen_while_loading,answered_unread,unread_bytes,quoted_request,quoted_requests_until_full,remark
llama-server,4,-lv 4,tiny,0,11664,0.0,4670.0,64213,13,True,False,26,64213,4-16 KB,4-16,"frozen after 26 requests, 64,213 bytes unread: pid 7, thread 9 is blocked in a write to descriptor 2, a full pipe that nobody reads"
llama-cpp-python,on,verbose=True,tiny,0,117995,0.0,4670.0,64601,0,True,True,0,64601,3 x llama.cpp,18-36,"frozen while loading, 64,601 bytes unread: pid 7, thread 9 is blocked in a write to descriptor 2, a full pipe that nobody reads"
mcp,INFO,log_level=INFO,,,0,,0.0,,,False,False,1043,0,,,
true,as given,,,,,,,,,,,,,,,it ended; exited with 0
"""  # noqa: E501  as above


def proven(row: Row) -> Proof:
    assert row.proof is not None
    return row.proof


def test_the_text_is_a_table_then_what_was_seen_then_what_the_figures_are() -> None:
    assert render.text(ALL) == TEXT.splitlines()


def test_models_are_said_in_each_row_where_there_are_several() -> None:
    rows = render.rows_of(table(QUEUEING, replace(QUEUEING, model="large"), QUIET))
    assert [row.split()[:3] for row in rows[1:]] == [
        ["engine", "verbosity", "model"],
        ["llama-server", "4", "tiny"],
        ["llama-server", "4", "large"],
        ["mcp", "INFO", "-"],
    ]
    assert not any(
        line.startswith("model:") for line in render.text(table(*ALL.rows, QUEUEING))[:7]
    )


def test_the_table_of_one_model_fits_into_120_columns() -> None:
    assert max(map(len, render.rows_of(ALL))) <= 120


def test_a_queue_is_named_only_where_something_froze_later_than_its_pipe_was_full() -> None:
    later = [line for line in render.text(table(UNPROVEN, LOADING)) if "later" in line]
    assert later == []


def test_where_the_kernel_names_no_size_none_is_said() -> None:
    unknown = replace(table(UNPROVEN), pipe_bytes=None)
    assert "pipe takes: bytes in writes of these sizes, on Linux 6.18" in render.text(unknown)


@pytest.mark.parametrize(
    ("row", "remark"),
    [
        (UNPROVEN, ""),
        (QUIET, ""),
        (FAILED, "it ended; exited with 0"),
        (
            replace(QUEUEING, proof=replace(proven(QUEUEING), answered=1)),
            f"frozen after 1 request, 64,213 bytes unread: {REASON}",
        ),
        (
            replace(QUEUEING, proof=replace(proven(QUEUEING), reason="")),
            "frozen after 26 requests, 64,213 bytes unread: unknown why",
        ),
        (
            replace(QUIET, proof=replace(proven(QUIET), answered=3, reason="it ended")),
            "unread, no answer any more after 3 requests: it ended",
        ),
    ],
)
def test_a_remark_is_one_line_and_only_where_there_is_something_to_say(
    row: Row, remark: str
) -> None:
    assert render.remark_on(row) == remark


def test_json_is_all_that_was_measured() -> None:
    assert json.loads(render.as_json(ALL)) == json.loads(json.dumps(ALL.as_json()))


def test_csv_has_a_line_a_row_and_leaves_empty_what_is_not_known() -> None:
    assert render.as_csv(ALL) == CSV
    assert len(list(csv.DictReader(io.StringIO(CSV)))) == 4
