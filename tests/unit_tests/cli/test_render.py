"""Whole outputs, because what a reader sees is a whole."""

from __future__ import annotations

import json
from dataclasses import replace

from safe_llm.cli import render
from safe_llm.cli.facts import DemoFacts, NaiveFacts, SafeFacts

FROZEN = NaiveFacts(
    verbosity=4,
    became_ready=True,
    answered=21,
    last_answer_at=4.12,
    seconds=5.3,
    unread_bytes=64_899,
    capacity_bytes=65_536,
    frozen=True,
    reason="pid 7, thread 9 is blocked in a write to descriptor 2, a full pipe that nobody reads",
    health="HTTP 200",
)
NEVER_READY = replace(
    FROZEN, verbosity=5, became_ready=False, answered=0, unread_bytes=65_107, health="HTTP 503"
)
ENDED = replace(FROZEN, verbosity=3, frozen=False, reason="", health="", seconds=30.02)
SAFE = SafeFacts(
    verbosity=5,
    requests=50,
    answered=50,
    start_seconds=0.8,
    seconds=10.0,
    tokens=800,
    drained_bytes=2_196_476,
    dropped_bytes=0,
    first_answer=" Paris.\n- And so on",
)
DEMO = DemoFacts(
    model="/m.gguf",
    server="PATH",
    naive=(NEVER_READY, FROZEN, ENDED),
    safe=SAFE,
    left_running=0,
)


def texts(lines: list[render.Line]) -> list[str]:
    return [line.text for line in lines]


def test_the_table_has_a_row_for_each_run() -> None:
    assert render.table(DEMO) == [
        "orchestrator  verbosity      answered  log bytes          outcome",
        "unread pipe   -lv 5 (debug)  0         65,107 unread      frozen while loading",
        "unread pipe   -lv 4 (trace)  21        64,899 unread      frozen",
        "unread pipe   -lv 3 (info)   21        64,899 unread      ended by the demo",
        "safe_llm      -lv 5 (debug)  50 of 50  2,196,476 drained  80 tokens/s",
        "left running: nothing",
    ]


def test_what_is_left_running_is_counted() -> None:
    assert render.table(replace(DEMO, left_running=2))[-1] == "left running: 2 processes"


def test_a_freeze_is_told_with_its_reason() -> None:
    assert texts(render.naive_verdict(FROZEN)) == [
        "   frozen: 21 requests answered, the last one after 4.1 s, and no other ever will be",
        "   /proc says: pid 7, thread 9 is blocked in a write to descriptor 2, a full pipe that",
        "   nobody reads",
        "   /health says: HTTP 200",
        "",
    ]


def test_a_freeze_while_loading_is_told_as_such() -> None:
    assert texts(render.naive_verdict(NEVER_READY))[:2] == [
        "   frozen while it loads the model: its log is larger than the pipe, so it never becomes",
        "   ready",
    ]


def test_a_freeze_before_the_first_answer_is_told_as_such() -> None:
    silent = replace(FROZEN, answered=0, last_answer_at=0.0)
    assert texts(render.naive_verdict(silent))[0] == (
        "   frozen: it became ready, and has not answered one request, nor ever will"
    )


def test_where_nothing_froze_nothing_is_claimed() -> None:
    assert texts(render.naive_verdict(ENDED)) == [
        "   did not stand still in 30 s, 21 requests answered; ended here",
        "",
    ]


def test_without_proc_no_reason_is_invented() -> None:
    said = texts(render.naive_verdict(replace(FROZEN, reason="")))
    assert not any("/proc" in line for line in said)


def test_the_meter_shows_how_full_the_pipe_is() -> None:
    assert render.meter(32_768, 65_536, 7, 80) == (
        "   the pipe [#############..............]  50%   32,768 bytes unread, 7 answered"
    )


def test_a_meter_of_unknown_capacity_still_counts() -> None:
    assert render.meter(100, None, 0, 80) == "   the pipe ...      100 bytes unread, 0 answered"


def test_progress_fits_into_the_width() -> None:
    line = render.progress(25, 50, 1_000_000, 76.4, 100)
    assert line.endswith("25/50 answered, 1,000,000 bytes drained, 76 tokens/s")
    assert all(len(render.progress(1, 50, 9, 1.0, width)) <= width for width in range(1, 120))


def test_the_cure_is_told_with_its_first_answer() -> None:
    assert texts(render.safe_verdict(SAFE)) == [
        "   answered 50 of 50: 2,196,476 bytes of log drained, 80 tokens/s",
        "   the first answer: 'Paris.'",
        "",
    ]


def test_json_has_the_same_facts() -> None:
    data = json.loads(json.dumps(DEMO.as_json()))
    assert [one["answered"] for one in data["naive"]] == [0, 21, 21]
    assert (data["safe"]["tokens_per_second"], data["left_running"]) == (80.0, 0)


def test_no_capacity_or_time_of_zero_divides() -> None:
    assert replace(SAFE, seconds=0.0).tokens_per_second == 0.0
