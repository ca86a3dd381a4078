from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from safe_llm.errors import SpawnFailed
from safe_llm.measure import drained as module
from safe_llm.measure.drained import measure_drained
from safe_llm.measure.mcp_stdio import subject_of
from safe_llm.measure.subject import NoAnswer
from safe_llm.process.hub import hub
from tests.unit_tests.measure.servers import BOUND, shell, talkative

if TYPE_CHECKING:
    from safe_llm.measure.figures import Drained
    from safe_llm.measure.subject import Subject


def measured(subject: Subject, requests: int = 4, seconds: float = BOUND) -> Drained:
    return measure_drained(subject, requests=requests, seconds=seconds, show=lambda done: None)


def failure_of(subject: Subject, seconds: float = BOUND) -> str:
    with pytest.raises(NoAnswer) as failed:
        measured(subject, seconds=seconds)
    assert hub().children == ()
    return str(failed.value)


def test_what_is_written_at_the_start_and_at_each_request_is_counted_to_the_byte() -> None:
    stderr = measured(talkative(12_345, 678)).streams["stderr"]
    assert (stderr.start_bytes, stderr.request_bytes) == (12_345, 678)
    assert stderr.written == tuple(12_345 + 678 * number for number in range(5))


def test_a_stream_that_carries_the_protocol_is_no_log() -> None:
    assert list(measured(talkative(0, 100)).streams) == ["stderr"]


def test_who_writes_nothing_at_a_request_never_fills_its_pipe() -> None:
    assert measured(talkative(5_000, 0)).first_to_fill is None


def test_more_than_a_pipe_takes_at_the_start_leaves_room_for_no_request() -> None:
    full = measured(talkative(200_000, 100)).first_to_fill
    assert full is not None
    assert (full.requests_until_full, full.is_full_at_start) == (0, True)


def test_each_answer_is_told_and_timed() -> None:
    told: list[int] = []
    run = measure_drained(talkative(0, 100), requests=3, seconds=BOUND, show=told.append)
    assert told == [1, 2, 3]
    assert len(run.answered_at) == 3
    assert list(run.answered_at) == sorted(run.answered_at)


def test_nothing_is_left_running() -> None:
    measured(talkative(0, 100))
    assert hub().children == ()


def test_who_ends_is_told_with_its_status_and_its_last_words() -> None:
    said = failure_of(talkative(0, 100, last=3))
    assert said == "its output ended; exited with status 3; it said: I have had enough"


def test_who_ends_at_once_is_told_with_its_status() -> None:
    assert failure_of(shell("exit 7")) == "its output ended; exited with status 7"


def test_who_closes_its_output_and_lives_is_not_said_to_have_ended() -> None:
    assert failure_of(shell("exec sleep 600 >&2")) == "its output ended"


def test_a_status_that_comes_after_the_last_output_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LAST_BREATH", BOUND)
    said = failure_of(shell("exec >&-; sleep 0.2; exit 7"))
    assert said == "its output ended; exited with status 7"


def test_who_never_answers_is_given_up() -> None:
    assert failure_of(shell("exec sleep 600"), 0.5) == "it did not answer; its 0.5 s were over"


def test_who_floods_its_protocol_is_given_up() -> None:
    assert failure_of(shell("exec yes"), 0.5) == "it did not answer; its 0.5 s were over"


def test_who_floods_its_log_is_given_up() -> None:
    said = failure_of(shell("yes >&2"), 0.5)
    assert said == "it did not answer; its 0.5 s were over; it said: y"


def test_who_answers_and_floods_its_log_is_refused_before_our_memory_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST_WRITES", 50)
    said = failure_of(talkative(0, 10_000))
    assert said.startswith("it floods its log, with more than 50 writes so far")


def test_no_more_writes_are_remembered_than_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WRITES", 2)
    sizes: list[int] = []
    for chunk in (b"a", b"bb", b"ccc"):
        module._note_size(sizes, chunk)
    assert sizes == [1, 2]


def test_a_program_that_is_not_there_is_named_and_not_the_launcher_before_it() -> None:
    with pytest.raises(SpawnFailed, match="cannot start 'no-such-program'"):
        measured(subject_of(["no-such-program"]))
