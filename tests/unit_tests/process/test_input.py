"""stdin is a bounded queue: nobody blocks on it, nothing is lost without a word."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio
import pytest

import safe_llm
from safe_llm.errors import MisuseError
from safe_llm.process.input import Input
from tests.children import python_child

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND = 10.0
MiB = 1024 * 1024


def ignore() -> None:
    """Stand for a hub that is told that there is something to write."""


@pytest.fixture
def reader_and_input() -> Iterator[tuple[int, Input]]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    one = Input("child", ignore, cap_bytes=2 * MiB)
    one.fd = writer
    yield reader, one
    os.close(reader)
    os.close(writer)


def test_pump_writes_what_the_pipe_takes_and_asks_to_be_called_again(
    reader_and_input: tuple[int, Input],
) -> None:
    reader, one = reader_and_input
    one.write(b"x" * MiB)
    assert one.pump() is True
    assert 0 < one.written_bytes < MiB
    assert len(os.read(reader, MiB)) == one.written_bytes
    assert one.waiting_bytes == MiB - one.written_bytes


def test_pieces_arrive_whole_and_in_order(reader_and_input: tuple[int, Input]) -> None:
    reader, one = reader_and_input
    pieces = [b"%d," % number * 1000 for number in range(300)]
    for piece in pieces:
        one.write(piece)
    received = b""
    while one.pump() or one.waiting_bytes:
        received += os.read(reader, MiB)
    received += os.read(reader, MiB)
    assert received == b"".join(pieces)
    assert one.flushed.is_set


def test_one_turn_writes_a_bounded_amount_however_fast_the_child_reads() -> None:
    null = os.open(os.devnull, os.O_WRONLY)  # the fastest reader that there is
    one = Input("child", ignore)
    one.fd = null
    for _ in range(4):
        one.write(b"x" * MiB)
    assert one.pump() is True
    assert one.written_bytes <= MiB
    os.close(null)


def test_more_than_the_cap_is_refused_and_nothing_of_it_is_queued(
    reader_and_input: tuple[int, Input],
) -> None:
    _, one = reader_and_input
    one.write(b"x" * MiB)
    with pytest.raises(MisuseError, match="exceed the cap of 2097152 bytes"):
        one.write(b"y" * 2 * MiB)
    assert one.waiting_bytes == MiB


def test_text_is_refused_and_not_counted_as_waiting(reader_and_input: tuple[int, Input]) -> None:
    _, one = reader_and_input
    with pytest.raises(TypeError):
        one.write("hello\n")  # type: ignore[arg-type]  # the mistake under test
    assert one.waiting_bytes == 0
    assert one.drain(BOUND)


def test_a_child_that_is_gone_breaks_the_pipe_and_wakes_who_waits() -> None:
    with safe_llm.spawn(["true"]) as child:
        child.wait(BOUND)
        assert child.exited.is_set
        with pytest.raises(BrokenPipeError, match="exited with status 0"):
            child.stdin.write(b"too late\n")


def test_a_child_that_does_not_read_fills_the_queue_and_blocks_nobody() -> None:
    with safe_llm.spawn(python_child("sleeper")) as child:
        child.stdin.write(b"x" * MiB)
        assert not child.stdin.drain(0.05)
        assert child.stdin.waiting_bytes > 0
        child.kill()
        child.wait(BOUND)
        assert not child.stdin.drain(BOUND)  # it ends, and says that not everything was taken
        assert child.stdin.failure


def test_drain_after_close_says_that_everything_was_taken() -> None:
    with safe_llm.spawn(python_child("silent")) as child:
        child.stdin.write(b"x" * MiB)
        child.stdin.close()
        assert child.wait(BOUND).code == 0
        assert child.stdin.drain(BOUND)
        with pytest.raises(BrokenPipeError):
            child.stdin.write(b"more")


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
def test_a_task_waits_for_the_child_to_take_it(anyio_backend: str) -> None:
    async def main() -> None:
        async with safe_llm.spawn(python_child("silent")) as child:
            child.stdin.write(b"x" * MiB)
            with anyio.fail_after(BOUND):
                assert await child.stdin.drain_async()

    anyio.run(main, backend=anyio_backend)


def test_writing_to_a_child_without_stdin_is_an_error_at_once() -> None:
    with (
        safe_llm.spawn(python_child("silent"), stdin="null") as child,
        pytest.raises(BrokenPipeError, match="null"),
    ):
        child.stdin.write(b"nobody will ever read this")
