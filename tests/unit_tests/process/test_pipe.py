from __future__ import annotations

import fcntl
import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from safe_llm.limits import KiB
from safe_llm.process.pipe import Pipe

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="F_SETPIPE_SZ is Linux's")

USUAL = 64 * KiB
WIDE = 256 * KiB
OFTEN = 64


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def fill_and_read(pipe: Pipe, writer: int, times: int) -> None:
    for _ in range(times):
        assert os.write(writer, bytes(USUAL)) == USUAL
        assert pipe.read() == bytes(USUAL)


def test_a_pipe_that_is_full_at_each_read_is_widened(ends: tuple[int, int]) -> None:
    reader, writer = ends
    pipe = Pipe(reader)
    fill_and_read(pipe, writer, OFTEN)
    assert fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ) == WIDE
    message = os.urandom(WIDE)
    assert os.write(writer, message) == WIDE
    assert pipe.read() == message


def test_what_waits_in_a_pipe_survives_its_widening(ends: tuple[int, int]) -> None:
    reader, writer = ends
    pipe = Pipe(reader)
    fill_and_read(pipe, writer, OFTEN - 1)
    waiting = os.urandom(USUAL)
    os.write(writer, waiting)
    received = pipe.read()
    assert fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ) == WIDE
    os.write(writer, b"more")
    assert received + pipe.read() == waiting + b"more"


def test_one_pause_is_enough_to_stay_as_it_is(ends: tuple[int, int]) -> None:
    reader, writer = ends
    pipe = Pipe(reader)
    fill_and_read(pipe, writer, OFTEN - 1)
    os.write(writer, b"a short line\n")
    pipe.read()
    fill_and_read(pipe, writer, OFTEN - 1)
    assert fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ) == USUAL


def test_what_cannot_be_widened_is_read_on() -> None:
    reader, writer = socket.socketpair()
    with reader, writer:
        for each in (reader, writer):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * USUAL)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * USUAL)
        fill_and_read(Pipe(reader.fileno()), writer.fileno(), OFTEN + 2)
