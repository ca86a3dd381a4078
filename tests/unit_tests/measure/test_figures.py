from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from safe_llm.measure.figures import Drained, Row
from safe_llm.measure.quoted import quoted
from safe_llm.measure.subject import LLAMA_SERVER, Subject
from tests.unit_tests.measure.samples import FAILED, LOADING, LOG, QUEUEING, QUIET, SILENT, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safe_llm.measure.figures import StreamFigures
    from safe_llm.measure.subject import StreamName


def drained(streams: Mapping[StreamName, StreamFigures]) -> Drained:
    return Drained(start_seconds=0.0, answered_at=(), streams=streams)


def test_of_two_streams_that_fill_the_sooner_one_decides() -> None:
    sooner = replace(LOG, requests_until_full=2)
    for streams in ({"stdout": LOG, "stderr": sooner}, {"stdout": sooner, "stderr": LOG}):
        assert drained(streams).first_to_fill is sooner  # type: ignore[arg-type]


def test_a_pipe_that_is_full_before_the_first_request_is_the_first_to_fill() -> None:
    at_once = replace(LOG, requests_until_full=0)
    assert drained({"stdout": LOG, "stderr": at_once}).first_to_fill is at_once


def test_a_stream_that_never_fills_is_not_the_first() -> None:
    assert drained({"stdout": SILENT, "stderr": LOG}).first_to_fill is LOG
    assert drained({"stdout": SILENT, "stderr": SILENT}).first_to_fill is None
    assert FAILED.first_to_fill is None


def test_full_at_start_is_told_from_full_within_the_first_request() -> None:
    full = LOADING.first_to_fill
    assert full is not None
    assert full.is_full_at_start
    assert not replace(full, start_bytes=64_601).is_full_at_start
    assert not SILENT.is_full_at_start


def test_a_row_carries_its_subjects_label_and_what_is_quoted_for_it() -> None:
    subject = Subject(
        engine=LLAMA_SERVER,
        verbosity="default",
        setting="-lv 3",
        model="tiny",
        logs=("stderr",),
        begin=nullcontext,  # type: ignore[arg-type]
    )
    assert Row.of(subject, failure="why") == Row(
        engine=LLAMA_SERVER,
        verbosity="default",
        setting="-lv 3",
        model="tiny",
        failure="why",
        quoted=quoted(LLAMA_SERVER, "default"),
    )
    assert Row.of(subject).name == subject.name == "llama-server default tiny"


def test_a_name_leaves_out_a_model_that_is_not_there() -> None:
    assert QUIET.name == "mcp INFO"


def test_json_has_all_of_it_and_a_row_is_flat() -> None:
    data = json.loads(json.dumps(table(QUEUEING, FAILED).as_json()))
    frozen, failed = data["rows"]
    assert (frozen["engine"], frozen["setting"], frozen["quoted"]["request"]) == (
        "llama-server",
        "-lv 4",
        "4-16 KB",
    )
    assert frozen["drained"]["streams"]["stderr"]["written"] == [11_664, 16_334, 21_004]
    assert frozen["proof"]["looks"][-1] == [26, 64_213]
    assert (failed["drained"], failed["proof"], failed["failure"]) == (
        None,
        None,
        "it ended; exited with 0",
    )
