"""Timers fire in the order of their time, once, and not when cancelled."""

from __future__ import annotations

from safe_llm.process.timers import Timers


def test_what_is_due_comes_in_order_and_the_rest_stays() -> None:
    timers, ran = Timers(), list[str]()
    for due, name in ((3.0, "late"), (1.0, "first"), (2.0, "second"), (1.0, "first too")):
        timers.add(due, lambda name=name: ran.append(name))  # type: ignore[misc]  # a default binds the name
    for action in timers.take_due(2.0):
        action()
    assert ran == ["first", "first too", "second"]
    assert timers.delay(2.5) == 0.5


def test_a_cancelled_timer_neither_runs_nor_wakes_anybody() -> None:
    timers = Timers()
    timers.add(1.0, lambda: None).cancel()
    assert timers.delay(0.0) is None
    timers.add(5.0, lambda: None)
    timers.add(1.0, lambda: None).cancel()
    assert timers.delay(0.0) == 5.0
    assert timers.take_due(2.0) == []


def test_one_that_is_overdue_is_not_waited_for() -> None:
    timers = Timers()
    timers.add(1.0, lambda: None)
    assert timers.delay(9.0) == 0.0
