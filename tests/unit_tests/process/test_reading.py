"""A stream read as lines: bounded, decoded without errors, for threads and for tasks."""

from __future__ import annotations

import anyio
import pytest

import safe_llm
from safe_llm.errors import CallTimeout
from safe_llm.process.output import Output
from tests.children import python_child

BOUND = 10.0


def ended(data: bytes, max_line_bytes: int = 1000) -> Output:
    one = Output("stdout", "child", max_line_bytes=max_line_bytes)
    one.receive(data, at=0.0)
    one.end()
    return one


def test_every_terminator_ends_a_line_and_the_last_line_needs_none() -> None:
    assert list(ended(b"one\ntwo\r\nthree\rfour").lines()) == ["one", "two", "three", "four"]


def test_what_is_no_utf_8_is_replaced_and_not_an_error() -> None:
    assert list(ended(b"\xff\xfe ok\nhalf \xe2\x82\n")) == ["\ufffd\ufffd ok", "half \ufffd"]


def test_a_line_beyond_its_bound_is_cut_and_counted_and_reading_goes_on() -> None:
    lines = ended(b"x" * 1000 + b"\nnext\n", max_line_bytes=100).lines()
    assert list(lines) == ["x" * 100, "next"]
    assert lines.truncated_bytes == 900


def test_an_ended_stream_stays_ended() -> None:
    lines = ended(b"one\n").lines()
    assert list(lines) == ["one"]
    assert list(lines) == []


def test_silence_is_an_error_that_names_the_stream_and_its_owner() -> None:
    with pytest.raises(CallTimeout, match=r"child: call ended by L1 gap on stdout after 0.01 s"):
        next(Output("stdout", "child").lines(timeout=0.01))


def test_after_a_silence_the_same_iterator_goes_on() -> None:
    one = Output("stdout", "child")
    lines = one.lines(timeout=0.01)
    one.receive(b"half a li", at=0.0)
    with pytest.raises(CallTimeout):
        next(lines)
    one.receive(b"ne\n", at=0.0)
    assert next(lines) == "half a line"


def test_two_iterators_share_the_lines_and_both_end() -> None:
    one = ended(b"".join(b"%d\n" % number for number in range(10)))
    first, second = one.lines(timeout=BOUND), one.lines(timeout=BOUND)
    got = [next(first)]
    got += list(second)
    got += list(first)
    assert sorted(map(int, got)) == list(range(10))


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
def test_a_task_reads_lines(anyio_backend: str) -> None:
    async def main() -> None:
        with anyio.fail_after(BOUND):
            async with safe_llm.spawn(python_child("numbered_lines", 1000)) as child:
                assert [int(one) async for one in child.stdout] == list(range(1000))

    anyio.run(main, backend=anyio_backend)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
def test_silence_is_an_error_for_a_task_too(anyio_backend: str) -> None:
    async def main() -> None:
        with pytest.raises(CallTimeout):
            await anext(Output("stdout", "child").lines(timeout=0.01))

    anyio.run(main, backend=anyio_backend)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
def test_a_task_that_reads_a_flood_can_be_cancelled(anyio_backend: str) -> None:
    async def main() -> None:
        async with safe_llm.spawn(
            python_child("numbered_lines", 10**9), stop=safe_llm.StopPolicy(steps=())
        ) as child:
            with anyio.fail_after(BOUND), anyio.move_on_after(0.1) as scope:
                async for _ in child.stdout:
                    pass
            assert scope.cancelled_caught

    anyio.run(main, backend=anyio_backend)
