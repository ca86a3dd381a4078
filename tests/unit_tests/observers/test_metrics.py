"""Counts survive floods of labels, and what is written is what Prometheus can read."""

from __future__ import annotations

import logging

import pytest

from safe_llm.events import (
    DescendantSwept,
    Event,
    LayerTripped,
    LineWritten,
    PipeLeaked,
    ProcessExited,
    ProcessStarted,
    Progressed,
    RestartScheduled,
)
from safe_llm.observers.metrics import MetricsObserver, render_prometheus

HISTORY: list[Event] = [
    ProcessStarted(source="a", argv=("x",)),
    LineWritten(source="a", stream="stderr", text="1", level=logging.INFO),
    LineWritten(source="a", stream="stderr", text="2", level=logging.INFO),
    LineWritten(source="b", stream="stdout", text="3", level=logging.ERROR),
    Progressed(source="a", what="loading", fraction=1.0),
    LayerTripped(source="a", layer="L5 flood", detail="", action="kill"),
    ProcessExited(source="a", status="signal 9", wanted=False),
    RestartScheduled(source="a", attempt=1, delay=0.1),
    DescendantSwept(source="a", victim=3, command="sleep"),
    PipeLeaked(source="a", stream="stdout"),
]

RENDERED = """\
# HELP safe_llm_layer_trips_total Limits that were reached, by layer.
# TYPE safe_llm_layer_trips_total counter
safe_llm_layer_trips_total{source="a",layer="L5 flood"} 1
# HELP safe_llm_leaked_pipes_total Pipes that a stranger held after the child's death.
# TYPE safe_llm_leaked_pipes_total counter
safe_llm_leaked_pipes_total{source="a",stream="stdout"} 1
# HELP safe_llm_lines_total Lines that a child wrote.
# TYPE safe_llm_lines_total counter
safe_llm_lines_total{source="a",stream="stderr",level="INFO"} 2
safe_llm_lines_total{source="b",stream="stdout",level="ERROR"} 1
# HELP safe_llm_process_exits_total Children that ended, and whether that was asked for.
# TYPE safe_llm_process_exits_total counter
safe_llm_process_exits_total{source="a",wanted="false"} 1
# HELP safe_llm_process_starts_total Children that were spawned.
# TYPE safe_llm_process_starts_total counter
safe_llm_process_starts_total{source="a"} 1
# HELP safe_llm_restarts_total Restarts after a crash.
# TYPE safe_llm_restarts_total counter
safe_llm_restarts_total{source="a"} 1
# HELP safe_llm_swept_descendants_total Processes that a child left behind and we killed.
# TYPE safe_llm_swept_descendants_total counter
safe_llm_swept_descendants_total{source="a"} 1
"""


def test_a_history_is_counted_and_written_for_prometheus() -> None:
    metrics = MetricsObserver()
    for event in HISTORY:
        metrics(event)
    assert render_prometheus(metrics.snapshot()) == RENDERED


def test_nothing_counted_is_nothing_written() -> None:
    assert render_prometheus(MetricsObserver().snapshot()) == ""


def test_a_snapshot_does_not_change_and_cannot_be_changed() -> None:
    metrics = MetricsObserver()
    metrics(HISTORY[0])
    before = metrics.snapshot()
    metrics(HISTORY[0])
    assert before.total("safe_llm_process_starts_total") == 1
    assert metrics.snapshot().total("safe_llm_process_starts_total") == 2
    with pytest.raises(TypeError):
        before.counts[next(iter(before.counts))] = 5  # type: ignore[index]


def test_a_total_is_summed_over_what_is_not_asked_for() -> None:
    metrics = MetricsObserver()
    for event in HISTORY:
        metrics(event)
    snapshot = metrics.snapshot()
    assert snapshot.total("safe_llm_lines_total") == 3
    assert snapshot.total("safe_llm_lines_total", "a") == 2
    assert snapshot.total("safe_llm_lines_total", level="ERROR") == 1
    assert snapshot.total("safe_llm_lines_total", "a", level="ERROR") == 0


def test_label_values_are_escaped() -> None:
    metrics = MetricsObserver()
    metrics(ProcessStarted(source='a"b\\c\nd', argv=()))
    last = render_prometheus(metrics.snapshot()).splitlines()[-1]
    assert last == 'safe_llm_process_starts_total{source="a\\"b\\\\c\\nd"} 1'


def test_a_source_per_request_does_not_grow_without_bound() -> None:
    metrics = MetricsObserver(max_series=10)
    for number in range(100):
        metrics(ProcessStarted(source=f"request-{number}", argv=()))
    snapshot = metrics.snapshot()
    assert len(snapshot.counts) == 11
    assert snapshot.total("safe_llm_process_starts_total") == 100
    assert snapshot.total("safe_llm_process_starts_total", "(others)") == 90
