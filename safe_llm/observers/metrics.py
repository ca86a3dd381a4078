"""Counts events per source and writes the counts as Prometheus text. Serves and pushes nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from safe_llm.events import (
    DescendantSwept,
    Event,
    LayerTripped,
    LineWritten,
    ObserverFailed,
    PipeLeaked,
    ProcessExited,
    ProcessReady,
    ProcessStarted,
    RestartScheduled,
    StreamFailed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_MAX_SERIES = 1_000  # a source per request would otherwise be a leak, here and in Prometheus
_OTHERS = "(others)"

Labels = tuple[tuple[str, str], ...]


class Series(NamedTuple):
    """One counter: the metric, the child it is about, and what tells it from its neighbours."""

    metric: str
    source: str
    labels: Labels = ()


class _Counted(NamedTuple):
    metric: str
    help: str
    labels: Callable[[Any], Labels] = lambda _: ()


_COUNTED: dict[type[Event], _Counted] = {
    LineWritten: _Counted(
        "safe_llm_lines_total",
        "Lines that a child wrote.",
        lambda event: (("stream", event.stream), ("level", logging.getLevelName(event.level))),
    ),
    ProcessStarted: _Counted("safe_llm_process_starts_total", "Children that were spawned."),
    ProcessReady: _Counted("safe_llm_process_ready_total", "Children that became ready."),
    ProcessExited: _Counted(
        "safe_llm_process_exits_total",
        "Children that ended, and whether that was asked for.",
        lambda event: (("wanted", str(event.wanted).lower()),),
    ),
    RestartScheduled: _Counted("safe_llm_restarts_total", "Restarts after a crash."),
    LayerTripped: _Counted(
        "safe_llm_layer_trips_total",
        "Limits that were reached, by layer.",
        lambda event: (("layer", event.layer),),
    ),
    DescendantSwept: _Counted(
        "safe_llm_swept_descendants_total", "Processes that a child left behind and we killed."
    ),
    PipeLeaked: _Counted(
        "safe_llm_leaked_pipes_total",
        "Pipes that a stranger held after the child's death.",
        lambda event: (("stream", event.stream),),
    ),
    StreamFailed: _Counted(
        "safe_llm_failed_streams_total",
        "Pipes that could not be read.",
        lambda event: (("stream", event.stream),),
    ),
    ObserverFailed: _Counted(
        "safe_llm_failed_observers_total",
        "Observers that raised, each counted once.",
        lambda event: (("observer", event.observer),),
    ),
}


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """The counters at one moment; it does not change any more."""

    counts: Mapping[Series, int]

    def total(self, metric: str, source: str | None = None, **labels: str) -> int:
        """Return the sum of a metric's series; those of one source, or with these labels."""
        return sum(
            count
            for series, count in self.counts.items()
            if series.metric == metric
            and source in {None, series.source}
            and set(labels.items()) <= set(series.labels)
        )


class MetricsObserver:
    """Counts; beyond ``max_series`` counters, new sources are counted together as ``(others)``."""

    def __init__(self, *, max_series: int = _MAX_SERIES) -> None:
        """Start with no counters at all."""
        self._max_series = max_series
        self._counts: dict[Series, int] = {}

    def __call__(self, event: Event) -> None:
        """Count ``event``, if it is one of those that are counted."""
        counted = _COUNTED.get(type(event))
        if counted is None:
            return
        series = Series(counted.metric, event.source, counted.labels(event))
        if series not in self._counts and len(self._counts) >= self._max_series:
            series = Series(counted.metric, _OTHERS)
        self._counts[series] = self._counts.get(series, 0) + 1

    def snapshot(self) -> MetricsSnapshot:
        """Return the counters as they are now. Any thread may ask: copying a dict is one step."""
        return MetricsSnapshot(MappingProxyType(self._counts.copy()))


def render_prometheus(snapshot: MetricsSnapshot) -> str:
    """Return ``snapshot`` in the text exposition format 0.0.4 of Prometheus; "" if it is empty."""
    lines: list[str] = []
    for counted in sorted(_COUNTED.values()):
        mine = sorted(series for series in snapshot.counts if series.metric == counted.metric)
        if mine:
            lines += [f"# HELP {counted.metric} {counted.help}"]
            lines += [f"# TYPE {counted.metric} counter"]
            lines += [_sample(series, snapshot.counts[series]) for series in mine]
    return "".join(line + "\n" for line in lines)


def _sample(series: Series, count: int) -> str:
    labels = (("source", series.source), *series.labels)
    inside = ",".join(f'{name}="{_escape(value)}"' for name, value in labels)
    return f"{series.metric}{{{inside}}} {count}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
