"""Lets an engine freeze for real, and says at which request it did and why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from safe_llm.measure.figures import Proof
from safe_llm.measure.interrupts import made_whole
from safe_llm.measure.standstill import look_at, stands_still
from safe_llm.measure.unread import FOREVER, Unread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from safe_llm.measure.standstill import Look
    from safe_llm.measure.subject import Subject, Talk

_INTERVAL = 0.1  # seconds between two looks
_NOTICING = 1.0  # seconds until it is noticed that it ended


def prove(subject: Subject, *, enough: int, seconds: float, show: Callable[[Look], None]) -> Proof:
    """Start the engine, read nothing, and send it requests until it stands still.

    It is given up after ``enough`` answers, and after ``seconds``. Raises ``SpawnFailed``.
    """
    with (
        made_whole(subject.begin()) as start,
        made_whole(Unread(start, subject.logs, _ask)) as unread,
    ):
        looks = []
        for look in watch(unread, seconds=seconds):
            looks.append(look)
            show(look)
            if look.answered >= enough:
                break
        return _verdict(unread, looks)


def _ask(talk: Talk, number: int) -> None:
    talk.ask(number, time.monotonic() + FOREVER)


def watch(unread: Unread[Any], *, seconds: float) -> Iterator[Look]:
    """Yield looks, one at least, until it stands still or ends, for at most ``seconds``."""
    began = time.monotonic()
    looks: list[Look] = []
    while not looks or (unread.process.poll() is None and not unread.failure):
        at = time.monotonic() - began
        looks.append(look_at(unread.process.pid, unread.logs, at=at, answered=unread.answered))
        yield looks[-1]
        if at >= seconds or stands_still(looks):
            return
        time.sleep(_INTERVAL)
    unread.wait_failed(_NOTICING)


def _verdict(unread: Unread[Any], looks: list[Look]) -> Proof:
    last = looks[-1]
    frozen = stands_still(looks)
    answered_at = tuple(unread.answered_at)  # where it ended, some came after the last look
    return Proof(
        frozen=frozen,
        ready_at=unread.ready_at,
        answered=len(answered_at),
        seconds=last.at,
        unread_bytes=last.unread_bytes,
        reason=last.words if frozen else unread.failure,
        answered_at=answered_at,
        looks=tuple(dict.fromkeys((look.answered, look.unread_bytes) for look in looks)),
    )
